"""F0 and voicing by the autocorrelation method of Boersma (1993), "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio of a sampled sound", with the defaults of Praat's `To Pitch (ac)`.

Written out here because the Python binding of Praat is GPL; `tests/speech/test_pitch.py` compares the two where that
binding is installed.
"""
from __future__ import annotations

import numpy as np

from .framing import HOP, SAMPLE_RATE, centred_windows

FLOOR_HZ, CEILING_HZ = 75.0, 600.0

_PERIODS = 3  # of the lowest pitch in one analysis window
_CANDIDATES = 6
_SILENCE_THRESHOLD = 0.03
_VOICING_THRESHOLD = 0.45
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICED_UNVOICED_COST = 0.14


def autocorrelation_pitch(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch of a recording.

    Args:
        audio: [N] float32 at 16 kHz, not empty.

    Returns:
        [T] F0 [Hz], 0 where unvoiced; [T] strength of the periodicity in [0, 1], 0 where unvoiced.
    """
    length = int(_PERIODS * SAMPLE_RATE / FLOOR_HZ)
    frames = centred_windows(audio, length)
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
    return f0, np.where(voiced, np.clip(strengths, 0, 1), 0)


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
