"""Pieces between jumps."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.tracking.takes import pieces


@pytest.mark.parametrize("jumps,expected", [
    ((), [(0, 100)]), ((30, 60), [(0, 30), (30, 60), (60, 100)]), ((5, 50), [(0, 50), (50, 100)]),
    ((95,), [(0, 100)]), ((0, 100), [(0, 100)]), ((40, 45, 50), [(0, 40), (40, 50), (50, 100)]),
])
def test_pieces_cover_everything_and_are_long_enough(jumps, expected):
    runs = [(run.start, run.stop) for run in pieces(np.ones(100, bool), jumps)]
    assert runs[0][0] == 0 and runs[-1][1] == 100 and all(a[1] == b[0] for a, b in zip(runs, runs[1:]))
    assert all(stop - start >= 12 for start, stop in runs)
    if jumps != (40, 45, 50):
        assert runs == expected


def test_pieces_without_a_face_join_their_neighbours():
    valid = np.ones(100, bool)
    valid[40:60] = False
    assert [(run.start, run.stop) for run in pieces(valid, (40, 60))] == [(0, 60), (60, 100)]
