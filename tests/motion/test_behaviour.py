"""Silence gate, gaze, breath."""
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
    assert (gate[(time > 2.46) & (time < 3.59)] == 1).all()
    assert (gate[(time < 2.24) | (time > 3.81)] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.4  # no jump


def test_short_gaps_and_closed_lips_before_a_burst_are_not_silence():
    # Between words a plosive's closure is up to 0.15 s of silence.
    assert not behaviour.silence(spoken([(2, 2.15), (3, 3.2)]), 150).any()
    # At the onset after a pause, lips close and part before anything is heard: 0.2 s are left to them.
    gate = behaviour.silence(spoken([(1, 3)]), 150)
    assert not gate[int(2.8 * 25):int(4 * 25)].any()


def test_all_silence():
    assert (behaviour.silence(spoken([(0, 6)]), 150) == 1).all()
    assert (behaviour.silence(spoken([], 0.0), 50) == 1).all()


def test_gaze_spreads_as_asked_and_follows_the_seed():
    def gaze(seed, frames=25 * 600, spread=(0.03, 0.01)):
        return behaviour.gaze(frames, 25, np.array(spread), np.random.default_rng(seed))

    np.testing.assert_allclose(gaze(0).std(0), [0.03, 0.01], rtol=0.2)
    assert (np.abs(gaze(0)) <= 2.5 * np.array([0.03, 0.01]) + 1e-6).all()
    np.testing.assert_array_equal(gaze(1), gaze(1))
    assert (gaze(1) != gaze(2)).any() and not gaze(0, spread=(0, 0)).any()
    assert gaze(0, 0).shape == (0, 2)


def test_breath_is_slow_and_smooth():
    breath = behaviour.breath(25 * 120, 25, np.random.default_rng(0))
    rises = np.count_nonzero((breath[1:] > 0) & (breath[:-1] <= 0))
    assert 20 <= rises <= 40  # 15 a minute, more or less
    assert np.abs(breath).max() <= 1 and np.abs(np.diff(breath)).max() < 0.12
    assert behaviour.breath(0, 25, np.random.default_rng(0)).shape == (0,)
