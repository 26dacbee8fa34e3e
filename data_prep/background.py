"""Clean background plate: the picture without the person."""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from geneface.types import require

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
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
        frames.append(frame)
        sure.append(cv2.erode((alpha >= 250).astype(np.uint8), kernel, borderValue=1) > 0)
    frames, sure = np.stack(frames), np.stack(sure)
    least = min(_LEAST, len(indices))
    plate = np.zeros(frames.shape[1:], np.float32)
    unrest = []
    for top in range(0, len(plate), _ROWS):
        rows = slice(top, top + _ROWS)
        samples = np.where(sure[:, rows, :, None], frames[:, rows], np.float32(np.nan)).astype(np.float32)
        count = sure[:, rows].sum(0)
        ordered = np.sort(samples, axis=0)  # NaN last
        # Median of the `count` real samples: mean of the two middle ones.
        low, high = (np.clip(k, 0, len(indices) - 1) for k in ((count - 1) // 2, count // 2))
        take = lambda k: np.take_along_axis(ordered, np.repeat(k[None, ..., None], 3, -1), 0)[0]  # noqa: E731
        middle = (take(low) + take(high)) / 2
        known = count >= least
        plate[rows][known] = middle[known]
        if known.any():
            unrest.append(np.nanmedian(np.abs(samples[:, known] - middle[known]), axis=0).mean(-1))
    known = sure.sum(0) >= least
    filled = fill_smoothly(plate, known) if known.any() else np.full_like(plate, frames.mean((0, 1, 2)))
    return (np.rint(filled).clip(0, 255).astype(np.uint8), known,
            float(np.median(np.concatenate(unrest))) if unrest else 0.0)


def fill_smoothly(picture: np.ndarray, known: np.ndarray, sweeps: int = 60) -> np.ndarray:
    """Fill unknown pixels by a membrane spanned between the known ones (Laplace's equation).

    Solved from coarse to fine: each level starts from the coarser one's answer.

    Args:
        picture: [H,W,3] float32; unknown values are ignored.
        known: [H,W] bool, somewhere True.
        sweeps: relaxation sweeps at each level.

    Returns:
        [H,W,3] float32, equal to `picture` where known.
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
