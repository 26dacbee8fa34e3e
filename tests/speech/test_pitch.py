"""F0, voicing and energy on signals whose values are known."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.speech.pitch import energy_db, frame_count, pitch

RATE = 16000


def tone(hz: float, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("hz", [90, 120, 200, 333, 550])
def test_tone(hz):
    found = pitch(tone(hz))
    inner = slice(3, -3)
    np.testing.assert_allclose(np.exp(found.log_f0[inner]), hz, rtol=3e-3)
    assert (found.voicing[inner] > 0.95).all()


def test_pulse_train_with_weak_fundamental():
    """A voice's harmonics without its fundamental still have its period."""
    time = np.arange(RATE) / RATE
    audio = sum(np.sin(2 * np.pi * 110 * k * time) for k in range(3, 12)).astype(np.float32) / 10
    np.testing.assert_allclose(np.exp(pitch(audio).log_f0[5:-5]), 110, rtol=3e-3)


def test_noise_and_silence_are_unvoiced():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    assert (pitch(noise).voicing > 0).mean() < 0.1
    silent = pitch(np.zeros(RATE, np.float32))
    assert not silent.voicing.any() and not silent.log_f0.any()


@pytest.mark.parametrize("samples", [0, 1, 31, 319, 320, 321, 1000, 16001])
def test_lengths(samples):
    audio = np.full(samples, 0.1, np.float32)
    assert len(pitch(audio).log_f0) == frame_count(samples) == -(-samples // 320)
    assert len(energy_db(audio)) == frame_count(samples)


def test_energy_of_a_known_level():
    assert energy_db(np.full(3200, 0.1, np.float32))[5] == pytest.approx(-20, abs=1e-3)
    assert energy_db(tone(200, level=1.0))[10] == pytest.approx(-3.01, abs=0.02)
    assert (energy_db(np.zeros(3200, np.float32)) == -100).all()


def test_agrees_with_praat():
    """On a gliding, vibrating voice; only where Praat's binding is installed."""
    parselmouth = pytest.importorskip("parselmouth")
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * time + 5 * np.sin(2 * np.pi * 5 * time)) / RATE
    audio = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.2 * (time < 1.5)
    praat = parselmouth.Sound(audio, RATE).to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
    ours = pitch(audio.astype(np.float32))
    centres = (np.arange(len(ours.log_f0)) + 0.5) / 50
    theirs = praat.selected_array["frequency"][np.abs(praat.xs()[None] - centres[:, None]).argmin(1)]
    both = (theirs > 0) & (ours.log_f0 > 0)
    assert ((theirs > 0) == (ours.log_f0 > 0)).mean() > 0.95
    assert np.median(np.abs(np.exp(ours.log_f0[both]) / theirs[both] - 1)) < 0.005
