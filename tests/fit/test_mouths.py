"""Changes to mouth motion: words stay where their frames are, joints are smooth, a mirror is a mirror."""
from __future__ import annotations

import numpy as np

from geneface.fit.mouths import Spoken, splice, vary, warp


def _spoken(level: float, starts: tuple[int, ...], frames: int) -> Spoken:
    """Every word's frames stand at `level` plus its number."""
    mouth = np.full((frames, 20, 3), float(level))
    times = np.array([(a, b) for a, b in zip(starts, (*starts[1:], frames))], float)
    for i, (a, b) in enumerate(times.astype(int)):
        mouth[a:b] += i + 1
    return Spoken(mouth, [f"{level:g}{i}" for i in range(len(starts))], times)


def test_splice_takes_words_and_times_along():
    a, b = _spoken(0, (10, 20, 30), 40), _spoken(100, (5, 25, 37), 50)
    joined = splice(a, b, 1, 2)
    assert joined.words == ["00", "1001", "02"] and len(joined.mouth) == 20 + 12 + 10
    np.testing.assert_array_equal(joined.times, [[10, 20], [20, 32], [32, 42]])
    assert joined.mouth[15, 0, 0] == 1 and joined.mouth[26, 0, 0] == 102 and joined.mouth[38, 0, 0] == 3
    assert 1 < joined.mouth[19, 0, 0] < joined.mouth[20, 0, 0] < 102  # the step is spread
    assert a.mouth[19, 0, 0] == 1 and b.mouth[25, 0, 0] == 102  # what was given stays
    whole = splice(a, b, 0, 3)
    np.testing.assert_array_equal(whole.mouth, b.mouth)
    assert whole.words == b.words


def test_splice_of_nothing_changes_nothing():
    a, b = _spoken(0, (10, 20, 30), 40), _spoken(100, (5, 5, 37), 50)  # the first word takes no time
    assert splice(a, b._replace(times=np.array([[5, 5], [5, 37], [37, 50.0]])), 0, 1).words[0] == "1000"
    assert splice(a, b._replace(times=np.array([[5, 5.2], [5.2, 5.4], [37, 50]])), 1, 2) is a


def test_warp_keeps_words_on_their_frames():
    spoken = _spoken(0, (10, 30, 45), 60)
    for seed in range(5):
        warped = warp(spoken, np.random.default_rng(seed))
        assert 0.6 * 60 < len(warped.mouth) < 1.5 * 60
        for i, (start, end) in enumerate(warped.times):
            middle = min(round((start + end) / 2), len(warped.mouth) - 1)
            assert warped.mouth[middle, 0, 0] == i + 1


def test_vary():
    mouth = np.random.default_rng(0).normal(0, 1e-3, (50, 20, 3)).cumsum(0)
    ratios = []
    for seed in range(40):
        varied = vary(mouth, np.random.default_rng(seed), noise=0.0)
        assert varied.shape == mouth.shape and varied.dtype == np.float32 and np.isfinite(varied).all()
        ratios.append(varied.std() / (mouth - mouth.mean(0)).std())
    assert 0.6 < min(ratios) < 0.9 and 1.2 < max(ratios) < 1.8
    # The left corner (index 0) of a mirrored mouth moves as the right one (6) did, the other way sideways.
    varied = [vary(mouth, np.random.default_rng(seed), 0.0) for seed in range(9)]
    corners = [np.corrcoef(-x[:, 0, 0], mouth[:, 6, 0])[0, 1] for x in varied]
    assert max(corners) > 0.9 and min(corners) < 0.9
