"""The pictures that renders are compared with: the source video's own pixels where it can still be found."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import media
from ..assets import file_hash
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
        wanted = [index - first for index in frames if 0 <= index - first < int(clip["frames"])]
        if not wanted:
            continue
        found = _find_video(person, clip, video)
        if found is None:
            return PREPARED_FRAMES, (fit_side(person.frame(index), SCALE) for index in frames)
        pieces.append((clip, found, wanted))
    return SOURCE_VIDEO, (picture for piece in pieces for picture in _from_video(person, *piece))


def _find_video(person: PreparedPerson, clip: dict[str, Any], video: str | Path | None) -> Path | None:
    """A clip's source video, if it is found and its bytes are those that were prepared."""
    source = clip.get("source")
    if not isinstance(source, dict) or not source.get("sha256") or not clip.get("crop"):
        return None
    name = str(source.get("name") or "")
    places = [Path(source["path"])] if source.get("path") else []
    places += [person.path.absolute().parent / name, Path(name)] if name else []
    if video is not None:
        # Of several clips it can be only one: the others are looked for.
        places = [Path(video)] if len(person.clips) == 1 else [Path(video), *places]
    for place in places:
        if place.is_file() and file_hash(place) == source["sha256"]:
            return place
    return None


def _from_video(person: PreparedPerson, clip: dict[str, Any], video: Path, frames: list[int]) -> Iterator[np.ndarray]:
    """The pictures of a clip's `frames`, counted from its first and increasing."""
    crop, source = media.Crop.from_json(clip["crop"]), clip["source"]
    start, wanted = int(source["start_frame"]), set(frames)
    first = start + frames[0]
    for number, frame in enumerate(
        media.read_frames(video, person.fps, first, start + frames[-1] + 1, source.get("interlaced")), frames[0]
    ):
        if number in wanted:
            yield resize(np.ascontiguousarray(crop.piece(frame, number)), (SCALE, SCALE))
