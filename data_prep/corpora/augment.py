"""Changes to the audio of a talking clip that leave the lips as they are: other voices, rooms, lines and levels.

A corpus of one talker teaches one voice; the motion model hears these instead (as do speech recognisers, see Ko et al.
2015, "Audio augmentation for speech recognition").
"""
from __future__ import annotations

import numpy as np
from scipy import signal

SAMPLE_RATE = 16000  # [Hz]


def shift_voice(audio: np.ndarray, semitones: float) -> np.ndarray:
    """Pitch and formants shifted together, duration kept: a shorter or a longer throat.

    Args:
        audio: [N] float32 at 16 kHz.
        semitones: positive for a smaller talker.
    """
    import librosa

    return librosa.effects.pitch_shift(audio, sr=SAMPLE_RATE, n_steps=semitones).astype(np.float32)


def equalise(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random smooth response of up to +-12 dB (a room, a microphone); one time in four a telephone band as well."""
    knots = np.geomspace(60, SAMPLE_RATE / 2, 7)
    gains = rng.uniform(-12, 12, len(knots)) * rng.uniform(0, 1)
    response = np.interp([0, *knots], [0, *knots], [gains[0], *gains])
    filtered = signal.lfilter(
        signal.firwin2(255, [0, *knots], 10 ** (response / 20), fs=SAMPLE_RATE), 1.0, np.pad(audio, (0, 127)))[127:]
    if rng.uniform() < 0.25:
        band = signal.butter(4, [300, 3400], "bandpass", fs=SAMPLE_RATE, output="sos")
        filtered = signal.sosfiltfilt(band, filtered)
    return filtered.astype(np.float32)


def reverberate(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An exponentially decaying noise tail of 0.1 to 0.5 s, 6 to 20 dB below the direct sound."""
    seconds = rng.uniform(0.1, 0.5)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (-rng.uniform(6, 20) / 20) / np.linalg.norm(tail)
    tail[0] += 1
    return signal.fftconvolve(audio, tail)[:len(audio)].astype(np.float32)


def coloured_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """[samples] Gaussian noise of unit RMS with a 1/f^k power spectrum, k drawn from 0 (white) to 2 (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 40)
    noise = np.fft.irfft(spectrum * frequency ** (-rng.uniform(0, 2) / 2), samples)
    return (noise / max(noise.std(), 1e-9)).astype(np.float32)


def add_noise(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """`audio` with coloured noise `snr_db` below its loud parts (95th percentile of 20 ms levels)."""
    whole = len(audio) // 320 * 320
    level = np.sqrt(np.mean(audio[:whole].reshape(-1, 320) ** 2, axis=1)) if whole else np.abs(audio)
    loud = float(np.percentile(level, 95)) if level.size else 0.0
    return audio + loud * 10 ** (-snr_db / 20) * coloured_noise(len(audio), rng)
