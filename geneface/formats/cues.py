"""Mouth cues: which of nine drawn mouths to show when, as Rhubarb Lip Sync writes them; and Oculus visemes.

The mouths are Rhubarb's (github.com/DanielSWolf/rhubarb-lip-sync, README), after Hanna-Barbera:

    A lips closed, as in p, b, m          B teeth nearly closed: most consonants, ee    C open: eh, ae
    D wide open: aa                       E slightly rounded: ao, er                    F puckered: oo, w
    G lower lip under the teeth: f, v     H tongue raised in an open mouth: long l      X at rest, in pauses

Rhubarb finds them in the sound; here they are what the motion shows, on the mean head: how far the inner lips are apart,
how far the lips are rounded, and for how long the mouth is shut. G needs a lower lip rolled in under the teeth, H a
tongue: motion generated from speech hardly has either, so their sounds mostly become B or C.
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from ..face.arkit import index, indices
from ..face.basis import load_basis
from ..types import MotionSequence, write_atomically
from . import WriteOptions, format_of

STEP = 0.01
"""Cues start and end at multiples of this [s], as Rhubarb's."""
CLOSED_HOLD, OTHER_HOLD, PAUSE = 0.06, 0.08, 0.25
"""A mouth shut is held for at least the first, any other for the second; shut from the third on it is X [s]."""

# Distances between the inner lips on the mean head [m], and shares of how far this motion opens the mouth (its 95 %
# quantile, within _WIDEST): between A and B, B and C, C and D; chosen on sentences of the GRID corpus.
_WIDEST = (0.006, 0.014)
_SHUT, _OPEN, _WIDE = 0.14, 0.6, 0.97
_SURELY_SHUT = 0.04  # puckered lips nearly meet without being meant to
_ROUND, _ROLLED, _TONGUE = 0.2, 0.3, 0.15  # weights: pucker and funnel; lower lip rolled in more than the upper; tongue
_NEAR = "XAGBEFCHD"  # mouths by how open they are: a cue too short to be held goes to the nearer neighbour

VISEMES = {"X": "sil", "A": "PP", "B": "DD", "C": "E", "D": "aa", "E": "O", "F": "U", "G": "FF", "H": "nn"}
"""The viseme of Oculus Lipsync that is most like each mouth; TH, kk, CH, SS, RR and I look like B or C."""


@dataclass(frozen=True)
class Cue:
    """A mouth, and from when to when [s] it is shown."""

    start: float
    end: float
    mouth: str


def mouth_cues(motion: MotionSequence) -> list[Cue]:
    """Cues without gaps from 0 to the end of the motion, neighbours different.

    An end before a multiple of `STEP` is cut to it; a motion shorter than that has one cue of no length.
    """
    steps = int(motion.seconds / STEP + 1e-6)
    if steps == 0:
        return [Cue(0.0, 0.0, "X")]
    mouths = _mouths(motion, (np.arange(steps) + 0.5) * STEP)
    runs = _held(_runs(_widened(mouths)))
    return [Cue(round(start * STEP, 2), round(end * STEP, 2),
                "X" if mouth == "A" and (end - start) * STEP >= PAUSE - 1e-9 else mouth) for start, end, mouth in runs]


def visemes(motion: MotionSequence) -> list[Cue]:
    """`mouth_cues` with the names of Oculus Lipsync in place of letters."""
    return [Cue(cue.start, cue.end, VISEMES[cue.mouth]) for cue in mouth_cues(motion)]


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> dict[str, int]:
    """Write cues as Rhubarb's TSV, XML or JSON, or visemes as the same JSON. Returns `cues`, their number."""
    kind = format_of(path, options.format).name
    cues = visemes(motion) if kind == "visemes" else mouth_cues(motion)
    text = {"rhubarb-tsv": _tsv, "rhubarb-xml": _xml}.get(kind, _json)(cues, motion.source)
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return {"cues": len(cues)}


