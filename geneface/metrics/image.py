"""Picture fidelity: PSNR and SSIM of 8-bit RGB frames, whole or within a mask."""
from __future__ import annotations

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

PEAK = 255.0

MAX_PSNR = 100.0
"""Given for frames that do not differ [dB]: their PSNR is infinite, and means and JSON need a number."""


def check_pair(image: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> None:
    """Raise ValueError unless both are uint8 [H,W,3] pictures of one size, and `mask` is bool [H,W]."""
    for name, value in (("image", image), ("truth", truth)):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
            raise ValueError(f"{name}: expected uint8 [H,W,3], got {value.dtype} {value.shape}")
    if image.shape != truth.shape:
        raise ValueError(f"image: is {image.shape}, truth is {truth.shape}")
    if mask is not None and (mask.shape != truth.shape[:2] or mask.dtype != bool):
        raise ValueError(f"mask: expected bool {truth.shape[:2]}, got {mask.dtype} {mask.shape}")


def psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float | None:
    """Peak signal-to-noise ratio [dB] over all pixels and channels, or over those in `mask`.

    Args:
        image, truth: [H,W,3] uint8 RGB.
        mask: [H,W] bool; pixels outside it have no influence at all.

    Returns:
        10 log10(255^2 / mean squared error), at most `MAX_PSNR`; None for an empty mask.

    Raises:
        ValueError: types or shapes that do not fit.
    """
    check_pair(image, truth, mask)
    difference = image.astype(np.float32) - truth
    if mask is not None:
        difference = difference[mask]
        if difference.size == 0:
            return None
    error = float(np.mean(np.square(difference), dtype=np.float64))
    if error == 0:
        return MAX_PSNR
    return min(MAX_PSNR, 10 * float(np.log10(PEAK**2 / error)))


def ssim(image: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float | None:
    """Structural similarity, in [-1,1], 1 for equal pictures: the mean of `ssim_map`, or of its part in `mask`.

    Args:
        image, truth: [H,W,3] uint8 RGB, at least 11 px a side.
        mask: [H,W] bool: centres of the windows that count.

    Returns:
        None for an empty mask.

    Raises:
        ValueError: types or shapes that do not fit, or a picture smaller than the window.
    """
    check_pair(image, truth, mask)
    similarity = ssim_map(image, truth)
    margin = _WINDOW.size // 2
    if mask is not None:
        similarity = similarity[mask[margin:-margin, margin:-margin]]
    return float(similarity.mean(dtype=np.float64)) if similarity.size else None


def ssim_map(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[H-10,W-10] structural similarity around each pixel whose window lies inside the picture.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity" (2004): Gaussian window of 11 taps and sigma 1.5, K1 = 0.01, K2 = 0.03; mean of the colour
    channels.

    Args:
        image, truth: [H,W,3] uint8 RGB, at least 11 px a side.

    Raises:
        ValueError: types or shapes that do not fit, or a picture smaller than the window.
    """
    check_pair(image, truth)
    if min(image.shape[:2]) < _WINDOW.size:
        raise ValueError(f"image: {image.shape[1]}x{image.shape[0]} px is smaller than SSIM's {_WINDOW.size} px window")
    # Variances are differences of large numbers: taken about mid-grey they lose less to rounding.
    x, y = image.astype(np.float32) - 128, truth.astype(np.float32) - 128
    mean_x, mean_y, square_x, square_y, product = (_window_mean(v) for v in (x, y, x * x, y * y, x * y))
    variance_x = square_x - mean_x**2
    variance_y = square_y - mean_y**2
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + 128, mean_y + 128
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean(axis=-1)


def _gaussian(taps: int, sigma: float) -> np.ndarray:
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


_WINDOW = _gaussian(11, 1.5)


def _window_mean(picture: np.ndarray) -> np.ndarray:
    """[H,W,C] -> [H-10,W-10,C]: Gaussian-weighted mean where the whole window fits."""
    margin = _WINDOW.size // 2
    return cv2.sepFilter2D(picture, cv2.CV_32F, _WINDOW, _WINDOW)[margin:-margin, margin:-margin]


def fit_side(image: np.ndarray, side: int) -> np.ndarray:
    """Scale a picture so that its longer side is `side` px, aspect kept (Lanczos, antialiased).

    Args:
        image: [H,W,3] uint8 RGB.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return resize(image, size)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale [H,W,3] uint8 to `size` = (width, height) px (Lanczos, antialiased)."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def luma(image: np.ndarray) -> np.ndarray:
    """[...,3] RGB [8-bit levels] to [...] float32 luma (BT.601 weights)."""
    return image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def in_sight(mask: np.ndarray) -> np.ndarray:
    """[H,W] bool: where nothing is in front of the person.

    Args:
        mask: [H,W,3] uint8 masks of a prepared person, which lack there what hides the person.
    """
    return mask.sum(-1, dtype=np.int32) >= 250  # resampling rounds each of the three


def dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    """[H,W] bool, grown by a disc of `radius` px."""
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask) <= radius
