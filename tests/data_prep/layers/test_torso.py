"""Torso pictures: what the head hides is what other frames show, in its place and light."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.layers.torso import TypicalTorso, own_torso, whole_torso, write_torso
from data_prep.streams import Sequence, encode_jpeg, encode_png, read_picture
from geneface.types import read_image

SIZE = 192
PLATE = np.full((SIZE, SIZE, 3), (40, 90, 160), np.uint8)


def scene(chin: float, sway: tuple[float, float] = (0, 0), light: float = 0.0):
    """A patterned neck and shoulders, moved by `sway`, under a round head whose chin is at row `chin`.

    Returns: frame, mask, the whole torso [H,W,4] in floats.
    """
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    x, y = columns - 96 - sway[0], rows - sway[1]
    outline = np.maximum(22 - np.abs(x), np.minimum(y - 140, 80 - np.abs(x)))
    alpha = (outline / 2 + 0.5).clip(0, 1) * (y > 60)
    colour = np.stack([150 + 40 * np.sin(x / 5), 110 + 40 * np.cos(y / 6), 90 + 0.3 * y], -1) + light
    colour[y > 150] = (30, 30, 60)
    head = ((40 - np.hypot((columns - 96) / 0.9, rows - (chin - 40))) + 0.5).clip(0, 1)
    torso = (1 - head) * alpha
    mask = np.rint(255 * np.stack([head, torso], -1)).astype(np.uint8)
    mask = np.dstack([mask, 255 - mask.sum(-1, dtype=np.uint8)])
    behind = alpha[..., None] * colour + (1 - alpha[..., None]) * PLATE
    frame = head[..., None] * (220, 170, 150) + (1 - head[..., None]) * behind
    return np.rint(frame).astype(np.uint8), mask, np.dstack([colour, 255 * alpha])


def clip():
    return [scene(100 + 20 * np.sin(t), (6 * np.sin(0.7 * t), 2 * np.cos(t))) for t in range(24)]


def test_a_frames_own_torso_composes_to_the_frame():
    frame, mask, truth = scene(110)
    own = own_torso(frame, mask, PLATE)
    bare = mask[..., 0] == 0
    alpha = own[..., 3:] / 255
    assert np.abs(own[..., 3].astype(float) - truth[..., 3])[bare].max() <= 1
    assert np.abs(alpha * own[..., :3] + (1 - alpha) * PLATE - frame)[bare].max() <= 1.5
    solid = bare & (own[..., 3] == 255)
    assert np.array_equal(own[..., :3][solid], frame[solid]) and not own[own[..., 3] == 0].any()


def test_hidden_torso_is_what_other_frames_show():
    typical = TypicalTorso.of([(frame, mask) for frame, mask, _ in clip()], PLATE)
    frame, mask, truth = scene(118, (5, 1))
    filled = whole_torso(frame, mask, PLATE, typical).astype(float)
    rows = np.arange(SIZE)[:, None]
    hidden = (mask[..., 0] == 255) & (rows > 90)  # what the head uncovers when it rises
    inside = hidden & (truth[..., 3] == 255)
    assert inside.sum() > 500
    assert np.abs(filled - truth)[..., :3][inside].mean() < 5 and np.abs(filled - truth)[..., 3][inside].mean() < 4
    beside = hidden & (truth[..., 3] == 0) & (rows > 100)
    assert beside.sum() > 50 and filled[..., 3][beside].mean() < 8  # nothing where no neck is
    shown = (mask[..., 0] == 0) & (cv2.dilate(mask[..., 0], np.ones((15, 15))) == 0) & (truth[..., 3] == 255)
    assert np.array_equal(filled[..., :3][shown], frame[shown].astype(float))


def test_the_fill_takes_the_frames_light():
    typical = TypicalTorso.of([(frame, mask) for frame, mask, _ in clip()], PLATE)
    dark, mask, truth = scene(118, light=-16.0)
    inside = (mask[..., 0] == 255) & (truth[..., 3] == 255) & (np.arange(SIZE)[:, None] > 105)
    assert np.abs((whole_torso(dark, mask, PLATE, typical) - truth)[..., :3][inside].mean()) < 6


def test_a_neck_that_no_frame_shows_goes_on_and_ends():
    typical = TypicalTorso.of([scene(130)[:2]] * 3, PLATE)
    filled = whole_torso(*scene(130)[:2], PLATE, typical)
    alpha = filled[..., 3]
    assert alpha[118:135, 96].min() > 250 and not alpha[:92].any()
    assert alpha[124, 60] < 60 and alpha[124, 132] < 60  # as wide as the neck


def test_what_a_hand_hides_is_filled_too():
    typical = TypicalTorso.of([(frame, mask) for frame, mask, _ in clip()], PLATE)
    frame, mask, truth = scene(110)
    frame[145:165, 80:110], mask[145:165, 80:110] = (230, 180, 160), 0
    filled = whole_torso(frame, mask, PLATE, typical)
    assert np.abs(filled - truth)[147:163, 82:108].mean() < 4


def test_a_person_without_torso():
    frame, mask, _ = scene(110)
    mask[..., 2] += mask[..., 1]
    mask[..., 1] = 0
    assert not whole_torso(frame, mask, PLATE, TypicalTorso.of([(frame, mask)], PLATE)).any()


@pytest.mark.parametrize("count", [1, 3])
def test_a_whole_clip(tmp_path, count):
    frames, masks, target = (Sequence(tmp_path / name, suffix) for name, suffix in
                             (("frames", ".jpg"), ("masks", ".png"), ("torso", ".png")))
    landmarks = np.zeros((count, 478, 2), np.float32)
    for t in range(count):
        landmarks[t, 152], landmarks[t, 10] = (96, 100 + t), (96, 30 + t)
    pictures = [scene(100.0 + t)[:2] for t in range(count)]
    for sequence in (frames, masks):
        sequence.clear()
    frames.write(encode_jpeg(frame, 100) for frame, _ in pictures)
    masks.write(encode_png(mask) for _, mask in pictures)
    written, digest = write_torso(frames, masks, target, landmarks, PLATE, (1,))
    assert written == count and len(digest) == 64
    torso = read_image(target.path(count - 1), "RGBA")
    assert torso.shape == (SIZE, SIZE, 4) and torso[175, 96].tolist()[3] == 255
    assert np.abs(torso[175, 96, :3].astype(int) - (30, 30, 60)).max() < 6
    assert read_picture(target.path(0)).shape == (SIZE, SIZE, 3)


def test_what_hair_hides_down_to_the_edge_goes_on_sideways():
    frame, mask, truth = scene(110)
    frame[120:, 70:82], mask[120:, 70:82] = (60, 40, 20), (255, 0, 0)
    filled = whole_torso(frame, mask, PLATE, TypicalTorso.of([(frame, mask)] * 3, PLATE)).astype(float)
    hidden = (slice(178, 192), slice(72, 80))
    assert filled[hidden][..., 3].min() > 250 and np.abs(filled - truth)[hidden][..., :3].max() < 8
