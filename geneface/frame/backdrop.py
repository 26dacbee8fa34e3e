"""Another background behind the person: a colour, a picture, or a video that begins again when it ends."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from ..errors import UserError
from ..media import probe, read_frames
from ..nerf.render import AvatarRenderer
from ..nerf.views import View
from .person import cut_out, to_uint8


def backdrop(text: str, width: int, height: int, fps: float) -> Iterator[np.ndarray]:
    """Pictures [H,W,3] uint8 of a background, one a frame and without end.

    Args:
        text: a colour as CSS writes it ("#00ff00", "green", "rgb(0, 255, 0)"), or a picture or video file, which is
            scaled to cover the frame, its middle in the middle.
        width, height: of the frame [px].
        fps: at which pictures of a video are taken.

    Raises:
        UserError: neither a colour nor a file that can be read.
    """
    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        return _from_file(text, width, height, fps)
    return repeat(np.full((height, width, 3), colour[:3], np.uint8))


def _from_file(path: str, width: int, height: int, fps: float) -> Iterator[np.ndarray]:
    if not Path(path).is_file():
        raise UserError(f"--background {path}: neither a colour nor a file; give a colour such as #00ff00 or green, or "
                        "a picture or video")
    info = probe(path)
    if not info.has_video:
        raise UserError(f"--background {path}: holds sound only; give a picture or a video")
    if info.still:
        return repeat(cover(next(read_frames(path, None)), width, height))
    return _looped(path, width, height, fps)


def _looped(path: str, width: int, height: int, fps: float | None) -> Iterator[np.ndarray]:
    while True:
        picture = None
        for picture in read_frames(path, fps):
            yield cover(picture, width, height)
        if picture is None:  # shorter than one frame at this rate
            fps = None


def cover(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """[height,width,3] the middle of `picture` [H,W,3], scaled so that it just covers that."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    across, down = (max(least, round(side * scale)) for least, side in
                    ((width, picture.shape[1]), (height, picture.shape[0])))
    picture = cv2.resize(picture, (across, down), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (across - width) // 2, (down - height) // 2
    return picture[top : top + height, left : left + width]


class BeforeBackdrop:
    """Frames of an avatar before another background.

    Args:
        renderer: of the avatar.
        pictures: [H,W,3] uint8 of the renderer's size, one a frame.
    """

    def __init__(self, renderer: AvatarRenderer, pictures: Iterator[np.ndarray]) -> None:
        self._renderer, self._pictures = renderer, pictures
        self.size = renderer.size

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W,3] uint8 RGB, the next. Arguments as of `AvatarRenderer.frame`."""
        rgb, alpha = cut_out(self._renderer, landmarks, head_to_camera, view)
        return to_uint8(rgb + (1 - alpha)[..., None] * (next(self._pictures) / np.float32(255)))
