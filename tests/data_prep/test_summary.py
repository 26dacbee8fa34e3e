"""Overlays, loudness, pictures on disk."""
from __future__ import annotations

import time

import numpy as np
import pytest

from data_prep.streams import Sequence, encode_jpeg, encode_png, ordered_map, read_picture
from data_prep.summary import cut_out, euler_degrees, loudness, overlay
from geneface.errors import UserError
from geneface.types import CameraTrack


def test_loudness_of_each_frame():
    audio = np.concatenate([np.zeros(640), np.full(640, 0.1), np.full(640, 1.0)]).astype(np.float32)
    assert loudness(audio, 16000, 25, 4) == pytest.approx([-60, -20, 0, -60], abs=0.1)


def test_euler_angles_are_those_of_the_pose():
    from scipy.spatial.transform import Rotation

    pose = np.tile(np.eye(4), (2, 1, 1))
    pose[1, :3, :3] = Rotation.from_euler("YXZ", [20, -10, 5], degrees=True).as_matrix()
    camera = CameraTrack(np.eye(3), pose, 10, 10, 25.0)
    assert euler_degrees(camera) == pytest.approx(np.array([[0, 0, 0], [20, -10, 5]]), abs=1e-4)


def test_overlay_marks_without_touching_the_frame():
    frame = np.full((64, 48, 3), 90, np.uint8)
    mask = np.zeros_like(frame)
    mask[10:30, 10:30, 0] = mask[30:60, 5:40, 1] = 255
    out = overlay(frame, mask, np.random.default_rng(0).uniform(5, 40, (478, 2)))
    assert out.shape == frame.shape and (frame == 90).all() and (out != 90).any()


def test_cut_out_shows_one_part():
    frame = np.full((4, 4, 3), 100, np.uint8)
    mask = np.zeros_like(frame)
    mask[:2, :, 1] = 255
    out = cut_out(frame, mask, 1, (0, 0, 200))
    assert (out[:2] == 100).all() and (out[2:] == (0, 0, 200)).all()


@pytest.mark.parametrize("shape", [(1, 1), (31, 33), (64, 48)])
def test_pictures_come_back(tmp_path, shape):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(picture))
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture)
    smooth = np.full((*shape, 3), (200, 40, 90), np.uint8)
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(smooth, 95))
    assert np.abs(read_picture(tmp_path / "a.jpg").astype(int) - smooth).max() <= 3


def test_sequence_replaces_an_older_one_and_leaves_other_files(tmp_path):
    sequence = Sequence(tmp_path, ".png")
    pictures = [encode_png(np.full((3, 3, 3), i, np.uint8)) for i in range(4)]
    sequence.clear()
    assert sequence.write(pictures)[0] == 4
    (tmp_path / "notes.png").write_bytes(b"mine")
    sequence.clear()
    count, digest = sequence.write(pictures[:2])
    assert count == 2 and sorted(p.name for p in tmp_path.iterdir()) == ["000000.png", "000001.png", "notes.png"]
    assert [int(p[0, 0, 0]) for p in sequence.read([1, 0])] == [1, 0]
    assert sequence.write(pictures[:2])[1] == digest != sequence.write(pictures[1:3])[1]


def test_damaged_pictures_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for path in (tmp_path / "a.png", tmp_path / "none.png"):
        with pytest.raises(UserError, match="run geneface prepare again"):
            read_picture(path)


def test_ordered_map_keeps_order_and_looks_only_a_little_ahead():
    taken = []

    def source():
        for i in range(50):
            taken.append(i)
            yield i

    def slow(i):
        time.sleep(0.002 * (i % 3))
        return i * i

    results = ordered_map(slow, source(), workers=2)
    assert next(results) == 0 and len(taken) <= 6
    assert list(results) == [i * i for i in range(1, 50)]
    assert list(ordered_map(slow, [])) == []
