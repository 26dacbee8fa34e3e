"""Offsets between mouths."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from geneface.face.landmarks import relative_mouth_opening
from geneface.speech.sync import correlation, sync_offset_frames

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
