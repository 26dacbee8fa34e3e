"""Blinks: drawn, scripted, copied, found."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.motion.blinks import (
    BLINK, BLINK_PEAK, blink_curve, blink_times, found_blinks, rate_of, shape_of, wanted_blinks,
)
from geneface.types import MotionSequence


def drawn(seconds: float = 600.0, per_minute: float = 17.0, seed: int = 0, script: str = "drawn") -> np.ndarray:
    return wanted_blinks(script, int(25 * seconds), 25.0, per_minute, BLINK, np.random.default_rng(seed))


def test_rate_and_shape():
    trace = drawn()
    peaks = np.flatnonzero((trace[1:-1] > 0.7) & (trace[1:-1] >= trace[:-2]) & (trace[1:-1] > trace[2:]))
    assert 13 <= len(peaks) / 10 <= 21
    assert trace.max() <= 1 and trace.min() == 0
    # Down faster than up, about the peak of a single blink.
    peak = next(p + 1 for p in peaks if trace[p - 8:p - 3].max() == 0)
    down, up = np.argmax(trace[peak::-1] < 0.1), np.argmax(trace[peak:] < 0.1)
    assert 1 <= down <= 3 < up <= 8


def test_seeds_and_none():
    np.testing.assert_array_equal(drawn(60, seed=1), drawn(60, seed=1))
    assert (drawn(60, seed=1) != drawn(60, seed=2)).any()
    assert not drawn(60, 0.0).any() and not len(blink_times(500, 25, 0, np.random.default_rng(0)))


def test_scripted_times():
    trace = drawn(6, script="0.8, 3.2")
    peaks = found_blinks(trace, 25)
    np.testing.assert_allclose(peaks / 25, [0.8 + 0.12, 3.2 + 0.12], atol=0.06)
    assert not trace[50:75].any()
    assert drawn(1, script="-0.1, 0.98").shape == (25,)  # partly outside


def test_copied_from_a_motion(tmp_path):
    closure = np.full(50, 0.1, np.float32)  # lids that hang a little
    closure[20 - BLINK_PEAK:20 - BLINK_PEAK + len(BLINK)] += 0.85 * BLINK
    face = np.zeros((50, 68, 3), np.float32), np.zeros((50, 52), np.float32)
    MotionSequence(*face, closure, np.zeros((50, 2), np.float32), 25.0, "made up").save(tmp_path / "m.npz")
    trace = drawn(5, script=str(tmp_path / "m.npz"))
    assert found_blinks(trace, 25).tolist() == [20, 70, 120]  # over and over
    assert trace[20] == pytest.approx(0.85 / 0.9, abs=0.01) and not trace[:12].any()
    with pytest.raises(UserError, match="give one of these"):
        drawn(5, script="now and then")
    with pytest.raises(UserError, match="no number of seconds"):
        drawn(5, script="1, nan")


def test_a_persons_rate_and_shape_are_found_again():
    slow = np.interp(np.arange(12) / 1.5, np.arange(12), BLINK)  # eases in and out over 1.5 times as long
    slow[8:] = 0
    times = np.arange(1, 59, 3.0)
    track = 0.15 + 0.8 * blink_curve(times, 1500, 25, np.random.default_rng(0), slow)
    assert rate_of(track, 25) == pytest.approx(20, abs=1)
    shape = shape_of(track, 25)
    assert shape[BLINK_PEAK] == 1 and shape[BLINK_PEAK - 1] > 0.6 and shape.shape == BLINK.shape
    np.testing.assert_array_equal(shape_of(np.zeros(500), 25), BLINK)


def test_looking_down_is_no_blink():
    closure = np.zeros(200)
    closure[50:100] = 0.8
    assert not len(found_blinks(closure, 25)) and rate_of(closure, 25) == 4.0
