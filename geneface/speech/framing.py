"""The feature frames: one every 20 ms, frame i centred on sample 320 i + 160; the level of each, and runs of them."""
from __future__ import annotations

import numpy as np

SAMPLE_RATE = 16000  # [Hz]
HOP = 320  # 20 ms
ENERGY_FLOOR_DB = -100.0


def frame_count(samples: int) -> int:
    """Number of 20 ms feature frames that cover `samples` (the last one may be part filled)."""
    return -(-samples // HOP)


def centred_windows(audio: np.ndarray, length: int) -> np.ndarray:
    """[T, length] windows centred on the feature frames of `audio` [N], zeros outside it."""
    count = frame_count(len(audio))
    before = length // 2 - HOP // 2
    padded = np.pad(audio, (before, max(0, max(count - 1, 0) * HOP + length - before - len(audio))))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::HOP][:count]


def energy_db(audio: np.ndarray) -> np.ndarray:
    """RMS level of 40 ms around every feature frame.

    Args:
        audio: [N] samples in [-1, 1] at 16 kHz.

    Returns:
        [T] dB relative to a full-scale square wave, at least -100.
    """
    if not len(audio):
        return np.zeros(0, np.float32)
    half = HOP // 2
    count = frame_count(len(audio))
    # Quarters of the 40 ms window, so that long recordings need no copy per window.
    quarters = np.pad(audio, (half, count * HOP - len(audio) + half)).reshape(-1, half)
    quarters = np.einsum("ij,ij->i", quarters, quarters, dtype=np.float64) / half
    power = np.lib.stride_tricks.sliding_window_view(quarters, 4)[::2].mean(axis=1)[:count]
    return np.maximum(ENERGY_FLOOR_DB, 10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)


def runs(active: np.ndarray) -> np.ndarray:
    """[R,2] first and past the last index of every run of True."""
    return np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]))).reshape(-1, 2)


def close_gaps(active: np.ndarray, longest: int) -> np.ndarray:
    """Fill runs of False shorter than `longest` that lie between True."""
    active = active.copy()
    for begin, end in runs(~active):
        if end - begin < longest and begin > 0 and end < len(active):
            active[begin:end] = True
    return active
