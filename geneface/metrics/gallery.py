"""Keeps a few comparisons of a long evaluation as pictures: some spread evenly, and the worst."""
from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..report import side_by_side
from .face import mouth_box
from .image import resize

PICTURE_SIDE = 320  # width of each picture [px]
GAP = 4  # between pictures [px]


@dataclass(frozen=True)
class Strip:
    """One frame as truth and renders.

    Attributes:
        index: frame of the person.
        frames: "truth" and each render -> [H,PICTURE_SIDE,3] uint8.
        mouths: the same, their mouths enlarged; empty where no face was found yet.
        figures: each render -> {figure: value}, NaN where it could not be measured.
    """

    index: int
    frames: dict[str, np.ndarray]
    mouths: dict[str, np.ndarray]
    figures: dict[str, dict[str, float]]

    def side_by_side(self) -> np.ndarray:
        """[H,W,3] uint8: truth and renders in a row, their mouths below."""
        rows = [side_by_side(list(row.values()), GAP) for row in (self.frames, self.mouths) if row]
        return np.concatenate(rows)


class Gallery:
    """Chooses strips while comparisons stream by.

    Args:
        frames: how many comparisons will be offered.
        count: how many evenly spread strips to keep.
        worst: how many of the worst strips to keep of each kind.
    """

    def __init__(self, frames: int, count: int = 6, worst: int = 3) -> None:
        self._wanted = {int(i) for i in np.linspace(0, frames - 1, min(count, frames))} if frames else set()
        self._worst_count = worst
        self._step = 0
        self.even: list[Strip] = []
        self._worst: dict[str, list[tuple[float, int, Strip]]] = {}
        self._box: tuple[slice, slice] | None = None

    def worst(self, figure: str) -> list[Strip]:
        """The strips in which the first render is worst by a figure (`BADNESS`), the worst first."""
        ranked = sorted(self._worst.get(figure, []), key=lambda item: (-item[0], item[1]))
        return [strip for _, _, strip in ranked]

    def offer(
        self, index: int, truth: np.ndarray, renders: Mapping[str, np.ndarray], landmarks: np.ndarray | None,
        figures: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Look at one comparison, and keep it if it is wanted.

        Args:
            index: frame of the person.
            truth: [H,W,3] uint8. renders: name -> [H,W,3] uint8.
            landmarks: [478,2] of the truth, None where no face was found: the mouth is then cut out
                where it was last.
            figures: name -> figure -> value, NaN where it could not be measured.
        """
        if landmarks is not None:
            self._box = mouth_box(landmarks, truth.shape[1], truth.shape[0])
        first = next(iter(figures.values()), {})
        badness = {name: sign * first[name] for name, sign in BADNESS.items() if np.isfinite(first.get(name, np.nan))}
        bad = [name for name, value in badness.items() if self._is_bad(name, value)]
        wanted = self._step in self._wanted
        self._step += 1
        if not (bad or wanted):
            return
        pictures = {"truth": truth, **renders}
        mouths = {name: _scaled(picture[self._box]) for name, picture in pictures.items()} if self._box else {}
        strip = Strip(index, {name: _scaled(picture) for name, picture in pictures.items()}, mouths,
                      {name: dict(values) for name, values in figures.items()})
        if wanted:
            self.even.append(strip)
        for name in bad:
            kept = self._worst.setdefault(name, [])
            (heapq.heappush if len(kept) < self._worst_count else heapq.heapreplace)(
                kept, (badness[name], self._step, strip))

    def _is_bad(self, name: str, value: float) -> bool:
        kept = self._worst.get(name, [])
        return len(kept) < self._worst_count or bool(kept and value > kept[0][0])


BADNESS = {"lip_distance_px": 1, "psnr_head": -1}
"""Figures by which frames are ranked, and the sign that makes larger worse."""


def _scaled(picture: np.ndarray) -> np.ndarray:
    return resize(picture, (PICTURE_SIDE, max(1, round(picture.shape[0] * PICTURE_SIDE / picture.shape[1]))))
