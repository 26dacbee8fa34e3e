"""Where in which video frames of a person were taken: the way back from a portrait to the whole picture."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .assets import file_hash
from .errors import UserError
from .media import Crop, frames_at
from .types import Avatar, PreparedPerson, require


@dataclass(frozen=True)
class Origin:
    """A stretch of a video, and the square of it that was worked on.

    Attributes:
        name, path, sha256: of the video: its name, where it was, and the hash of its bytes.
        first: the video's frame, counted at `fps`, that frame 0 of the stretch is.
        fps: of the stretch; the video's own may be another, frames are taken by time.
        interlaced: see `media.read_frames`.
        crop: where the square lies in the video's picture, in every frame of the stretch.
    """

    name: str
    path: str
    sha256: str
    first: int
    fps: float
    interlaced: bool | None
    crop: Crop

    @classmethod
    def of(cls, person: PreparedPerson, frames: range) -> "Origin | None":
        """That of some frames of a person, which must be of one clip; None where the person does not say."""
        clip = next(clip for clip in person.clips if int(clip["first_frame"]) + int(clip["frames"]) > frames.start)
        source, first = clip.get("source"), frames.start - int(clip["first_frame"])
        if not clip.get("crop") or not isinstance(source, dict) or not source.get("sha256"):
            return None
        require(first + len(frames) <= int(clip["frames"]), "frames: must be of one clip")
        crop = Crop.from_json(clip["crop"])
        if crop.path:
            crop = replace(crop, path=crop.path[first : first + len(frames)])
        return cls(str(source.get("name", "")), str(source.get("path", "")), source["sha256"],
                   int(source["start_frame"]) + first, person.fps, source.get("interlaced"), crop)

    @classmethod
    def of_avatar(cls, avatar: Avatar) -> "Origin":
        """That of the frames of an avatar's camera.

        Raises:
            UserError: the avatar does not record it.
        """
        data = avatar.info.get("origin")
        if not isinstance(data, dict):
            raise UserError("the avatar does not record where in its video the portrait lies: an older version made "
                            "it, or its person comes from no video; fit it again, or render without --frame full")
        return cls(**{**data, "crop": Crop.from_json(data["crop"])})

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "crop": self.crop.to_json()}

    def find(self, video: str | Path | None = None) -> Path:
        """The video.

        Args:
            video: where it is now; None to look where it was, and by its name in the current folder.

        Raises:
            UserError: it is not there, or what is there are other bytes.
        """
        if video is not None:
            if not Path(video).is_file():
                raise UserError(f"{video}: no such file; give the video that the avatar was made from, {self.name}")
            if file_hash(Path(video)) != self.sha256:
                raise UserError(f"{video}: not the video that the avatar was made from; give {self.name}, unchanged "
                                f"since then (sha256 {self.sha256[:12]}...)")
            return Path(video)
        found = self.locate([self.path, self.name])
        if found is not None:
            return found
        raise UserError(f"{self.path or self.name}: the video that the avatar was made from is not there any more, or "
                        "was changed; give it with --original FILE, or render without --frame full")

    def locate(self, places: Iterable[str | Path]) -> Path | None:
        """The first of `places` where the video's very bytes are; empty names are passed over."""
        return next((Path(place) for place in places
                     if str(place) and Path(place).is_file() and file_hash(Path(place)) == self.sha256), None)

    def pictures(self, video: Path, numbers: Iterable[int]) -> Iterator[np.ndarray]:
        """The whole pictures [H,W,3] uint8 of the stretch's frames `numbers`; quick where each is near the last."""
        return frames_at(video, self.fps, (self.first + number for number in numbers), self.interlaced)
