"""Truth and renders beside each other, as a video with the sound of the frames."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..media import VideoWriter, read_audio
from ..types import PreparedPerson
from .image import resize

WIDTH = 1536
"""At most; pictures of 512 px are shown as they are while three stand in a row [px]."""

LABEL = 26
"""Height of the line of text above each picture [px]."""


class Film:
    """Writes comparisons as they are made; a context manager that leaves a whole file or none.

    Args:
        path: .mp4 to write. The file's metadata says that it shows synthetic faces.
        rows: names of the pictures in each row of the video.
        person: whose sound is laid below, from frame `frames.start` on.
    """

    def __init__(
        self, path: Path, rows: Sequence[Sequence[str]], person: PreparedPerson, frames: range
    ) -> None:
        self.path, self._rows = path, rows
        self._fps, self._writer = person.fps, None
        self._audio = sound_of(person, frames)

    def __enter__(self) -> "Film":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Append one frame: name -> [H,W,3] uint8, all of one size."""
        frame = grid([[(name, pictures[name]) for name in row] for row in self._rows])
        if self._writer is None:
            height, width = frame.shape[:2]
            self._writer = VideoWriter(self.path, width, height, self._fps, self._audio, quality=20)
        self._writer.write(frame)


def sound_of(person: PreparedPerson, frames: range, rate: int = 16000) -> np.ndarray | None:
    """[N] float32 sound of consecutive frames, None where the person has none."""
    file = person.path / "audio.wav"
    if not len(person.speech) or not file.is_file():
        return None
    first, last = (round(t / person.fps * rate) for t in (frames.start, frames.stop))
    return read_audio(file, rate)[first:last]


def grid(rows: Sequence[Sequence[tuple[str, np.ndarray]]], width: int = WIDTH) -> np.ndarray:
    """[H,W,3] uint8: pictures of one size, in rows of equal length, each below its name; at most `width` px a row."""
    columns = len(rows[0])
    height, side = rows[0][0][1].shape[:2]
    scale = min(1.0, width / columns / side)
    size = round(side * scale) // 2 * 2, round(height * scale) // 2 * 2
    labelled = [[np.concatenate([_label(name, size[0]), resize(image, size)]) for name, image in row] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in labelled])


def _label(text: str, width: int) -> np.ndarray:
    """[LABEL,width,3] uint8: white text in the middle of a dark bar, cut off where it is too long."""
    from PIL import Image, ImageDraw, ImageFont

    bar = Image.new("RGB", (width, LABEL), (24, 28, 36))
    font = ImageFont.load_default(15)
    ImageDraw.Draw(bar).text((width / 2, LABEL / 2), text, (235, 238, 244), font, anchor="mm")
    return np.asarray(bar)
