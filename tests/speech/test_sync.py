"""Offsets between mouths, and between sound and picture."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from geneface.face.landmarks import relative_mouth_opening
from geneface.speech.sync import audio_drift, audio_offset, correction, correlation, spectrum, sync_offset_frames

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


def babble(length, seed=0):
    """[length] smooth noise: a mouth opening."""
    return gaussian_filter1d(np.random.default_rng(seed).normal(size=length + 40), 1.5)[20:-20]


@pytest.mark.parametrize("lag", [-7, -1, 0, 1, 4])
def test_offset_of_a_shifted_signal(lag):
    long = babble(140)
    truth, late = long[20:120], long[20 - lag : 120 - lag]
    assert sync_offset_frames(late, truth) == pytest.approx(lag, abs=0.25)
    assert sync_offset_frames(3 * late + 5, truth) == pytest.approx(lag, abs=0.25)


def test_offset_of_a_fraction_of_a_frame():
    t = np.arange(200) / 25
    def signal(delay):
        return sum(np.sin(2 * np.pi * f * (t - delay / 25) + f) for f in (0.7, 1.9, 3.1))
    assert sync_offset_frames(signal(2.5), signal(0)) == pytest.approx(2.5, abs=0.1)


def test_offset_is_not_given_without_resemblance():
    assert sync_offset_frames(babble(2000, 1), babble(2000, 2)) is None
    assert sync_offset_frames(np.ones(100), babble(100)) is None
    assert sync_offset_frames(babble(8), babble(8)) is None


def test_short_unrelated_signals_give_no_offset():
    """Among 21 lags of a second of film, chance alone finds a correlation of 0.3 nearly always."""
    given = [sync_offset_frames(babble(25, seed), babble(25, 1000 + seed)) for seed in range(60)]
    assert sum(offset is not None for offset in given) <= 12
    assert sync_offset_frames(babble(25)[:-3], babble(25)[3:]) == pytest.approx(3, abs=0.4)


def test_correlation_values():
    a = np.arange(20.0)
    assert correlation(a, 2 * a + 1) == pytest.approx(1)
    assert correlation(a, -a) == pytest.approx(-1)
    assert correlation(a, np.full(20, 0.1)) is None
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=50), rng.normal(size=50)
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_missing_frames_are_left_out():
    truth = babble(100)
    signal = truth.copy()
    signal[10:30] = np.nan
    spoilt = truth.copy()
    spoilt[10:30] = 1e6
    assert correlation(signal, spoilt) == pytest.approx(1)
    assert sync_offset_frames(signal, truth) == pytest.approx(0, abs=0.1)
    assert correlation(np.full(100, np.nan), truth) is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="length"):
        correlation(np.zeros(5), np.zeros(6))
    with pytest.raises(ValueError, match="length"):
        sync_offset_frames(np.zeros(50), np.zeros(60))


def test_a_clear_offset_is_corrected():
    offset, shift = correction(*talk(800, 5), RATE, FPS)
    assert shift == offset == pytest.approx(5, abs=0.35)


def test_what_is_small_short_or_drifts_is_left_alone():
    assert correction(*talk(800, 0.5), RATE, FPS)[1] == 0
    offset, shift = correction(*talk(300, 5), RATE, FPS)
    assert offset == pytest.approx(5, abs=0.35) and shift == 0
    early, late = talk(800, 4, seed=1), talk(400, 7, seed=2)
    drifting = np.concatenate([early[0], late[0]]), np.concatenate([early[1], late[1]])
    assert correction(*drifting, RATE, FPS)[1] == 0


@pytest.mark.parametrize("frames", [-4, 0, 6])
def test_sound_of_another_speed_drifts(frames):
    """It comes so many frames later after 600 frames than at first."""
    opening, sound = talk(900, 0)
    faster = np.interp(np.arange(len(sound)) * (1 - frames / 600), np.arange(len(sound)), sound)
    assert audio_drift(opening, faster.astype(np.float32), RATE, FPS) == pytest.approx(frames, abs=0.7)


def test_drift_is_not_told_from_little():
    assert audio_drift(*talk(600, 0), RATE, FPS) is None
