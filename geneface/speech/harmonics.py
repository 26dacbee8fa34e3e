"""F0 by the harmonics of the spectrum: a second opinion beside `autocorrelation`, on other evidence.

Camacho and Harris (2008), "A sawtooth waveform inspired pitch estimator for speech and music" (SWIPE'): a frequency is
scored by how well the square root of the magnitude spectrum fits cosine lobes on its first and its prime harmonics,
with valleys between them. Primes, so that a subharmonic finds one of its lobes filled and not every second. One window
length serves all voices here, which makes all scores one product of matrices.
"""
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from .autocorrelation import CEILING_HZ, FLOOR_HZ
from .framing import SAMPLE_RATE, centred_windows

_WINDOW = 1024  # 64 ms: tells the harmonics of 75 Hz apart
_FFT = 2048
_TOP_HZ = 3200.0
_PER_OCTAVE = 48
_HARMONICS = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
_ERB_BREAK_HZ = 229.0  # frequencies count by their density on the scale of equivalent rectangular bandwidths


def harmonic_pitch(audio: np.ndarray) -> np.ndarray:
    """The likeliest pitch of every frame, whether voiced or not.

    Args:
        audio: [N] float32 at 16 kHz.

    Returns:
        [T] F0 [Hz].
    """
    candidates, density, kernel = _kernel()
    window = np.hanning(_WINDOW + 2)[1:-1].astype(np.float32)
    spectrum = np.fft.rfft(centred_windows(audio, _WINDOW) * window, _FFT)[:, 1:len(density) + 1]
    loudness = np.sqrt(np.abs(spectrum)).astype(np.float32)
    # By torch, whose threads sleep when there is nothing to do: those of NumPy's product cost ten times the work where
    # other programs run.
    fit = (torch.from_numpy(loudness) @ torch.from_numpy(kernel)).numpy()
    scores = fit / np.maximum(np.sqrt((np.square(loudness) * density).sum(axis=1)), 1e-6)[:, None]
    best = scores.argmax(axis=1)
    inner = np.clip(best, 1, len(candidates) - 2)
    left, middle, right = (np.take_along_axis(scores, inner[:, None] + step, 1)[:, 0] for step in (-1, 0, 1))
    curve = np.maximum(2 * middle - left - right, 1e-9)
    shift = np.where(best == inner, np.clip(0.5 * (right - left) / curve, -0.5, 0.5), 0)
    return candidates[best] * 2 ** (shift / _PER_OCTAVE)


@lru_cache(maxsize=1)
def _kernel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate frequencies [C], weights of the bins [B], lobes and valleys [B, C] of unit norm where positive."""
    bins = np.arange(1, int(_TOP_HZ / SAMPLE_RATE * _FFT) + 1) * SAMPLE_RATE / _FFT
    steps = int(np.log2(CEILING_HZ / FLOOR_HZ) * _PER_OCTAVE) + 1
    candidates = FLOOR_HZ * 2 ** (np.arange(steps) / _PER_OCTAVE)
    multiple = bins[:, None] / candidates
    distance = np.abs(multiple[..., None] - np.array(_HARMONICS))
    weight = np.where(distance < 0.25, 1.0, np.where(distance < 0.75, 0.5, 0.0)).sum(-1)
    lobes = weight * np.cos(2 * np.pi * multiple) / np.sqrt(bins)[:, None]
    density = 1 / (bins + _ERB_BREAK_HZ)
    norm = np.sqrt((density[:, None] * np.square(np.maximum(lobes, 0))).sum(axis=0))
    return candidates, density.astype(np.float32), (lobes / norm * density[:, None]).astype(np.float32)
