"""Frames out as numbered PNGs, for programs that put pictures together."""
from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..types import require
from .sound import Sound, SoundPart
from .writing import SYNTHETIC_COMMENT, guarded

SOUND = "sound.wav"
_OURS = re.compile(rf"\d{{6,}}\.png|{re.escape(SOUND)}")


def check_folder(path: str | Path) -> None:
    """Raise UserError where `path` is a file, or a folder with other things in it than a `PictureFolder` wrote."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give a new folder for the pictures")
    if path.is_dir() and not all(_OURS.fullmatch(entry.name) for entry in path.iterdir()):
        raise UserError(f"{path}: is a folder with other things in it; give a new one for the pictures")


class PictureFolder:
    """Frames to a folder: 000000.png, 000001.png, ... and their sound, sound.wav.

    Like `VideoWriter`: streamed, and the folder appears under its name only when it is complete. One that an earlier
    run wrote is replaced.

    Args:
        path: the folder.
        width, height: size of the frames to come [px].
        fps: frames per second; the sound is cut to them.
        audio, rate: see `VideoWriter`.
        comment: written into every picture and the sound.

    Raises:
        UserError: a file or a folder with other things in it is there already, disk full, or not writable.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: float = 25.0,
                 audio: np.ndarray | str | Path | SoundPart | None = None, rate: int = 16000,
                 comment: str = SYNTHETIC_COMMENT) -> None:
        from PIL.PngImagePlugin import PngInfo

        self.path = Path(path)
        require(width > 0 and height > 0, f"picture size {width}x{height} is empty")
        require(fps > 0, f"fps must be positive, got {fps}")
        self.width, self.height, self.frames = width, height, 0
        check_folder(self.path)
        self._fps = fps
        self._sound, self._file = Sound(audio, rate), None
        self._info = PngInfo()
        self._info.add_text("Comment", comment)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        with guarded(self):
            self._temporary.mkdir(parents=True)
            if not self._sound.silent:
                import soundfile

                self._file = soundfile.SoundFile(self._temporary / SOUND, "w", self._sound.rate,
                                                 1 if self._sound.layout == "mono" else 2, "PCM_16")
                self._file.comment = comment

    def write(self, frame: np.ndarray) -> None:
        """Append one frame: [H,W,3] uint8 RGB, [H,W,4] RGBA with straight alpha, or [H,W] uint16."""
        require(frame.shape[:2] == (self.height, self.width) and
                (frame.shape[2:], frame.dtype) in (((3,), np.uint8), ((4,), np.uint8), ((), np.uint16)),
                f"frame: expected ({self.height}, {self.width}, 3 or 4) uint8 or ({self.height}, {self.width}) uint16, "
                f"got {frame.shape} {frame.dtype}")
        from PIL import Image

        with guarded(self):
            Image.fromarray(np.ascontiguousarray(frame)).save(
                self._temporary / f"{self.frames:06d}.png", compress_level=4, pnginfo=self._info)
            self.frames += 1
            for block in self._sound.until(round(self.frames / self._fps * self._sound.rate)):
                self._file.write(block.T)

    def close(self) -> None:
        """Finish, and give the folder its name.

        Raises:
            ValueError: when no frame was written.
        """
        with guarded(self):
            require(self.frames > 0, "no frame was written")
            if self._file is not None:
                self._file.close()
            if self.path.exists():
                check_folder(self.path)
                shutil.rmtree(self.path)
            os.replace(self._temporary, self.path)

    def abort(self) -> None:
        """Give up: remove what was written so far."""
        if self._file is not None:
            self._file.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> "PictureFolder":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
