"""Silence gate, blinks, gaze."""
from __future__ import annotations

import numpy as np

from geneface.motion import behaviour
from geneface.types import SpeechFeatures


def spoken(pauses: list[tuple[float, float]], seconds: float = 6.0) -> SpeechFeatures:
    time = (np.arange(int(50 * seconds)) + 0.5) / 50
    speech = np.ones(len(time), np.float32)
    for begin, end in pauses:
        speech[(time > begin) & (time < end)] = 0.05
    blank = np.zeros(len(time), np.float32)
    return SpeechFeatures(np.zeros((len(time), 4), np.float32), blank, blank, blank, speech, 50.0)


def test_pause_is_silence():
    gate = behaviour.silence(spoken([(2, 4)]), 150)
    time = (np.arange(150) + 0.5) / 25
    assert (gate[(time > 2.4) & (time < 3.7)] == 1).all()
    assert (gate[(time < 1.9) | (time > 4.0)] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.6  # no jump


def test_short_gap_is_not_silence():
    assert not behaviour.silence(spoken([(2, 2.15)]), 150).any()


def test_all_silence():
    assert (behaviour.silence(spoken([(0, 6)]), 150) == 1).all()
    assert (behaviour.silence(spoken([], 0.0), 50) == 1).all()


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
