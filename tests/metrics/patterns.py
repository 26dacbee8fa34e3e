"""Pictures made by formula, so that values computed elsewhere can be compared."""
from __future__ import annotations

import numpy as np


def pattern(height: int, width: int, phase: float) -> np.ndarray:
    """[height,width,3] uint8: coloured waves that move with `phase`."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [
        128 + 90 * np.sin(x / (5 + 2 * k) + phase) * np.cos(y / (9 - 2 * k) - 0.5 * phase) + 20 * np.sin((x + y) / 3.0)
        for k in range(3)
    ]
    return np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)
