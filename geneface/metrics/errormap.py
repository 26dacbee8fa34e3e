"""Where in the picture the errors are: the mean absolute error of every pixel over many frames."""
from __future__ import annotations

from typing import Any

import numpy as np

FULL_SCALE = 32
"""The error at which the heat map's colours end [8-bit levels]: fixed, so that maps of two avatars can be compared."""


class ErrorMap:
    """Sums the errors of a sequence, frame after frame."""

    def __init__(self) -> None:
        self._sum: np.ndarray | float = 0.0
        self._count: np.ndarray | float = 0.0

    def add(self, image: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> None:
        """Add a frame.

        Args:
            image, truth: [H,W,3] uint8 RGB.
            seen: [H,W] bool; a pixel counts in the frames in which it is set.
        """
        error = np.abs(image.astype(np.int16) - truth).mean(axis=-1, dtype=np.float32)
        self._sum = self._sum + error * seen
        self._count = self._count + seen

    def mean(self) -> np.ndarray:
        """[H,W] mean absolute error over frames and channels [8-bit levels], 0 where a pixel was never seen."""
        return np.asarray(self._sum / np.maximum(self._count, 1), np.float32)


def draw(axes: Any, error: np.ndarray, title: str, scale: bool = False) -> None:
    """Draw a heat map on matplotlib axes.

    Args:
        error: [H,W] [8-bit levels].
        scale: draw the colours' scale beside it.
    """
    shown = axes.imshow(error, cmap="inferno", vmin=0, vmax=FULL_SCALE)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    if scale:
        axes.figure.colorbar(shown, ax=axes, shrink=0.8, label="mean absolute error [of 255 levels]", extend="max")
