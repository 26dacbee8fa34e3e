"""The square around the speaker."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.crop import Crop, choose_crop


def faces(left, top, right, bottom, count=20, sway=0):
    rng = np.random.default_rng(0)
    return np.array([[left, top, right, bottom]] * count, float) + rng.uniform(-sway, sway, (count, 1))


@pytest.mark.parametrize("width,height", [(512, 512), (480, 480), (513, 512), (100, 101)])
def test_square_picture_is_used_whole(width, height):
    crop = choose_crop(width, height, faces(40, 40, 60, 70))
    assert crop.side == min(width, height) and crop.x <= 1 and crop.y <= 1


def test_wide_picture_follows_the_face():
    crop = choose_crop(1920, 1080, faces(1200, 300, 1400, 560, sway=20))
    assert crop.side < 1080
    assert crop.x < 1200 and crop.x + crop.side > 1400
    assert abs(crop.x + crop.side / 2 - 1300) < 25
    assert crop.y < 300 - 0.5 * 260 and crop.y + crop.side > 560 + 0.4 * 260


@pytest.mark.parametrize("width,height", [(300, 200), (200, 300), (4000, 300), (31, 33), (1920, 1080)])
def test_crop_lies_within_any_picture(width, height):
    for x in (0, width // 2, width - 9):
        crop = choose_crop(width, height, faces(x, 2, x + 8, 14))
        assert 0 <= crop.x and crop.x + crop.side <= width and 0 <= crop.y and crop.y + crop.side <= height
        assert crop.side >= 1


def test_head_that_moves_widely_stays_inside():
    boxes = np.array([[200 + 10 * i, 200, 300 + 10 * i, 330] for i in range(40)], float)
    crop = choose_crop(1280, 720, boxes)
    assert crop.x <= 200 + 10 and crop.x + crop.side >= 680


def test_scaling_keeps_aspect_and_mean():
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[20:40, 30:50] = 240
    for size in (16, 31, 40, 64, 100):
        out = Crop(20, 10, 40, 80, 60).apply(frame, size)
        assert out.shape == (size, size, 3) and out.dtype == np.uint8
        assert out.mean() == pytest.approx(240 * 400 / 1600, rel=0.12)
        rows, columns = (np.flatnonzero((out[..., 0] > 120).any(axis)) for axis in (1, 0))
        assert abs(len(rows) - size / 2) <= 2 and abs(len(columns) - size / 2) <= 2


def test_no_face_is_a_misuse():
    with pytest.raises(ValueError, match="faces"):
        choose_crop(100, 100, np.zeros((0, 4)))
