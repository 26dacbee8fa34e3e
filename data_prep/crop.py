"""A fixed square around the speaker."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from geneface.types import require

_SIDE = 2.6  # side of the crop in face heights (chin to hairline): head, neck and shoulders
_ABOVE = 0.62  # hair above the hairline, in face heights
_BELOW = 0.45  # neck below the chin
_MIDDLE = 0.46  # height of the face's middle in the crop: a little above the centre


@dataclass(frozen=True)
class Crop:
    """A square of the source picture.

    A point p of the crop, scaled to `size`, lies at (x, y) + p * side / size in the source.

    Attributes:
        x, y: top left corner in the source [px].
        side: [px].
        source_width, source_height: [px].
    """

    x: int
    y: int
    side: int
    source_width: int
    source_height: int

    def apply(self, frame: np.ndarray, size: int) -> np.ndarray:
        """[size,size,3] uint8 from the source frame [H,W,3]: aspect kept, filtered for the change of scale."""
        piece = frame[self.y:self.y + self.side, self.x:self.x + self.side]
        if self.side == size:
            return np.ascontiguousarray(piece)
        if self.side > size:
            # Area averaging is exact for whole ratios and blurs little between; it never rings.
            return cv2.resize(piece, (size, size), interpolation=cv2.INTER_AREA)
        return cv2.resize(piece, (size, size), interpolation=cv2.INTER_LANCZOS4)


def choose_crop(width: int, height: int, faces: np.ndarray) -> Crop:
    """The square that holds the head in (nearly) all frames, within the picture.

    Args:
        width, height: of the source picture [px].
        faces: [N,4] left, top, right, bottom of the face oval [px].
    """
    require(len(faces) > 0, "faces: none given")
    shorter = min(width, height)
    if abs(width - height) <= 0.02 * shorter:
        return Crop((width - shorter) // 2, (height - shorter) // 2, shorter, width, height)
    face_height = float(np.median(faces[:, 3] - faces[:, 1]))
    left, top = np.percentile(faces[:, :2], 1, axis=0)
    right, bottom = np.percentile(faces[:, 2:], 99, axis=0)
    needed = max(right - left + 0.5 * face_height, bottom - top + (_ABOVE + _BELOW) * face_height)
    side = int(round(min(shorter, max(_SIDE * face_height, needed))))
    if side > 0.85 * shorter:
        side = shorter
    x = (left + right) / 2 - side / 2
    y = (top + bottom) / 2 - _MIDDLE * side
    y = min(y, top - _ABOVE * face_height)
    x, y = (int(round(min(max(v, 0), limit - side))) for v, limit in ((x, width), (y, height)))
    return Crop(x, y, side, width, height)
