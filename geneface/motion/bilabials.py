"""Whether the lips meet at p, b and m, found from the timings of words."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..face.landmarks import mouth_opening
from .metrics import CLOSED_SHARE, closed_and_range

FPS = 25.0
Word = tuple[float, float, str]
"""Start [s], end [s], word."""

# The p, b or m of words spelt in the GRID corpus (Cooke et al. 2006), as a share of the word's duration.
PLACES = {"bin": 0.0, "blue": 0.0, "by": 0.0, "b": 0.0, "p": 0.0, "place": 0.0, "please": 0.0, "m": 1.0}
# On tracked GRID sentences the lips are closest about so long after the aligned start of the word.
_LATER = 0.03  # [s]
_AROUND = 0.12  # [s] on either side: timings of short words err by two or three frames


@dataclass(frozen=True)
class Closure:
    """How far the lips came together at one p, b or m.

    Attributes:
        word: that holds it.
        time: where it was expected [s].
        generated, tracked: least opening around that time above the tracked mouth's closed opening (5 % quantile), as a
            share of its 5-95 % range.
    """

    word: str
    time: float
    generated: float
    tracked: float


def closures(generated: Sequence[np.ndarray], tracked: Sequence[np.ndarray],
             words: Sequence[Sequence[Word] | None]) -> list[Closure]:
    """Every p, b and m of the clips of one speaker.

    Args:
        generated, tracked: of every clip canonical landmarks [T, 68, 3] [m] at 25 fps.
        words: of every clip its words, or None where not known.
    """
    openings = [(mouth_opening(a), mouth_opening(b)) for a, b in zip(generated, tracked)]
    scale = closed_and_range(np.concatenate([np.zeros(0), *(real for _, real in openings)]))
    if scale is None:
        return []
    low, span = scale
    found = []
    for (made, real), spoken in zip(openings, words):
        for start, end, word in spoken or ():
            if (place := PLACES.get(word.lower())) is None:
                continue
            time = start + place * (end - start) + _LATER
            first = max(0, int(np.ceil((time - _AROUND) * FPS - 0.5)))
            last = min(len(real), int(np.floor((time + _AROUND) * FPS - 0.5)) + 1)
            if first < last:
                found.append(Closure(word, time, float((made[first:last].min() - low) / span),
                                     float((real[first:last].min() - low) / span)))
    return found


def bilabial_metrics(found: Sequence[Closure]) -> dict[str, float | int | None]:
    """Figures over `closures`.

    Returns:
        bilabials: how many;
        bilabial_closure, tracked_bilabial_closure: share of them at which the generated, the tracked lips come within
        10 % of closed;
        bilabial_match: share at which the generated lips come as close as the tracked, or short of it by less than 10 %
        of the range: tracked lips of 25 pictures a second are not always seen shut;
        bilabial_error: how much wider than the tracked lips the generated stay, mean, as a share of the range.
    """
    if not found:
        return {"bilabials": 0} | dict.fromkeys(
            ("bilabial_closure", "tracked_bilabial_closure", "bilabial_match", "bilabial_error"))
    generated, tracked = (np.array([getattr(one, side) for one in found]) for side in ("generated", "tracked"))
    return {
        "bilabials": len(found), "bilabial_closure": float((generated <= CLOSED_SHARE).mean()),
        "tracked_bilabial_closure": float((tracked <= CLOSED_SHARE).mean()),
        "bilabial_match": float((generated <= tracked + CLOSED_SHARE).mean()),
        "bilabial_error": float(np.maximum(0, generated - tracked).mean()),
    }
