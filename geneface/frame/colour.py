"""Colours of a pasted picture, brought to those around it."""
from __future__ import annotations

import cv2
import numpy as np

_CELLS = 64  # side of the grid that the correction is worked out on
_WIDE, _NEAR = 9.0, 2.5  # cells over which gain and remainder are smoothed
_ALIKE = 20 / 255  # colours further apart than this, exposure set aside, show different things
_CERTAIN = 0.15  # a colour component this bright tells its own gain as surely as the brightness does
_FOLLOW = 0.5  # share of a frame's own correction in the one used: it follows within a few frames, and does not flicker


class ColourMatch:
    """Takes a picture's colours to those of the picture that it goes into, as seen where the two are blended: a smooth
    gain everywhere, for light and exposure are factors, and what then remains near the blend only. Followed in time, so
    that neither an edge nor a flicker is seen."""

    def __init__(self) -> None:
        self._correction: np.ndarray | None = None

    def apply(self, picture: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """`picture` in the colours of `target`.

        Args:
            picture, target: [H,W,3] float32 in [0,1].
            weight: [H,W] share of the picture in the blend; where it is neither 0 nor 1, the two are compared.

        Returns:
            [H,W,3] float32 in [0,1].
        """
        band = 4 * weight * (1 - weight)
        if band.max() > 0.25:
            found = _correction(picture, target, band)
            before = found if self._correction is None else self._correction
            self._correction = before + _FOLLOW * (found - before)
        if self._correction is None:
            return picture
        correction = cv2.resize(self._correction, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(picture * correction[..., :3] + correction[..., 3:], 0, 1)


def _correction(picture: np.ndarray, target: np.ndarray, band: np.ndarray) -> np.ndarray:
    """[_CELLS,_CELLS,6] gain and offset of each colour component."""
    inside = band > 0.25
    exposure = np.median(target[inside].mean(1) + 1e-3) / np.median(picture[inside].mean(1) + 1e-3)
    band = band * np.exp(-0.5 * np.square((target - exposure * picture) / _ALIKE).sum(-1))
    share, both, own, left, right = (
        cv2.resize(values, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        for values in (band, *(band[..., None] * each for each in (picture * target, picture**2, picture, target)))
    )
    known = _smooth(share, _WIDE)[..., None] * _CERTAIN**2 + 1e-6
    both, own = _smooth(both, _WIDE), _smooth(own, _WIDE)
    brightness = (both.sum(-1, keepdims=True) + known * exposure) / (own.sum(-1, keepdims=True) + known)
    gain = (both + known * brightness) / (own + known)
    remainder = _smooth(right - gain * left, _NEAR) / (_smooth(share, _NEAR)[..., None] + 0.02)
    return np.concatenate([gain, remainder], axis=-1)


def _smooth(values: np.ndarray, cells: float) -> np.ndarray:
    """[H,W,...]; beyond the edges there is nothing."""
    return cv2.GaussianBlur(values, (0, 0), cells, borderType=cv2.BORDER_CONSTANT)
