"""The square around the speaker, fixed or following."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from data_prep.crop import choose_crop, follow_crop
from geneface.media import Crop


def faces(left, top, right, bottom, count=20, sway=0):
    rng = np.random.default_rng(0)
    return np.array([[left, top, right, bottom]] * count, float) + rng.uniform(-sway, sway, (count, 1))


@pytest.mark.parametrize("width,height", [(512, 512), (480, 480), (513, 512), (100, 101)])
def test_square_picture_is_used_whole(width, height):
    crop = choose_crop(width, height, faces(0.4 * width, 0.3 * height, 0.6 * width, 0.6 * height))
    assert crop.side == min(width, height) and crop.x <= 1 and crop.y <= 1


def test_small_face_in_a_square_picture_is_cropped_to():
    crop = choose_crop(1080, 1080, faces(700, 300, 820, 460))
    assert crop.side == round(2.6 * 160) and 700 - 200 < crop.x < 700 and crop.x + crop.side > 820


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


def walk(frames: int = 200, shake: float = 6.0):
    """Looks every 5 frames at a head that crosses a wide picture, nodding."""
    looked = np.arange(0, frames, 5)
    x = 200 + 1200 * looked / frames + shake * np.sin(looked / 2.0)
    return looked, np.stack([x, 300 + 0 * x, x + 120, 460 + 0 * x], 1)


def test_following_crop_keeps_the_head_in_place_and_its_own_movement():
    looked, boxes = walk()
    crop = follow_crop(1920, 1080, boxes, looked, 200, 25.0)
    fixed = choose_crop(1920, 1080, boxes)
    assert len(crop.path) == 200 and crop.side < 0.6 * fixed.side
    corners = np.array(crop.path)
    assert (corners >= 0).all() and (corners + crop.side <= [1920, 1080]).all()
    within = boxes[:, 0] - corners[looked, 0]
    assert np.ptp(within) < 60  # against 1200 px in the picture
    assert np.abs(np.diff(corners, n=2, axis=0)).max() < 0.2  # smooth: no trembling of the crop
    assert corners[0] == pytest.approx(crop.corner(0)) and crop.corner(199) == crop.path[199]


def test_following_crop_of_a_square_picture_is_the_picture():
    looked, boxes = walk()
    assert follow_crop(512, 512, boxes / 4 + [0, 0, 0, 120], looked, 200, 25.0) == Crop(0, 0, 512, 512, 512)
    with pytest.raises(ValueError, match="faces"):
        follow_crop(640, 480, boxes, looked[:3], 200, 25.0)


def test_moving_crop_cuts_out_what_its_path_says():
    rows, columns = np.mgrid[0:90, 0:160]
    frame = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)
    crop = Crop(10, 5, 41, 160, 90, ((10.0, 5.0), (20.5, 8.25)))
    assert np.array_equal(crop.piece(frame, 0), frame[5:46, 10:51])
    piece = crop.piece(frame, 1).astype(int)
    assert np.abs(piece[..., 0] - (20.5 + np.arange(41))[None]).max() <= 0.51
    assert np.abs(piece[..., 1] - (8.25 + np.arange(41))[:, None]).max() <= 0.51
    assert crop.apply(frame, 16, 1).shape == (16, 16, 3)
    with pytest.raises(ValueError, match="frame"):
        crop.piece(frame[:50])


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(columns / 23 + k) * np.cos(rows / 29 - k) for k in range(3)]
    return np.rint(np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize("size", [64, 101, 150, 333])
@pytest.mark.parametrize("corner", [(20, 10), (20.5, 8.25), (33.96, 61.02), (-30, 70), (-12.3, 95.7), (110.4, -40.6)])
def test_a_crop_pasted_back_is_where_it_was(size, corner):
    """Fixed and moving, at odd sizes, also beyond the picture's edges: the picture is itself again there, to half a
    grey level and the roundings of four steps, and untouched elsewhere."""
    frame = smooth(151, 203)
    whole = all(isinstance(value, int) for value in corner)
    crop = Crop(*corner, 101, 203, 151) if whole else Crop(0, 0, 101, 203, 151, ((0.0, 0.0), corner))
    back = crop.paste(np.full_like(frame, 7), crop.apply(frame, size, 1), 1)
    rows, columns = np.mgrid[0:151, 0:203] + 0.5
    x, y = corner
    inside = (columns >= x) & (columns < x + 101) & (rows >= y) & (rows < y + 101)
    assert (back[~inside] == 7).all() and inside.sum() > 2000
    error = np.abs(back[inside].astype(int) - frame[inside])
    assert error.mean() < 0.5
    # A filter that reaches beyond the crop sees its edge going on; that is not the picture.
    inner = (columns > x + 4) & (columns < x + 97) & (rows > y + 4) & (rows < y + 97)
    error = back[inner].astype(int) - frame[inner]
    assert np.abs(error).max() <= 2 and abs(error.mean()) < 0.1 and error.std() < 0.6
    assert np.array_equal(crop.paste(frame, crop.piece(frame, 1), 1)[~inside], frame[~inside])


def test_pasting_needs_the_frame_that_was_cropped():
    with pytest.raises(ValueError, match="frame"):
        Crop(0, 0, 9, 20, 10).paste(np.zeros((10, 21, 3), np.uint8), np.zeros((9, 9, 3), np.uint8))
    assert (Crop(40, 0, 9, 20, 10).paste(np.zeros((10, 20, 3), np.uint8), np.ones((9, 9, 3), np.uint8)) == 0).all()


def test_crop_survives_the_manifest():
    for crop in (Crop(1, 2, 30, 60, 50), Crop(1, 2, 30, 60, 50, ((1.25, 2.0), (1.5, 2.25)))):
        assert Crop.from_json(json.loads(json.dumps(crop.to_json()))) == crop


def test_crop_follows_where_the_camera_moves(footage, tmp_path):
    """A person who stands still before a textured wall, filmed by a camera that pans: the scan sees the wall move,
    the prepared frames show the face in one place, and each frame's place in the video is known."""
    from data_prep.preflight.examine import examine_all, open_source
    from data_prep.ingest import cut_frames
    from data_prep.streams import Sequence, read_picture
    from geneface import media
    from geneface.config import PrepareConfig

    coarse = np.random.default_rng(0).uniform(60, 200, (30, 60, 3)).astype(np.uint8)
    wall = cv2.resize(coarse, (900, 360), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[0:256, 0:256]
    person = (np.square((rows - 150) / 150) + np.square((columns - 128) / 90) < 1)[..., None]
    video = tmp_path / "a.mp4"
    with media.VideoWriter(video, 640, 360, 25, preset="ultrafast") as writer:
        for index, face in enumerate(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25, 0, 75)):
            face = cv2.resize(face, (256, 256), interpolation=cv2.INTER_AREA)
            world = wall.copy()
            world[104:, 330:586] = np.where(person, face, world[104:, 330:586])
            writer.write(world[:, 3 * index:3 * index + 640])
    config = PrepareConfig(size=128, fps=25.0)
    found = examine_all([open_source(video, config)], config)[0]
    assert found.crop.path and {v.check: v.verdict for v in found.verdicts}["camera"] == "warn"
    moved = np.array(found.crop.path)
    assert moved[10, 0] - moved[60, 0] == pytest.approx(150, abs=12)
    frames = Sequence(tmp_path / "frames", ".jpg")
    frames.clear()
    frames.write(cut_frames(video, found.take, found.crop, 128, 25.0, 95))
    first, later = (read_picture(frames.path(index)).astype(int) for index in (15, 55))
    assert np.abs(first - later)[40:100, 50:78].mean() < 25
