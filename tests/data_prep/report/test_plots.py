"""What the plots of a report show."""
from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from data_prep.report import coverage
from data_prep.report import plots


def speaking(closed: list[int], frames: int = 250) -> np.ndarray:
    """An open mouth that shuts for two frames at each of `closed`."""
    opening = 0.05 + 0.01 * np.sin(np.arange(frames))
    for first in closed:
        opening[first:first + 2] = 0.001
    return opening


def test_shut_lips():
    assert np.flatnonzero(plots.shut(speaking([40, 90]))).tolist() == [40, 41, 90, 91]


def test_close_up_is_where_lips_shut_between_sounds():
    closed = [30, 150, 165, 180, 195]
    level = np.full(250, -20.0)
    for first in closed:
        level[first:first + 2] = -40
    window = plots.clearest_closures(speaking(closed), level, 25.0)
    assert len(window) == 75 and window.start <= 150 and window.stop >= 196
    # Shut lips while nobody speaks say nothing.
    window = plots.clearest_closures(speaking(closed), np.where(np.arange(250) < 100, level, -60.0), 25.0)
    assert window.start <= 30 < window.stop
    assert plots.clearest_closures(speaking([], 10), np.zeros(10), 25.0) == range(0, 10)


def test_trembling_is_the_noise_of_one_frame():
    random = np.random.default_rng(0)
    steady = np.zeros((400, 11, 2)) + np.arange(400)[:, None, None] * 0.3  # moves evenly
    noisy = steady + random.normal(0, 0.5, steady.shape)
    valid = np.ones(400, bool)
    assert np.nanmax(plots.trembling(steady, valid, [], 25.0)) < 1e-6
    found = plots.trembling(noisy, valid, [], 25.0)
    assert np.nanmean(found) == pytest.approx(0.5 * np.sqrt(2), rel=0.05)
    jumped = steady.copy()
    jumped[200:] += 50
    assert np.nanmax(plots.trembling(jumped, valid, [200], 25.0)) < 1e-6 < np.nanmax(
        plots.trembling(jumped, valid, [], 25.0))
    assert np.isnan(plots.trembling(noisy, np.zeros(400, bool), [], 25.0)).all()
    assert len(plots.trembling(noisy[:2], valid[:2], [], 25.0)) == 2


@pytest.mark.parametrize("frames", [1, 2, 31, 400])
def test_everything_draws_at_any_length(frames):
    random = np.random.default_rng(0)
    opening, audio = random.uniform(0, 0.1, frames), random.uniform(-1, 1, frames * 640).astype(np.float32)
    draws = [
        (plots.poses(random.normal(0, 5, (frames, 3))), 1),
        (plots.shapes(random.uniform(0, 1.5, (frames, 2)), coverage.load_reference()), 1),
        (plots.over_time(np.arange(frames) / 25, {"a": opening}, "px", [0.1]), 1),
        (plots.alignment(audio, 16000, opening, 25.0, plots.clearest_closures(opening, opening, 25.0)), 2),
    ]
    for draw, rows in draws:
        axes = Figure().subplots(rows, squeeze=False)[:, 0]
        draw(axes[0] if rows == 1 else list(axes))
        assert all(one.has_data() for one in axes)
