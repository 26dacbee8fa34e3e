"""Colours of a pasted picture, brought to those around it."""
from __future__ import annotations

import cv2
import numpy as np

_CELLS = 64  # side of the grid that the correction is worked out on
_SPREAD = 9.0  # cells over which it is smoothed
_ALIKE = 20 / 255  # colours that differ by more than this from what is usual in the band show different things
_FOLLOW = 0.2  # share of a frame's own correction in the one used: a quarter of a second at 25 frames per second


class ColourMatch:
    """The smooth offset that takes a picture's colours to those of the picture that it goes into, worked out where the
    two are blended and followed in time, so that neither an edge nor a flicker is seen."""

    def __init__(self) -> None:
        self._offset: np.ndarray | None = None

    def offset(self, picture: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What to add to `picture`.

        Args:
            picture, target: [H,W,3] float32 in [0,1].
            weight: [H,W] share of the picture in the blend; where it is neither 0 nor 1, the two are compared.

        Returns:
            [H,W,3] float32.
        """
        band = 4 * weight * (1 - weight)
        inside = band > 0.25
        if not inside.any():
            return np.zeros_like(picture)
        difference = target - picture
        usual = np.median(difference[inside], axis=0)
        band = band * np.exp(-0.5 * np.square((difference - usual) / _ALIKE).sum(-1))
        share, sums = (_smooth(values) for values in (band[..., None], band[..., None] * difference))
        # Far from the band, the usual difference.
        offset = (sums + 1e-4 * usual) / (share + 1e-4)
        self._offset = offset if self._offset is None else self._offset + _FOLLOW * (offset - self._offset)
        return cv2.resize(self._offset, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _smooth(values: np.ndarray) -> np.ndarray:
    """[_CELLS,_CELLS,C] from [H,W,C]; beyond the edges there is nothing."""
    small = cv2.resize(values, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), _SPREAD, borderType=cv2.BORDER_CONSTANT)
    return smooth.reshape(_CELLS, _CELLS, -1)
