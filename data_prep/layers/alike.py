"""Whether clips show the same background."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from .background import background_plate

_SIDE = 96  # side of the pictures that are compared [px]


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """[96,96,...] uint8 of a picture [H,W,...]."""
    return cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def plates_apart(samples: Mapping[int, tuple[np.ndarray, np.ndarray]], clips: Sequence[slice]) -> float:
    """How far apart the clips' backgrounds are: the mean difference of the two that differ most [grey levels].

    Each pair of plates is compared where both were seen, by the mean over all pixels: a picture that moved differs at
    its edges only, another light everywhere. 0 for one clip, or where no two were seen in the same places.

    Args:
        samples: frame index -> frame [96,96,3] uint8 RGB and its background alpha [96,96] uint8.
        clips: the frames of each.
    """
    plates = []
    for clip in clips:
        indices = [index for index in sorted(samples) if clip.start <= index < clip.stop]
        plate, seen, _ = background_plate(samples.__getitem__, indices)
        plates.append((cv2.blur(plate, (3, 3)).astype(np.float32), seen))
    apart = 0.0
    for index, (plate, seen) in enumerate(plates):
        for other, other_seen in plates[:index]:
            both = seen & other_seen
            if both.any():
                apart = max(apart, float(np.abs(plate - other)[both].mean()))
    return apart
