"""Changes to a voice and its way to the ear: each changes what it says and nothing else."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from data_prep.corpora import augment
from geneface.speech.pitch import pitch

RATE = 16000


def vowel(f0: float = 120.0, formants: tuple[float, ...] = (600.0, 1200.0), seconds: float = 1.0) -> np.ndarray:
    """Pulses through two resonances."""
    samples = int(seconds * RATE)
    sound = np.zeros(samples)
    sound[(np.arange(0, samples, RATE / f0)).astype(int)] = 1
    for centre in formants:
        r = np.exp(-np.pi * 80 / RATE)
        sound = signal.lfilter([1], [1, -2 * r * np.cos(2 * np.pi * centre / RATE), r * r], sound)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def f0(sound: np.ndarray) -> float:
    return float(np.exp(np.median(pitch(sound).log_f0[5:-5])))


def resonance(sound: np.ndarray) -> float:
    """Where the smoothed spectrum is strongest [Hz]."""
    frequency, power = signal.welch(sound, RATE, nperseg=512)
    return float(frequency[np.argmax(np.convolve(power, np.hanning(15), "same"))])


@pytest.mark.parametrize("change, pitched, throat", [
    (augment.shift_voice, True, True), (augment.shift_formants, False, True), (augment.shift_pitch, True, False),
])
def test_pitch_and_formants_are_shifted_apart(change, pitched, throat):
    sound = vowel()
    shifted = change(sound, 5)
    assert shifted.dtype == np.float32 and len(shifted) == len(sound)
    assert f0(shifted) == pytest.approx(120 * 2 ** (5 / 12 * pitched), rel=0.04)
    assert resonance(shifted) == pytest.approx(resonance(sound) * 2 ** (5 / 12 * throat), rel=0.1)


@pytest.mark.parametrize("samples, semitones, expected", [
    (16000, 5.0, (0.2679796, 0.2572944, 0.1935381, 0.0885745, -0.0330666, -0.1419784)),
    (700, -3.3, (-0.0239185, -0.0964397, -0.1581251, -0.2039115, -0.2306733, -0.2377405)),
])
def test_voices_are_shifted_as_librosa_does(samples, semitones, expected):
    """librosa 0.11: effects.pitch_shift in double precision; single costs it 1e-3."""
    shifted = augment.shift_voice(vowel()[:samples], semitones)
    np.testing.assert_allclose(shifted[samples // 4:][:6], expected, atol=2e-6)


def test_speed():
    sound = vowel()
    fast = augment.change_speed(sound, 1.25)
    assert len(fast) == pytest.approx(len(sound) / 1.25, abs=1) and f0(fast) == pytest.approx(150, rel=0.02)


def test_noise_has_the_ratio_asked_for():
    random = np.random.default_rng(0)
    audio = (0.2 * random.standard_normal(RATE)).astype(np.float32)
    noisy = augment.add_noise(audio, 10, random)
    assert 20 * np.log10(audio.std() / (noisy - audio).std()) == pytest.approx(10, abs=1)
    assert len(augment.equalise(audio, random)) == len(augment.reverberate(audio, random)) == RATE


@pytest.mark.parametrize("codec", augment.CODECS)
def test_codecs_keep_sound_and_time(codec):
    """Also of a sound that is too loud for them, and of silence."""
    sound = np.concatenate([np.zeros(3000, np.float32), 5 * vowel(seconds=0.4), np.zeros(2001, np.float32)])
    sent = augment.transmit(sound, codec, 24000)
    assert sent.shape == sound.shape and sent.dtype == np.float32
    assert 0.9 < np.corrcoef(sound, sent)[0, 1] < 0.99999 and np.abs(sent).max() == pytest.approx(1.5, rel=0.3)
    assert np.abs(augment.transmit(np.zeros(700, np.float32), codec, 24000)).max() < 1e-3
