"""Parts of pictures."""
from __future__ import annotations

import cv2
import numpy as np


def disc(radius: int) -> np.ndarray:
    """[2r+1,2r+1] uint8: what dilates by `radius` px in all directions."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def box(region: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a region [H,W] bool and a margin around it [px]; a single pixel for no region."""
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(region.any(axis))
        spans.append(slice(max(0, where[0] - margin), where[-1] + 1 + margin) if len(where) else slice(0, 1))
    return spans[0], spans[1]


def largest(region: np.ndarray) -> np.ndarray:
    """[H,W] bool: the largest connected part of a region [H,W] bool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    return region if count <= 2 else labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def grown(region: np.ndarray, rim: int = 2) -> np.ndarray:
    """[H,W] bool: a region and its rim [px]."""
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)) > 0