def _mouths(motion: MotionSequence, times: np.ndarray) -> np.ndarray:
    """Letters [N] of the mouths at `times` [N s], as they are seen for a moment; none is X."""
    frames = np.arange(len(motion)) / motion.fps
    lips = load_basis().landmarks68(motion.expression)

    def at(values: np.ndarray) -> np.ndarray:
        return np.interp(times, frames, values)

    def weight(*names: str) -> np.ndarray:
        return at(motion.expression[:, indices(*names)].sum(1))

    apart = (lips[:, [67, 66, 65], 1] - lips[:, [61, 62, 63], 1]).mean(1)
    widest = np.clip(np.percentile(apart, 95), *_WIDEST)
    gap = at(apart) / widest
    out = np.select([gap < _SHUT, gap < _OPEN, gap < _WIDE], ["A", "B", "C"], "D")
    rounded = weight("mouthPucker", "mouthFunnel") > _ROUND
    out = np.where(rounded & (gap >= _SURELY_SHUT) & (gap < _OPEN), "F", np.where(rounded & (out == "C"), "E", out))
    rolled = weight("mouthRollLower") - weight("mouthRollUpper") > _ROLLED
    out = np.where(rolled & (gap < _OPEN), "G", out)
    tongue = at(motion.expression[:, index("tongueOut")]) > _TONGUE
    return np.where(tongue & (gap >= _SHUT), "H", out)


def _widened(mouths: np.ndarray) -> np.ndarray:
    """Closures held long enough at the cost of their neighbours: lips that meet are what one sees first."""
    mouths, least = mouths.copy(), round(CLOSED_HOLD / STEP)
    for start, end, mouth in _runs(mouths):
        if mouth == "A" and end - start < least:
            first = max(0, (start + end - least) // 2)
            mouths[first:first + least] = "A"
    return mouths


def _held(runs: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Runs of which those too short went to the neighbour whose mouth is more like theirs, equal neighbours joined."""
    least, out = round(OTHER_HOLD / STEP), []
    start = 0  # of the run at hand and the short ones before it that it took over
    for i, (_, end, mouth) in enumerate(runs):
        after = runs[i + 1][2] if i + 1 < len(runs) else None
        if mouth != "A" and end - start < least and (out or after):
            to_left, to_right = (abs(_NEAR.index(mouth) - _NEAR.index(other)) if other else len(_NEAR)
                                 for other in (out[-1][2] if out else None, after))
            if to_right < to_left:
                continue
            mouth = out[-1][2]
        if out and out[-1][2] == mouth:
            out[-1] = (out[-1][0], end, mouth)
        else:
            out.append((start, end, mouth))
        start = end
    return out


def _runs(mouths: np.ndarray) -> list[tuple[int, int, str]]:
    """Where each mouth starts and ends [steps]."""
    edges = np.flatnonzero(np.concatenate([[True], mouths[1:] != mouths[:-1], [True]]))
    return [(int(start), int(end), str(mouths[start])) for start, end in zip(edges, edges[1:])]


def _tsv(cues: list[Cue], source: str) -> str:
    return "".join(f"{cue.start:.2f}\t{cue.mouth}\n" for cue in cues) + f"{cues[-1].end:.2f}\tX\n"


def _xml(cues: list[Cue], source: str) -> str:
    rows = "".join(f'    <mouthCue start="{cue.start:.2f}" end="{cue.end:.2f}">{cue.mouth}</mouthCue>\n' for cue in cues)
    legal = "".join(c if c.isprintable() else "?" for c in source)
    return (f'<?xml version="1.0" encoding="utf-8"?>\n<rhubarbResult>\n  <metadata>\n'
            f"    <soundFile>{escape(legal)}</soundFile>\n    <duration>{cues[-1].end:.2f}</duration>\n  </metadata>\n"
            f"  <mouthCues>\n{rows}  </mouthCues>\n</rhubarbResult>\n")


def _json(cues: list[Cue], source: str) -> str:
    rows = ",\n".join(
        f'    {{ "start": {cue.start:.2f}, "end": {cue.end:.2f}, "value": "{cue.mouth}" }}' for cue in cues)
    return (f'{{\n  "metadata": {{\n    "soundFile": {json.dumps(source, ensure_ascii=False)},\n'
            f'    "duration": {cues[-1].end:.2f}\n  }},\n  "mouthCues": [\n{rows}\n  ]\n}}\n')
