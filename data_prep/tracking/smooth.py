"""Smoothing of time series without lag: past and future count alike."""
from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d


def _stiffness(cutoff: float, fps: float) -> float:
    """Penalty on second differences that halves the amplitude at `cutoff` [Hz], for samples of weight 1."""
    return (2 * np.sin(np.pi * min(cutoff / fps, 0.5))) ** -4


def _solve(values: np.ndarray, stiffness: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Minimise sum w (x - value)^2 + sum stiffness (second difference of x)^2 for [T,C]; stiffness is [T-2]."""
    count = len(values)
    bands = np.zeros((3, count))
    kernel = (1.0, -2.0, 1.0)
    for row in range(3):
        for column in range(row, 3):
            offset = column - row
            bands[2 - offset, column: count - 2 + column] += kernel[row] * kernel[column] * stiffness
    bands[2] += weights + 1e-9
    return solveh_banded(bands, weights[:, None] * values, check_finite=False)


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
    values = np.asarray(values, np.float64)
    if count < 3 or (cutoff >= fps / 2 and weights.min() > 0):
        return values
    stiffness = _stiffness(cutoff, fps) if cutoff < fps / 2 else 1e-6
    return _solve(values, np.full(count - 2, stiffness), weights)


def adaptive(values: np.ndarray, low: float, high: float, fps: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Zero-phase smoothing that is strong while the signal rests and weak while it moves.

    The most probable signal under white noise and white acceleration whose strength changes over time: the penalty on
    second differences is their ratio of variances, both read off the signal itself.

    Args:
        values: [T,C] samples.
        low, high: the cutoff stays between these frequencies [Hz].
        fps: samples per second.
        weights: [T] trust in each sample, default 1.
    """
    count = len(values)
    weights = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    values = np.asarray(values, np.float64)
    if count < 8:
        return whittaker(values, high, fps, weights)
    # What the filter at `high` leaves of white noise (in the residual, and in second differences).
    response = (2 * np.sin(np.linspace(0, np.pi / 2, 257))) ** 2
    gain = 1 / (1 + _stiffness(high, fps) * response**2)
    first = whittaker(values, high, fps, weights)
    trusted = weights > 0.5
    residual = (values - first)[trusted]
    noise = np.median(residual**2, 0) / 0.455 / ((1 - gain) ** 2).mean()  # variance from the median square
    # Over a shorter stretch the measured acceleration is chance, and its peaks would let the noise through.
    acceleration = gaussian_filter1d(np.diff(first, n=2, axis=0) ** 2, 0.2 * fps, axis=0, mode="nearest")
    signal = acceleration - noise * ((gain * response) ** 2).mean()
    ratio = noise / np.maximum(signal, 1e-3 * noise + 1e-30)
    ratio = np.clip(ratio, _stiffness(high, fps), _stiffness(low, fps))
    return np.concatenate([_solve(values[:, c:c + 1], ratio[:, c], weights) for c in range(values.shape[1])], 1)


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
