"""Visible breaks where the head meets the torso: neck gaps, double chins, hard edges."""
from __future__ import annotations

import numpy as np
from scipy import ndimage

from .image import check_pair, dilate, in_sight

BAND = 6.0
"""The boundary is where both head and torso lie within this distance [px at 512 scale]."""

TOLERANCE = 4
"""An edge that truth has within this distance is no seam, only slightly out of place [px at 512 scale]."""


def boundary(mask: np.ndarray) -> np.ndarray:
    """[H,W] bool: the pixels along the border of head and torso.

    Args:
        mask: [H,W,3] uint8 soft masks: head, torso, background; what hides them is missing from their sum.
    """
    return dilate(mask[..., 0] >= 128, BAND) & dilate(mask[..., 1] >= 128, BAND) & in_sight(mask)


def seam(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float | None:
    """Edges along the head-torso border that truth does not have [8-bit levels per px].

    The gradient magnitude of the luma, Gaussian smoothed by 1 px, less the largest that truth shows
    within `TOLERANCE` px, where positive, averaged over the border's pixels. A collar or a jaw line
    that truth has too counts nothing; a line drawn across the neck, a gap or a step in colour does.

    Args:
        image, truth: [H,W,3] uint8 RGB at 512 scale.
        mask: [H,W,3] uint8 soft masks of truth (head, torso, background), same size.

    Returns:
        0 for a render without a new edge; None where head and torso do not meet in the picture.

    Raises:
        ValueError: types or shapes that do not fit.
    """
    check_pair(image, truth)
    check_pair(mask, truth)
    band = boundary(mask)
    if not band.any():
        return None
    # Only the band and what its filters reach is worth computing.
    reach = TOLERANCE + 8
    rows, columns = np.flatnonzero(band.any(axis=1)), np.flatnonzero(band.any(axis=0))
    window = (
        slice(max(0, rows[0] - reach), rows[-1] + reach + 1),
        slice(max(0, columns[0] - reach), columns[-1] + reach + 1),
    )
    allowed = ndimage.maximum_filter(_gradient(truth[window]), size=2 * TOLERANCE + 1)
    excess = np.maximum(_gradient(image[window]) - allowed, 0)
    return float(excess[band[window]].mean())


def _gradient(image: np.ndarray) -> np.ndarray:
    """[H,W] gradient magnitude of the luma (BT.601 weights) [levels per px]."""
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return ndimage.gaussian_gradient_magnitude(luma, sigma=1.0)
