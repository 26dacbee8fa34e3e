"""Clean plate and smooth filling."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.layers.background import background_plate, fill_smoothly


def walker(frames: int, size: int = 64):
    """A picture with a person walking by: (background, read)."""
    rows, columns = np.mgrid[:size, :size]
    wall = np.stack([rows * 3, columns * 3, rows + columns], -1).clip(0, 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 2, (frames, size, size, 3))

    def read(index: int):
        left = 5 + index * 2
        frame = (wall + grain[index]).clip(0, 255).astype(np.uint8)
        alpha = np.full((size, size), 255, np.uint8)
        frame[10:, left:left + 16], alpha[10:, left:left + 16] = 250, 0
        return frame, alpha

    return wall, read


def test_person_disappears():
    wall, read = walker(20)
    plate, seen, unrest = background_plate(read, list(range(20)))
    assert plate.dtype == np.uint8 and plate.shape == wall.shape
    assert seen.mean() > 0.95
    assert np.abs(plate.astype(int) - wall)[seen].max() <= 5
    assert unrest < 3


def test_always_hidden_part_is_filled_between_its_edges():
    wall, read = walker(1)
    plate, seen, _ = background_plate(read, [0])
    assert not seen[40, 12]
    assert np.abs(plate.astype(int) - wall)[:40].max() < 30  # the wall is a ramp: the membrane comes near it


def test_nothing_seen_gives_an_even_plate():
    filled = np.full((20, 30, 3), 7, np.uint8), np.zeros((20, 30), np.uint8)
    plate, seen, unrest = background_plate(lambda i: filled, [0, 1])
    assert plate.shape == (20, 30, 3) and not seen.any() and unrest == 0 and (plate == 7).all()


def test_indices_are_needed():
    with pytest.raises(ValueError, match="indices"):
        background_plate(lambda i: None, [])


@pytest.mark.parametrize("shape", [(1, 5), (2, 2), (31, 33), (64, 48), (100, 7)])
def test_fill_is_exact_where_known_and_bounded_elsewhere(shape):
    rng = np.random.default_rng(1)
    picture = rng.uniform(0, 255, (*shape, 3)).astype(np.float32)
    known = rng.uniform(size=shape) < 0.4
    known.flat[0] = True
    filled = fill_smoothly(picture, known)
    assert filled.shape == picture.shape and np.isfinite(filled).all()
    assert np.array_equal(filled[known], picture[known])
    assert filled.min() >= picture[known].min() - 1e-2 and filled.max() <= picture[known].max() + 1e-2


def test_fill_of_a_ramp_is_the_ramp():
    picture = np.repeat(np.linspace(0, 200, 65, dtype=np.float32)[None, :, None], 33, 0).repeat(3, -1)
    known = np.ones((33, 65), bool)
    known[:, 20:45] = False
    assert np.abs(fill_smoothly(picture, known, sweeps=400) - picture).max() < 8
    with pytest.raises(ValueError, match="known"):
        fill_smoothly(picture, np.zeros_like(known))
