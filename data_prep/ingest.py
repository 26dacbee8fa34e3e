"""First look at a video, and its frames cut out.

The scan decodes the video once and notes everything that decides whether and how it can be used: cuts, where the
face is, its light and sharpness, what is around and in front of it (`looks.py`). Then the frames of the chosen take
are cropped, scaled and written.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geneface import media
from geneface.media import Crop
from geneface.progress import track

from .preflight.looks import Look, Looker
from .preflight.shots import Cut, CutFinder, Take
from .streams import encode_jpeg, ordered_map

EVERY = 5
"""Every how many frames the scan looks for faces."""


@dataclass(frozen=True)
class Scan:
    """What the first pass over a video found.

    Attributes:
        frames: number of frames at the working rate.
        width, height: of the source picture [px].
        cuts: all cuts.
        movement: largest change of any spot over the clip [grey levels].
        still: runs of frames that are equal to the last, as (first frame, number).
        looks: what every `EVERY`th frame shows.
    """

    frames: int
    width: int
    height: int
    cuts: tuple[Cut, ...]
    movement: float
    still: tuple[tuple[int, int], ...]
    looks: tuple[Look, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Scan":
        def look(values: dict[str, Any]) -> Look:
            pairs = {name: None if values[name] is None else tuple(values[name]) for name in ("face", "camera")}
            return Look(**{**values, **pairs})

        return cls(**{**data, "cuts": tuple(Cut(**cut) for cut in data["cuts"]),
                      "still": tuple((first, count) for first, count in data["still"]),
                      "looks": tuple(look(values) for values in data["looks"])})

    def within(self, start: int, stop: int) -> list[Look]:
        """The looks at frames start to stop - 1."""
        return [look for look in self.looks if start <= look.frame < stop]

    def usable(self) -> np.ndarray:
        """[frames] bool: a face was found in the nearest look before."""
        found = np.array([look.face is not None for look in self.looks], bool)
        return np.repeat(found, EVERY)[:self.frames] if len(found) else np.zeros(self.frames, bool)

    def standstill(self, take: Take, fps: float) -> float:
        """Longest time within the take in which the picture does not change [s]."""
        runs = [min(first + count, take.stop) - max(first, take.start) for first, count in self.still]
        return max([0, *runs]) / fps


def scan(video: str | Path, fps: float) -> Scan:
    """Look through the whole video.

    Raises:
        UserError: unreadable or without video.
    """
    info = media.probe(video)
    finder = CutFinder()
    with Looker() as looker:
        frames = media.read_frames(video, fps)

        def looked_at() -> Iterator[tuple[np.ndarray, int]]:
            total = round(info.duration * fps) or None
            for index, frame in enumerate(track(frames, "Looking through the video", total)):
                finder.add(frame)
                if index % EVERY == 0:
                    yield frame, index

        # In a thread of its own, beside the decoder.
        for _ in ordered_map(lambda item: looker.add(*item), looked_at(), workers=1):
            pass
    cuts = finder.cuts()
    looks = looker.looks([cut.frame for cut in cuts if cut.reframed])
    return Scan(len(finder), info.width, info.height, tuple(cuts), finder.movement, tuple(finder.standing()), looks)


def cut_frames(video: str | Path, take: Take, crop: Crop, size: int, fps: float, quality: int,
               interlaced: bool | None = None) -> Iterator[bytes]:
    """The frames of a take, cropped, scaled and encoded as JPEG.

    Args:
        interlaced: see `media.read_frames`.
    """
    frames = enumerate(media.read_frames(video, fps, take.start, take.stop, interlaced))
    encoded = ordered_map(lambda item: encode_jpeg(crop.apply(item[1], size, item[0]), quality), frames)
    return track(encoded, "Cutting out frames", len(take))
