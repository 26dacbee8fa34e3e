"""Silence gate, blinks, gaze."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.motion import behaviour
from geneface.types import SpeechFeatures


def features(level: np.ndarray, voiced: np.ndarray) -> SpeechFeatures:
    """From energy [dB] and voicing at 50 Hz."""
    voiced = voiced.astype(np.float32)
    content = np.zeros((len(level), 4), np.float32)
    return SpeechFeatures(content, 5 * voiced, level.astype(np.float32), 0.9 * voiced, 50.0)


def spoken(pauses: list[tuple[float, float]], seconds: float = 6.0, floor: float = -70.0) -> SpeechFeatures:
    time = (np.arange(int(50 * seconds)) + 0.5) / 50
    quiet = np.zeros(len(time), bool)
    for begin, end in pauses:
        quiet |= (time > begin) & (time < end)
    return features(np.where(quiet, floor, -20.0), ~quiet)


@pytest.mark.parametrize("floor", [-90.0, -60.0, -40.0])
def test_pause_is_found_at_any_noise_floor(floor):
    gate = behaviour.silence(spoken([(2, 4)], floor=floor), 150)
    time = (np.arange(150) + 0.5) / 25
    assert (gate[(time > 2.4) & (time < 3.7)] == 1).all()
    assert (gate[(time < 1.9) | (time > 4.0)] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.6  # no jump


def test_short_gap_is_not_silence():
    assert not behaviour.silence(spoken([(2, 2.15)]), 150).any()


def test_all_silence():
    assert (behaviour.silence(features(np.full(100, -100.0), np.zeros(100, bool)), 50) == 1).all()
    quiet_hiss = features(np.full(100, -65.0), np.zeros(100, bool))
    assert (behaviour.silence(quiet_hiss, 50) == 1).all()


def test_breath_in_a_pause_is_silence():
    speech = spoken([(2, 5)])
    energy = speech.energy.copy()
    energy[160:200] = -42.0  # half a second of breath, no voice
    gate = behaviour.silence(features(energy, speech.voicing > 0.5), 150)
    assert (gate[60:115] == 1).all()


def test_whisper_is_speech():
    """Where nothing is voiced loudness decides."""
    level = np.where((np.arange(300) // 50) % 2 == 0, -70.0, -25.0)
    gate = behaviour.silence(features(level, np.zeros(300, bool)), 150)
    assert gate[30:48].max() == 0 and gate[60:68].min() == 1


def test_blink_rate_and_shape():
    trace = behaviour.blinks(25 * 600, 25, 17.0, np.random.default_rng(0))
    peaks = np.flatnonzero((trace[1:-1] > 0.7) & (trace[1:-1] >= trace[:-2]) & (trace[1:-1] > trace[2:]))
    assert 13 <= len(peaks) / 10 <= 21
    assert trace.max() <= 1 and trace.min() == 0
    # Down faster than up, about the peak of a single blink.
    peak = next(p + 1 for p in peaks if trace[p - 8:p - 3].max() == 0)
    down, up = np.argmax(trace[peak::-1] < 0.1), np.argmax(trace[peak:] < 0.1)
    assert 1 <= down <= 3 < up <= 8


def test_blinks_and_gaze_follow_the_seed():
    def both(seed):
        random = np.random.default_rng(seed)
        return behaviour.blinks(500, 25, 20, random), behaviour.gaze(500, 25, 1.5, random)

    for one, two in zip(both(1), both(1)):
        np.testing.assert_array_equal(one, two)
    assert (both(1)[0] != both(2)[0]).any()
    assert not behaviour.blinks(500, 25, 0, np.random.default_rng(0)).any()
    assert not behaviour.gaze(500, 25, 0, np.random.default_rng(0)).any()
    assert np.degrees(np.abs(both(1)[1])).max() < 5
    assert behaviour.gaze(0, 25, 1, np.random.default_rng(0)).shape == (0, 2)
