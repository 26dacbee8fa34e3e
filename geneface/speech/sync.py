"""How far two courses of the same mouth are apart: the lag of greatest correlation."""
from __future__ import annotations

import numpy as np

MIN_OVERLAP = 12
"""Fewer shared frames than this (about half a second) say nothing about a correlation."""

MIN_PEAK = 0.3
"""Below this correlation the two signals do not resemble each other at any lag: no offset is given."""

CHANCE = 4.0
"""Nor is one below this over the root of the number of frames: unrelated signals correlate by one over the root
of their independent values, of which a talking mouth gives about one every four frames, and the largest of many
lags by about twice that."""


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson correlation of two signals over the frames where both are finite.

    Args:
        a, b: [T], NaN where there is no measurement.

    Returns:
        a value in [-1,1]; None with fewer than `MIN_OVERLAP` shared frames or where one signal does
        not move at all (the correlation is then undefined).

    Raises:
        ValueError: for signals of different lengths.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"a, b: expected two signals of one length, got {a.shape} and {b.shape}")
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_OVERLAP:
        return None
    a, b = a[both] - a[both].mean(), b[both] - b[both].mean()
    # Rounding leaves a constant signal with some 1e-16 of its size; that is not movement.
    length = np.linalg.norm(a) * np.linalg.norm(b)
    if np.abs(a).max() < 1e-9 or np.abs(b).max() < 1e-9:
        return None
    return float(np.clip(a @ b / length, -1, 1))


def sync_offset_frames(signal: np.ndarray, truth: np.ndarray, max_lag: int = 10) -> float | None:
    """By how many frames `signal` comes after `truth`: the lag of greatest correlation.

    A parabola through the peak and its neighbours gives the fraction of a frame.

    Args:
        signal, truth: [T], NaN where there is no measurement.
        max_lag: lags from -max_lag to +max_lag frames are tried, as far as the length allows.

    Returns:
        the offset [frames], positive where the signal is late; None where the signals resemble each
        other nowhere in that range (see `MIN_PEAK` and `CHANCE`), most at its very end, or are too short.
    """
    signal, truth = np.asarray(signal, np.float64), np.asarray(truth, np.float64)
    if signal.shape != truth.shape or signal.ndim != 1:
        raise ValueError(f"signal, truth: expected two signals of one length, got {signal.shape} and {truth.shape}")
    max_lag = min(max_lag, len(truth) - MIN_OVERLAP)
    if max_lag < 0:
        return None
    lags = np.arange(-max_lag, max_lag + 1)
    scores = np.array([_score(signal, truth, int(lag)) for lag in lags])
    best = int(np.argmax(scores))
    least = max(MIN_PEAK, CHANCE / np.sqrt(len(truth) - abs(lags[best])))
    # At the end of the range there is no peak, only a slope towards one outside it.
    if scores[best] < least or (best in (0, len(lags) - 1) and max_lag > 0):
        return None
    if max_lag == 0:
        return 0.0
    return float(lags[best]) + _between(scores, best)


def _score(signal: np.ndarray, truth: np.ndarray, lag: int) -> float:
    """Correlation of signal[t + lag] with truth[t], minus infinity where there is none."""
    late, early = signal[max(0, lag):], truth[max(0, -lag):]
    count = min(len(late), len(early))
    value = correlation(late[:count], early[:count])
    return -np.inf if value is None else value


def _between(scores: np.ndarray, best: int) -> float:
    """How far the summit of a parabola through a peak and its neighbours lies from the peak, in steps."""
    before, peak, after = scores[best - 1:best + 2]
    curvature = before - 2 * peak + after
    return float(0.5 * (before - after) / curvature) if np.isfinite(curvature) and curvature < 0 else 0.0
