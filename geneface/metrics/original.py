"""The pictures that renders are compared with: the source video's own pixels where it can still be found."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
        video: the video the person was prepared from; None to look where it was then, beside the person's
            folder and in the current folder. A file of other bytes is never taken.

    Returns:
        which of `SOURCE_VIDEO`, `PREPARED_FRAMES` it is, and the pictures [H,W,3] uint8 RGB, one per frame.
    """
    found = _find_video(person, video)
    if found is None:
        return PREPARED_FRAMES, (fit_side(person.frame(index), SCALE) for index in frames)
    return SOURCE_VIDEO, _from_video(person, found, frames)


def _find_video(person: PreparedPerson, video: str | Path | None) -> Path | None:
    """The source video, if it is found and its bytes are those that were prepared."""
    source = person.manifest.get("source")
    if not isinstance(source, dict) or not source.get("sha256") or "crop" not in person.manifest:
        return None
    if video is not None:
        places = [Path(video)]
    else:
        name = str(source.get("name") or "")
        places = [Path(source["path"])] if source.get("path") else []
        places += [person.path.absolute().parent / name, Path(name)] if name else []
    for place in places:
        if place.is_file() and file_hash(place) == source["sha256"]:
            return place
    return None


def _from_video(person: PreparedPerson, video: Path, frames: range) -> Iterator[np.ndarray]:
    crop, source = media.Crop.from_json(person.manifest["crop"]), person.manifest["source"]
    start = int(source["start_frame"])
    wanted = {start + index for index in frames}
    if not wanted:
        return
    first, stop = min(wanted), max(wanted) + 1
    for number, frame in enumerate(
        media.read_frames(video, person.fps, first, stop, source.get("interlaced")), first
    ):
        if number in wanted:
            yield resize(np.ascontiguousarray(crop.piece(frame, number - start)), (SCALE, SCALE))
