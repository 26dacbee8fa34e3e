"""The pictures that renders are compared with: the source video's own pixels where it can still be found."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..origin import Origin
from ..types import PreparedPerson
from .image import fit_side, resize

SCALE = 512
"""Longer side of the pictures that are compared [px], whatever size the avatar has."""

SOURCE_VIDEO, PREPARED_FRAMES = "source video", "prepared frames"


def original_frames(
    person: PreparedPerson, frames: range, video: str | Path | None = None
) -> tuple[str, Iterator[np.ndarray]]:
    """Truth at 512 scale, from the best source at hand.

    Prepared frames have lost detail to scaling and JPEG: an avatar compared with them looks better than
    it is, most of all one prepared below 512 px.

    Args:
        frames: of the person; increasing.
        video: a video the person was prepared from; None to look where they were then, beside the person's
            folder and in the current folder. A file of other bytes is never taken.

    Returns:
        which of `SOURCE_VIDEO`, `PREPARED_FRAMES` it is, and the pictures [H,W,3] uint8 RGB, one per frame.
        The source video only where that of every frame is found.
    """
    pieces = []
    for clip in person.clips:
        first = int(clip["first_frame"])
        inside = [index for index in frames if first <= index < first + int(clip["frames"])]
        if not inside:
            continue
        origin = Origin.of(person, range(inside[0], inside[-1] + 1))
        found = None if origin is None else origin.locate(_places(person, origin, video))
        if found is None:
            return PREPARED_FRAMES, (fit_side(person.frame(index), SCALE) for index in frames)
        pieces.append((origin, found, [index - inside[0] for index in inside]))
    return SOURCE_VIDEO, (picture for piece in pieces for picture in _from_video(*piece))


def _places(person: PreparedPerson, origin: Origin, video: str | Path | None) -> list[str | Path]:
    """Where to look for the video of a stretch."""
    # Of several clips, a given video can be only one: the others are looked for.
    given = [] if video is None else [video]
    if given and len(person.clips) == 1:
        return given
    beside = [person.path.absolute().parent / origin.name] if origin.name else []
    return [*given, origin.path, *beside, origin.name]


def _from_video(origin: Origin, video: Path, numbers: list[int]) -> Iterator[np.ndarray]:
    """The pictures of a stretch's frames `numbers`."""
    for number, frame in zip(numbers, origin.pictures(video, numbers), strict=True):
        yield resize(np.ascontiguousarray(origin.crop.piece(frame, number)), (SCALE, SCALE))
