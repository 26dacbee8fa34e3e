"""Fundamental frequency, voicing and energy at 50 Hz.

F0 by the autocorrelation method of Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", with the defaults of Praat's `To Pitch (ac)`. Written out here because
the Python binding of Praat is GPL; `tests/speech/test_pitch.py` compares the two where that binding is installed.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

SAMPLE_RATE = 16000  # [Hz]
HOP = 320  # 20 ms; frame i is centred on sample 320 i + 160
FLOOR_HZ, CEILING_HZ = 75.0, 600.0
ENERGY_FLOOR_DB = -100.0

_PERIODS = 3  # of the lowest pitch in one analysis window
_CANDIDATES = 6
_SILENCE_THRESHOLD = 0.03
_VOICING_THRESHOLD = 0.45
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICED_UNVOICED_COST = 0.14


class Pitch(NamedTuple):
    """Attributes: log_f0 [T] natural log of Hz, 0 where unvoiced; voicing [T] in [0,1], 0 where unvoiced."""

    log_f0: np.ndarray
    voicing: np.ndarray


def frame_count(samples: int) -> int:
    """Number of 20 ms feature frames that cover `samples` (the last one may be part filled)."""
    return -(-samples // HOP)


def _frames(audio: np.ndarray, length: int) -> np.ndarray:
    """[T, length] windows centred on the feature frames, zeros outside the audio."""
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


def pitch(audio: np.ndarray) -> Pitch:
    """F0 and voicing of `audio` [N] float32 at 16 kHz, one value per feature frame."""
    audio = np.asarray(audio, np.float32)
    if len(audio) == 0:
        return Pitch(np.zeros(0, np.float32), np.zeros(0, np.float32))
    length = int(_PERIODS * SAMPLE_RATE / FLOOR_HZ)
    frames = _frames(audio, length)
    frames = frames - frames.mean(axis=1, keepdims=True)
    local_peak = np.abs(frames).max(axis=1)
    global_peak = max(float(np.abs(audio - audio.mean()).max()), 1e-9)
    correlation = _normalised_autocorrelation(frames, length)
    frequency, strength = _candidates(correlation)
    # Candidate 0 is "unvoiced": the likelier, the weaker the frame is against the loudest sample (Boersma, eq. 23).
    quiet = np.maximum(0, 2 - (local_peak / global_peak) / (_SILENCE_THRESHOLD / (1 + _VOICING_THRESHOLD)))
    frequency = np.concatenate([np.zeros((len(frames), 1)), frequency], axis=1)
    octave = np.log2(FLOOR_HZ / np.maximum(frequency[:, 1:], 1e-6)) * (frequency[:, 1:] > 0)
    score = np.concatenate([(_VOICING_THRESHOLD + quiet)[:, None], strength - _OCTAVE_COST * octave], axis=1)
    best = _best_path(frequency, score)
    rows = np.arange(len(frames))
    f0 = frequency[rows, best]
    voiced = f0 > 0
    strengths = np.concatenate([np.zeros((len(frames), 1)), strength], axis=1)[rows, best]
    log_f0 = np.where(voiced, np.log(np.maximum(f0, 1)), 0).astype(np.float32)
    return Pitch(log_f0, np.where(voiced, np.clip(strengths, 0, 1), 0).astype(np.float32))


def _normalised_autocorrelation(frames: np.ndarray, length: int) -> np.ndarray:
    """[T, lags] autocorrelation divided by the window's own (Boersma, eq. 9), lags up to 1 / floor."""
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    size = 1 << int(np.ceil(np.log2(2 * length)))
    lags = int(SAMPLE_RATE / FLOOR_HZ) + 2

    def autocorrelation(x: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.abs(np.fft.rfft(x, size)) ** 2, size)[..., :lags]

    of_window = autocorrelation(window)
    of_window = of_window / of_window[0]
    of_frames = autocorrelation(frames * window)
    energy = np.maximum(of_frames[:, :1], 1e-12)
    return (of_frames / energy / of_window).astype(np.float32)


def _candidates(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest maxima of every frame: frequencies [T, C] (0 for none) and strengths [T, C] (-1000 for none)."""
    low = max(2, int(np.ceil(SAMPLE_RATE / CEILING_HZ)))
    lags = np.arange(low, correlation.shape[1] - 1)
    left, middle, right = correlation[:, low - 1:-2], correlation[:, low:-1], correlation[:, low + 1:]
    maximum = (middle > left) & (middle >= right) & (middle > 0.5 * _VOICING_THRESHOLD)
    # Parabola through the three samples around the maximum.
    curve = np.maximum(2 * middle - left - right, 1e-9)
    shift = np.clip(0.5 * (right - left) / curve, -0.5, 0.5)
    strength = middle + 0.25 * (right - left) * shift
    strength = np.where(strength > 1, 1 / np.maximum(strength, 1), strength)
    frequency = SAMPLE_RATE / (lags + shift)
    ranked = np.where(maximum, strength - _OCTAVE_COST * np.log2(FLOOR_HZ * lags / SAMPLE_RATE), -np.inf)
    count = min(_CANDIDATES, ranked.shape[1])
    chosen = np.argpartition(-ranked, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(maximum, chosen, axis=1)
    frequency = np.where(found, np.take_along_axis(frequency, chosen, axis=1), 0)
    return frequency, np.where(found, np.take_along_axis(strength, chosen, axis=1), -1e3)


def _best_path(frequency: np.ndarray, score: np.ndarray) -> np.ndarray:
    """[T] index of the chosen candidate: Viterbi over octave jumps and changes of voicing (Boersma, eq. 27)."""
    count = len(frequency)
    # The published costs hold for 10 ms steps.
    correction = 0.01 * SAMPLE_RATE / HOP
    voiced = frequency > 0
    log = np.log2(np.where(voiced, frequency, 1))
    total = score[0].copy()
    back = np.zeros(frequency.shape, np.int64)
    for t in range(1, count):
        both = voiced[t - 1][:, None] & voiced[t][None, :]
        change = voiced[t - 1][:, None] != voiced[t][None, :]
        jump = np.abs(log[t - 1][:, None] - log[t][None, :])
        cost = correction * (_OCTAVE_JUMP_COST * jump * both + _VOICED_UNVOICED_COST * change)
        options = total[:, None] - cost
        back[t] = options.argmax(axis=0)
        total = options.max(axis=0) + score[t]
    path = np.empty(count, np.int64)
    path[-1] = int(total.argmax())
    for t in range(count - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
