"""A prepared portrait video."""
from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import UserError
from .tracks import CameraTrack, FaceTrack, SpeechFeatures


@dataclass(frozen=True)
class PreparedPerson:
    """A prepared portrait video: a folder, opened by `PreparedPerson.open`.

    ```
    manifest.json        schema, source, clips, size, fps, frames, split, crop, consent, stages, hashes
    frames/000000.jpg    [H,W,3] cropped frames at `fps`
    masks/000000.png     [H,W,3] R = head, G = torso, B = background; what is missing from a sum of 255 is hidden
                         by something in front of the person (a hand, a microphone)
    torso/000000.png     [H,W,4] neck and torso with what the head hides filled in
    background.png       [H,W,3] clean background plate
    camera.npz face.npz speech.npz     the tracks
    audio.wav            16 kHz mono
    report.html report.json
    ```

    Attributes:
        path: the folder.
        manifest: contents of manifest.json.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> "PreparedPerson":
        """Raises UserError where `path` is not a finished prepared person of this schema."""
        path = Path(path)
        manifest = path / "manifest.json"
        if not manifest.is_file():
            raise UserError(f"{path}: not a prepared person (no manifest.json); run geneface prepare VIDEO -o {path}")
        try:
            content = json.loads(manifest.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{manifest}: unreadable ({error}); run geneface prepare again") from error
        if content.get("schema_version") != cls.SCHEMA_VERSION:
            raise UserError(
                f"{path}: prepared with schema {content.get('schema_version')}, this version reads "
                f"{cls.SCHEMA_VERSION}; run geneface prepare again"
            )
        if not content.get("finished"):
            raise UserError(f"{path}: preparation is not finished; run the same geneface prepare command again to go on")
        return cls(path, content)

    def __len__(self) -> int:
        return int(self.manifest["frames"])

    @property
    def fps(self) -> float:
        return float(self.manifest["fps"])

    @property
    def source(self) -> str:
        """Name of the video that was prepared."""
        return str(self.manifest.get("source", {}).get("name", self.path.name))

    @property
    def clips(self) -> list[dict[str, Any]]:
        """The videos that the frames come from, in order.

        Each {source: {name, path, sha256, start_frame, ...}, crop: see `geneface.media.Crop`, first_frame, frames}: frames
        first_frame to first_frame + frames - 1 are the video's from start_frame on.
        """
        whole = {"first_frame": 0, "frames": len(self)}
        return self.manifest.get("clips") or [{name: self.manifest.get(name) for name in ("source", "crop")} | whole]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return int(self.manifest["width"]), int(self.manifest["height"])

    @property
    def train_frames(self) -> range:
        """Indices of the frames that train (the first 10/11)."""
        return range(0, int(self.manifest["train_frames"]))

    @property
    def held_out_frames(self) -> range:
        """Indices of the frames no training step may see (the last 1/11)."""
        return range(int(self.manifest["train_frames"]), len(self))

    def frame(self, index: int) -> np.ndarray:
        """[H,W,3] uint8 RGB."""
        return read_image(self.path / "frames" / f"{index:06d}.jpg")

    def mask(self, index: int) -> np.ndarray:
        """[H,W,3] uint8 soft masks: head, torso, background.

        They sum to 255 where nothing is in front of the person. What is missing from that is the share of the
        pixel that a hand, a microphone or the like covers: it tells nothing of what is behind, so it is left out
        of every loss and metric. With `m = mask(i) / 255`, `m.sum(-1)` is the weight of a pixel, and
        `frame = m[0] * head + m[1] * torso + m[2] * background + (1 - m.sum(-1)) * occluder`.
        """
        return read_image(self.path / "masks" / f"{index:06d}.png")

    def torso(self, index: int) -> np.ndarray:
        """[H,W,4] uint8: colour (not multiplied by alpha) and alpha of neck and torso as if nothing were in front
        of them.

        Where the head is in front, they are what other frames show there, or go on smoothly where none does.
        Far behind the head, where no pose shows them, alpha is 0.
        """
        return read_image(self.path / "torso" / f"{index:06d}.png", "RGBA")

    @cached_property
    def background(self) -> np.ndarray:
        """[H,W,3] uint8 RGB plate."""
        return read_image(self.path / "background.png")

    @cached_property
    def camera(self) -> CameraTrack:
        return CameraTrack.load(self.path / "camera.npz")

    @cached_property
    def face(self) -> FaceTrack:
        return FaceTrack.load(self.path / "face.npz")

    @cached_property
    def speech(self) -> SpeechFeatures:
        return SpeechFeatures.load(self.path / "speech.npz")


def read_image(path: Path, mode: str = "RGB") -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except OSError as error:
        raise UserError(f"{path}: missing or damaged; run geneface prepare again") from error
