"""Offset between sound and picture."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.sync import audio_offset, relative_mouth_opening, spectrum

RATE, FPS = 16000, 25.0


def talk(frames: int, shift: float, seed: int = 0):
    """Mouth opening [T], and a sound whose loudness and timbre follow it `shift` frames later."""
    rng = np.random.default_rng(seed)
    opening = np.convolve(rng.uniform(0, 1, frames + 40), np.hanning(5), "same")[20:frames + 20]
    at = np.arange(round(frames / FPS * RATE)) / RATE * FPS - 0.5 - shift
    envelope = np.interp(at, np.arange(frames), opening)
    noise = rng.normal(0, 1, len(at))
    time = np.arange(len(at)) / RATE
    vowel = sum(np.sin(2 * np.pi * k * 150 * time) / k for k in range(1, 12))
    return opening, (0.1 * envelope * vowel + 0.005 * noise).astype(np.float32)


@pytest.mark.parametrize("shift", [-6, -1, 0, 2.5, 7])
def test_known_offsets_are_found(shift):
    assert audio_offset(*talk(600, shift), RATE, FPS) == pytest.approx(shift, abs=0.35)


def test_what_does_not_belong_together_gives_none():
    opening, _ = talk(600, 0)
    assert audio_offset(opening, talk(600, 0, seed=5)[1], RATE, FPS) is None
    assert audio_offset(opening, np.zeros(600 * 640, np.float32), RATE, FPS) is None
    assert audio_offset(np.zeros(600), talk(600, 0)[1], RATE, FPS) is None
    assert audio_offset(opening[:100], talk(100, 0)[1], RATE, FPS) is None


def test_spectrum_of_a_tone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / RATE).astype(np.float32)
    bands = spectrum(tone, RATE, FPS, 25)
    assert bands.shape == (25, 24)
    edges = np.linspace(2595 * np.log10(1 + 80 / 700), 2595 * np.log10(1 + 6000 / 700), 25)
    expected = np.searchsorted(edges, 2595 * np.log10(1 + 1000 / 700)) - 1
    assert (np.abs(bands[1:-1].argmax(1) - expected) <= 1).all()


def test_mouth_opening_does_not_depend_on_size():
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(0, 100, (5, 478, 2))
    assert relative_mouth_opening(landmarks) == pytest.approx(relative_mouth_opening(3 * landmarks + 7))


def test_bad_rates_are_named():
    with pytest.raises(ValueError, match="fps"):
        audio_offset(np.zeros(300), np.zeros(10, np.float32), RATE, 0)
