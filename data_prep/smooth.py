"""Smoothing of time series without lag: past and future count alike."""
from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded


def whittaker(values: np.ndarray, cutoff: float, fps: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Penalised least squares with second differences (Whittaker 1923; Eilers 2003), zero phase.

    Args:
        values: [T,C] samples.
        cutoff: frequency at which the amplitude is halved [Hz]; from fps / 2 on, values come back as they are.
        fps: samples per second.
        weights: [T] trust in each sample; 0 fills it in from its neighbours. Default all 1.

    Returns:
        [T,C] float64.
    """
    count = len(values)
    weights = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    stiffness = (2 * np.sin(np.pi * min(cutoff / fps, 0.5))) ** -4  # gain at the cutoff: 1 / (1 + 1) for weight 1
    if cutoff >= fps / 2:
        if weights.min() > 0:
            return np.asarray(values, np.float64)
        stiffness = 1e-6
    if count < 3:
        return np.asarray(values, np.float64)
    bands = np.zeros((3, count))
    for offset, kernel in enumerate((((1, 4, 1)), ((-2, -2)), ((1,)))):
        for place, value in enumerate(kernel):
            bands[2 - offset, offset + place: count - 2 + offset + place] += stiffness * value
    bands[2] += weights + 1e-9
    return solveh_banded(bands, weights[:, None] * values, check_finite=False)


def fill(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Linear interpolation over time of [T,...] where `valid` [T] is False; the ends are held.

    Raises:
        ValueError: nothing is valid.
    """
    if not valid.any():
        raise ValueError("valid: no sample is valid")
    if valid.all():
        return values
    known = np.flatnonzero(valid)
    place = np.interp(np.arange(len(values)), known, np.arange(len(known)))
    low = place.astype(int)
    high = np.minimum(low + 1, len(known) - 1)
    part = (place - low).reshape(-1, *[1] * (values.ndim - 1))
    return ((1 - part) * values[known[low]] + part * values[known[high]]).astype(values.dtype)


def jitter(values: np.ndarray, fps: float, above: float = 5.0) -> np.ndarray:
    """[T,C] what is faster than `above` Hz: the part that looks like shaking."""
    return np.asarray(values, np.float64) - whittaker(values, above, fps)
