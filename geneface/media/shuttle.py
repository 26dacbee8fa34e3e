"""Pictures of a video in any order: forwards as they come, backwards in blocks."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..types import require
from .reading import read_frames

_NEAR = 4.0  # further ahead than this, the video is opened anew there; pictures up to there are passed over [s]
_BLOCK_BYTES = 192e6  # of pictures kept at once while a video runs backwards: 30 of 1920x1080


def frames_at(path: str | Path, fps: float, numbers: Iterable[int], interlaced: bool | None = None
              ) -> Iterator[np.ndarray]:
    """The pictures that `read_frames` numbers so, one at a time and in any order; quick where each is shortly
    after the last, or just before it. Memory is bounded, however long the video is.

    Args:
        numbers: of frames at `fps`, counted from the first.
        interlaced: see `read_frames`.

    Yields:
        [H,W,3] uint8 RGB, not to be written to.

    Raises:
        UserError: unreadable, without video, or shorter than that.
    """
    coming, at = iter(()), inf  # the pictures from number `at` on
    block: dict[int, np.ndarray] = {}
    last, picture = -1, None
    for number in numbers:
        require(number >= 0, f"numbers: must not be negative, got {number}")
        if picture is None or number != last:
            backwards = picture is not None and number == last - 1
            if number in block:
                picture = block.pop(number)
            elif backwards:
                size = max(4, int(_BLOCK_BYTES / picture.nbytes))
                first = max(0, number - size + 1)
                coming, at = iter(()), inf
                block = dict(enumerate(read_frames(path, fps, first, number + 1, interlaced), first))
                picture = block.pop(number, None)
            else:
                if not at <= number <= at + _NEAR * fps:
                    block, at, coming = {}, number, read_frames(path, fps, number, None, interlaced)
                picture, at = next(islice(coming, number - at, None), None), number + 1
            if picture is None:
                raise UserError(f"{path}: has no frame {number} at {fps:g} frames per second; it is shorter than it "
                                "was")
            last = number
        yield picture
