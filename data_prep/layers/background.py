"""Clean background plate: the picture without the person."""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from geneface.types import require

from .regions import disc

_MARGIN = 0.016  # distance a sample keeps from the person [picture sides]: hair, soft edges and shadows spill that far
_LEAST = 3  # samples a pixel needs
_ROWS = 64  # rows worked on at once: bounds memory


def background_plate(read: Callable[[int], tuple[np.ndarray, np.ndarray]], indices: list[int],
                     ) -> tuple[np.ndarray, np.ndarray, float]:
    """Median over time of each pixel where it is surely background; what the person always hides is
    filled smoothly from around it.

    Args:
        read: index -> frame [H,W,3] uint8 RGB and its background alpha [H,W] uint8.
        indices: frames to use; some 80 spread over the clip are enough.

    Returns:
        plate: [H,W,3] uint8 RGB.
        seen: [H,W] bool, where it was seen.
        unrest: median difference of the seen background from the plate [grey levels]: a camera or a
            background that moves.
    """
    require(len(indices) > 0, "indices: none given")
    frames, sure = [], []
    for index in indices:
        frame, alpha = read(index)
        margin = max(1, round(_MARGIN * max(alpha.shape)))
        frames.append(frame)
        sure.append(cv2.erode((alpha >= 250).astype(np.uint8), disc(margin), borderValue=1) > 0)
    frames, sure = np.stack(frames), np.stack(sure)
    plate, known = median_where(frames, sure, min(_LEAST, len(indices)))
    filled = fill_smoothly(plate, known) if known.any() else np.full_like(plate, frames.mean((0, 1, 2)))
    return np.rint(filled).clip(0, 255).astype(np.uint8), known, _unrest(frames, sure, plate, known)


def median_where(pictures: np.ndarray, sure: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Median over time of each pixel, of the pictures in which it is sure.

    Args:
        pictures: [K,H,W,C] uint8.
        sure: [K,H,W] bool.
        least: sure samples that a pixel needs.

    Returns:
        [H,W,C] float32, zero where not known; [H,W] bool, where it is.
    """
    median = np.zeros(pictures.shape[1:], np.float32)
    count = sure.sum(0)
    known = count >= max(1, least)
    for top in range(0, len(median), _ROWS):
        rows = slice(top, top + _ROWS)
        # What is not sure sorts last: the median is the mean of the two middle ones of the first `count`.
        samples = np.where(sure[:, rows, :, None], pictures[:, rows], np.int16(256)).astype(np.int16)
        samples.sort(axis=0)
        for k in ((count[rows] - 1) // 2, count[rows] // 2):
            median[rows] += np.take_along_axis(samples, k.clip(0)[None, ..., None], 0)[0] / np.float32(2)
    median[~known] = 0
    return median, known


def _unrest(frames: np.ndarray, sure: np.ndarray, plate: np.ndarray, known: np.ndarray) -> float:
    """Median over pixels, of which every 16th suffices, of the median distance from the plate."""
    frames, sure, plate, known = frames[:, ::4, ::4], sure[:, ::4, ::4], plate[::4, ::4], known[::4, ::4]
    distance = np.abs(frames[:, known] - plate[known]).mean(-1)
    distance[~sure[:, known]] = np.nan
    return float(np.median(np.nanmedian(distance, axis=0))) if known.any() else 0.0


def fill_smoothly(picture: np.ndarray, known: np.ndarray, sweeps: int = 60) -> np.ndarray:
    """Fill unknown pixels by a membrane spanned between the known ones (Laplace's equation).

    Solved from coarse to fine: each level starts from the coarser one's answer.

    Args:
        picture: [H,W,C] float32; unknown values are ignored.
        known: [H,W] bool, somewhere True.
        sweeps: relaxation sweeps at each level.

    Returns:
        [H,W,C] float32, equal to `picture` where known.
    """
    require(bool(known.any()), "known: nothing is known")
    if known.all():
        return picture
    height, width = known.shape
    if min(height, width) <= 2:
        return np.where(known[..., None], picture, picture[known].mean(0))
    small = ((width + 1) // 2, (height + 1) // 2)
    weight = known.astype(np.float32)
    coverage = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    total = cv2.resize(picture * weight[..., None], small, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(coverage, 1e-6)[..., None]
    coarse = fill_smoothly(mean.astype(np.float32), coverage > 1e-3, sweeps)
    value = np.where(known[..., None], picture, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    unknown = ~known
    for _ in range(sweeps if max(height, width) <= 128 else sweeps // 4):
        value[unknown] = cv2.filter2D(value, -1, cross, borderType=cv2.BORDER_REPLICATE)[unknown]
    return value.astype(np.float32)
