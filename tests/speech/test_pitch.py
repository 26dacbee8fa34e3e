"""F0, voicing and energy on signals whose values are known."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from geneface.speech import pitch as pitch_module
from geneface.speech.autocorrelation import autocorrelation_pitch
from geneface.speech.framing import energy_db, frame_count
from geneface.speech.pitch import pitch

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
    found = pitch(audio)
    np.testing.assert_allclose(np.exp(found.log_f0[5:-5]), 110, rtol=3e-3)
    assert found.agreed[5:-5].all()


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


def voice(hz: float, seconds: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A gliding train of glottal pulses through the formants of changing vowels, and its F0 in every feature frame."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    f0 = hz * 2 ** (0.3 * np.sin(2 * np.pi * 0.4 * time) + 0.02 * np.sin(2 * np.pi * 5 * time))
    source = np.diff(np.cumsum(f0 / RATE) % 1, prepend=0) < 0
    sound = np.zeros(count)
    for first in range(0, count, RATE // 5):
        piece = source[max(0, first - 800):first + RATE // 5].astype(float)
        for formant, width in zip(random.permutation([300, 500, 730])[:1].tolist() + [1500, 2500], (70, 100, 150)):
            radius = np.exp(-np.pi * width / RATE)
            poles = [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2]
            piece = lfilter([sum(poles)], poles, piece)
        sound[first:first + RATE // 5] = piece[-min(RATE // 5, count - first):]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32), f0[np.arange(frame_count(count)) * 320 + 159]


@pytest.mark.parametrize("telephone", [False, True])
def test_two_methods_err_less_than_one(telephone):
    """Voices of men, women and children in noise 3 dB below, whole and through a telephone's band, where the first
    method alone falls an octave in 8 % of the frames."""
    random = np.random.default_rng(0)
    one, two, voiced = [], [], []
    for hz in (90, 140, 210, 330):
        audio, truth = voice(hz, 3, random)
        if telephone:
            audio = lfilter(*butter(4, [300 / 8000, 3400 / 8000], "band"), audio).astype(np.float32)
        audio = audio + (random.standard_normal(len(audio)) * audio.std() * 10 ** (-3 / 20)).astype(np.float32)
        found, alone = pitch(audio), autocorrelation_pitch(audio)[0]
        kept = found.log_f0 > 0
        two.append(np.abs(np.exp(found.log_f0[kept]) / truth[kept] - 1) > 0.2)
        one.append(np.abs(alone[alone > 0] / truth[alone > 0] - 1) > 0.2)
        voiced.append(kept.sum() / max((alone > 0).sum(), 1))
    wrong, before = np.concatenate(two), np.concatenate(one)
    assert wrong.mean() < 0.01 and (before.mean() > 0.05) == telephone
    assert np.mean(voiced) > 0.8


def test_octave_error_is_mended(monkeypatch):
    """Where the first method falls an octave for a while, the other and the frames around put it right."""
    real = pitch_module.autocorrelation_pitch

    def falls(audio):
        f0, strength = real(audio)
        f0[20:26] /= 2
        return f0, strength

    audio, truth = voice(150, 1, np.random.default_rng(0))
    monkeypatch.setattr(pitch_module, "autocorrelation_pitch", falls)
    found = pitch(audio)
    assert not found.agreed[20:26].any() and found.agreed[8:18].all()
    np.testing.assert_allclose(np.exp(found.log_f0[5:45]), truth[5:45], rtol=0.03)


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
