"""Cuts in a video, and which part of it to take.

A cut is a single step between two frames that stands out from all steps around it. Two kinds are told
apart: after a *change of framing* camera, place or person differ, and what follows is another shot; after
a *jump* (words were cut out, the camera did not move) background and shoulders are where they were, and
what follows shows the same person in the same picture. A take is the run of frames between changes of
framing; its jumps are noted, because nothing may be smoothed across them.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from geneface.speech.framing import runs
from geneface.types import require

_THUMBNAIL = 64  # side of the thumbnails that are compared [px]
_REACH = 5  # frames on either side that a step is compared with
_STEP = 2.5  # least mean difference of a cut [grey levels]; speech and blinks stay below 1.5
_RATIO = 3.0  # how far a cut stands out from the largest step around it; head movement reaches 2
_SAME = 1e-3  # mean difference of a repeated frame [grey levels]
_SHOULDERS = 40.0  # mean difference of the lowest strip beyond which the framing changed [grey levels]
_SURROUNDINGS = 12.0  # the same for the top corners


@dataclass(frozen=True)
class Cut:
    """A step in the picture.

    Attributes:
        frame: first frame after it.
        reframed: the framing changed; False for a jump within it.
    """

    frame: int
    reframed: bool


class CutFinder:
    """Finds cuts in a stream of frames, keeping only small pictures of the few candidates.

    ```
    finder = CutFinder()
    for frame in frames:
        finder.add(frame)
    cuts = finder.cuts()
    ```
    """

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._steps: list[float] = []
        self._pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._range: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        """Frames seen so far."""
        return 0 if self._last is None else len(self._steps) + 1

    def add(self, frame: np.ndarray) -> None:
        """Look at the next frame, [H,W,3] uint8 RGB."""
        small = cv2.resize(frame, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        if self._last is None:
            self._range = small.copy(), small.copy()
        else:
            step = float(cv2.absdiff(small, self._last).mean())
            self._steps.append(step)
            if step > _STEP:
                self._pairs[len(self._steps)] = (self._last, small)
            np.minimum(self._range[0], small, out=self._range[0])
            np.maximum(self._range[1], small, out=self._range[1])
        self._last = small

    @property
    def steps(self) -> np.ndarray:
        """[T-1] mean difference from each frame to the next [grey levels]."""
        return np.array(self._steps, np.float32)

    @property
    def movement(self) -> float:
        """Largest change of any spot over the whole clip, after blurring away coding noise [grey levels]."""
        if self._range is None:
            return 0.0
        spread = (self._range[1].astype(np.float32) - self._range[0]).mean(-1)
        return float(cv2.blur(spread, (5, 5)).max())

    def standing(self, least: int = 5) -> list[tuple[int, int]]:
        """Runs of at least so many frames that are equal to the one before: (first frame, number)."""
        return [(int(a) + 1, int(b - a)) for a, b in runs(self.steps < _SAME) if b - a >= least]

    def cuts(self) -> list[Cut]:
        """All cuts, in order."""
        return [Cut(int(frame), _reframed(*self._pairs[frame])) for frame in find_steps(self.steps)]


def find_steps(steps: np.ndarray) -> list[int]:
    """Indices of frames that begin with a step standing out from its neighbourhood.

    Args:
        steps: [T-1] mean difference between consecutive frames [grey levels].
    """
    if not len(steps):
        return []
    # Direct neighbours are left out of the comparison: some recorders blend two frames at a cut.
    padded = np.pad(steps, _REACH, constant_values=0)
    offsets = [k for k in range(-_REACH, _REACH + 1) if abs(k) > 1]
    around = np.max([padded[_REACH + k:_REACH + k + len(steps)] for k in offsets], axis=0)
    stands_out = (steps > _STEP) & (steps > _RATIO * (around + 0.5))
    found: list[int] = []
    for index in np.flatnonzero(stands_out):
        if found and index + 1 - found[-1] <= 1:  # both halves of a blended cut
            if steps[index] > steps[found[-1] - 1]:
                found[-1] = int(index) + 1
            continue
        found.append(int(index) + 1)
    return found


def _reframed(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether background or shoulders moved between two thumbnails: then it is another shot."""
    change = cv2.absdiff(before, after).mean(-1)
    quarter = _THUMBNAIL // 5
    surroundings = max(change[:quarter, :quarter].mean(), change[:quarter, -quarter:].mean())
    shoulders = change[-_THUMBNAIL // 8:, quarter:-quarter].mean()
    return bool(shoulders > _SHOULDERS or surroundings > _SURROUNDINGS)


@dataclass(frozen=True)
class Take:
    """The part of a video that is prepared.

    Attributes:
        start, stop: range of its frames in the video.
        jumps: first frames after a jump, counted from the take's start.
        cuts: changes of framing in the whole video, frames counted from the video's start.
    """

    start: int
    stop: int
    jumps: tuple[int, ...]
    cuts: tuple[int, ...]

    def __len__(self) -> int:
        return self.stop - self.start


def longest_take(frames: int, cuts: list[Cut], usable: np.ndarray | None = None) -> Take:
    """The run between changes of framing with the most usable frames.

    Args:
        frames: length of the video.
        cuts: in order.
        usable: [frames] bool, e.g. a face is there; None means all.
    """
    require(frames > 0, "frames: the video is empty")
    usable = np.ones(frames, bool) if usable is None else usable
    changes = [cut.frame for cut in cuts if cut.reframed]
    edges = [0, *changes, frames]
    start, stop = max(zip(edges[:-1], edges[1:]), key=lambda run: int(usable[run[0]:run[1]].sum()))
    jumps = tuple(cut.frame - start for cut in cuts if not cut.reframed and start < cut.frame < stop)
    return Take(start, stop, jumps, tuple(changes))
