"""How much fine detail a render has of what truth has."""
from __future__ import annotations

import cv2
import numpy as np

from .image import check_pair, luma


def sharpness(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float | None:
    """Variance of the Laplacian of the luma within `mask`, the image's over truth's.

    1: as much detail as truth, less: softer. Detail that is wrong counts like detail that is right, and the noise and
    compression of the true frames is detail too, so a perfect render without noise stays below 1.

    After Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy" (2000); Laplacian of four neighbours.

    Args:
        image, truth: [H,W,3] uint8 RGB.
        mask: [H,W] bool; the Laplacian reaches one pixel beyond it.

    Returns:
        None where the mask is empty, or truth has no detail there.

    Raises:
        ValueError: types or shapes that do not fit.
    """
    check_pair(image, truth, mask)
    if not mask.any():
        return None
    detail, true_detail = (float(np.var(_laplacian(picture)[mask], dtype=np.float64)) for picture in (image, truth))
    return detail / true_detail if true_detail > 1e-6 else None  # rounding of the luma aside


def _laplacian(image: np.ndarray) -> np.ndarray:
    """[H,W] of the luma [levels]."""
    return cv2.Laplacian(luma(image), cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE)
