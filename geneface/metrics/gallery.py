"""Keeps a few comparisons of a long evaluation as pictures: some spread evenly, and the worst."""
from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..report import side_by_side
from .face import mouth_box
from .image import resize

PICTURE_SIDE = 320  # of each picture of a strip [px]
GAP = 4  # between them [px]


@dataclass(frozen=True)
class Strip:
    """One frame, side by side.

    Attributes:
        index: frame of the person.
        pictures: [H,W,3] uint8: truth and renders above, their mouths enlarged below.
        lip_distance_px: of each render, NaN where a face was missing.
    """

    index: int
    pictures: np.ndarray
    lip_distance_px: dict[str, float]


class Gallery:
    """Chooses strips while comparisons stream by.

    Args:
        frames: how many comparisons will be offered.
        count: how many evenly spread strips to keep.
        worst: how many of the strips with the largest lip distance to keep, judged by the first render.
    """

    def __init__(self, frames: int, count: int = 6, worst: int = 2) -> None:
        self._wanted = {int(i) for i in np.linspace(0, frames - 1, min(count, frames))} if frames else set()
        self._worst_count = worst
        self._step = 0
        self.even: list[Strip] = []
        self._worst: list[tuple[float, int, Strip]] = []
        self._box: tuple[slice, slice] | None = None

    @property
    def worst(self) -> list[Strip]:
        """The strips with the largest lip distance, largest first."""
        return [strip for _, _, strip in sorted(self._worst, key=lambda item: (-item[0], item[1]))]

    def offer(
        self, index: int, truth: np.ndarray, renders: Mapping[str, np.ndarray], landmarks: np.ndarray | None,
        lip_distance_px: Mapping[str, float],
    ) -> None:
        """Look at one comparison, and keep it if it is wanted.

        Args:
            index: frame of the person.
            truth: [H,W,3] uint8. renders: name -> [H,W,3] uint8.
            landmarks: [478,2] of the truth, None where no face was found: the mouth is then cut out
                where it was last.
            lip_distance_px: name -> lip distance, NaN where a face was missing.
        """
        if landmarks is not None:
            self._box = mouth_box(landmarks, truth.shape[1], truth.shape[0])
        distance = next(iter(lip_distance_px.values()), np.nan)
        bad = np.isfinite(distance) and (
            len(self._worst) < self._worst_count or (self._worst and distance > self._worst[0][0])
        )
        wanted = self._step in self._wanted
        self._step += 1
        if not (bad or wanted):
            return
        strip = Strip(index, frames_and_mouths([truth, *renders.values()], self._box), dict(lip_distance_px))
        if wanted:
            self.even.append(strip)
        if bad:
            item = (float(distance), self._step, strip)
            (heapq.heappush if len(self._worst) < self._worst_count else heapq.heapreplace)(self._worst, item)


def frames_and_mouths(pictures: list[np.ndarray], box: tuple[slice, slice] | None) -> np.ndarray:
    """[H,W,3] uint8: the pictures in a row, and below each its part in `box`, enlarged to the same width."""
    rows = []
    for parts in (pictures, [picture[box] for picture in pictures] if box else []):
        if parts:
            height = max(1, round(parts[0].shape[0] * PICTURE_SIDE / parts[0].shape[1]))
            rows.append(side_by_side([resize(part, (PICTURE_SIDE, height)) for part in parts], gap=GAP))
    return np.concatenate(rows)
