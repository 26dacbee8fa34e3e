"""Masks: sums, jaw line, hair beside it, steadiness."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.layers.masks import _steady_outline, steady
from data_prep.layers.parting import JAW, ColourSplit, HeadFrame2D, JawSide, split
from data_prep.layers.segment import PersonSegmenter, Plate, refine, to_bytes
from geneface.errors import UserError
from geneface.face.landmarks import FACE_OVAL


def oval_landmarks(centre, radii, roll=0.0) -> np.ndarray:
    """[478,2]: the face oval on an ellipse, everything else in its middle."""
    points = np.tile(np.array(centre, np.float32), (478, 1))
    angles = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)  # from the forehead, to the image's right
    offset = np.stack([np.sin(angles) * radii[0], -np.cos(angles) * radii[1]], -1)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    points[FACE_OVAL] += offset @ turn.T
    return points.astype(np.float32)


def portrait(size=160, hair_beside=False):
    """A drawn person: frame, alpha, landmarks."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    landmarks = oval_landmarks((80, 70), (26, 36))
    frame = np.full((size, size, 3), (60, 120, 200), np.uint8)
    body = (rows > 118) & (np.abs(columns - 80) < 20 + (rows - 118) * 1.5)
    neck = (rows > 85) & (rows < 130) & (np.abs(columns - 80) < 16)
    hair = ((columns - 80) / 34) ** 2 + ((rows - 62) / 42) ** 2 < 1
    if hair_beside:
        hair |= (np.abs(np.abs(columns - 80) - 29) < 6) & (rows > 62) & (rows < 114)
    face = ((columns - 80) / 26) ** 2 + ((rows - 70) / 36) ** 2 < 1
    for region, colour in ((body, (30, 30, 40)), (neck, (200, 150, 130)), (hair, (150, 90, 20)),
                           (face, (220, 170, 150))):
        frame[region] = colour
    alpha = (body | neck | hair | face).astype(np.float32)
    return frame, alpha, landmarks


def divided(hair_beside=False):
    frame, alpha, landmarks = portrait(hair_beside=hair_beside)
    colours = ColourSplit()
    colours.learn(frame, alpha, landmarks)
    return split(alpha, frame, landmarks, colours)


@pytest.mark.parametrize("hair_beside", [False, True])
def test_parts_sum_to_one_and_lie_where_they_should(hair_beside):
    masks = divided(hair_beside)
    assert masks.dtype == np.float32 and np.abs(masks.sum(-1) - 1).max() < 1e-5 and masks.min() >= 0
    head, torso, background = (masks[..., i] for i in range(3))
    assert head[70, 80] > 0.99 and head[25, 80] > 0.99 and head[65, 50] > 0.99  # face, hair above, hair beside
    assert torso[115, 80] > 0.99 and torso[150, 80] > 0.99 and torso[150, 45] > 0.99  # neck, clothes
    assert background[10, 10] > 0.99


def test_hair_beside_the_jaw_is_head():
    assert divided(True)[108, 52, 0] > 0.8
    assert divided(False)[108, 52, 2] > 0.8


def test_a_bowed_head_does_not_take_the_dark_collar():
    """Hair and suit of one colour: what hangs beside the jaw is learned from the clip, not guessed per frame."""
    frame, alpha, landmarks = portrait()
    dark = (frame == (150, 90, 20)).all(-1)
    frame[dark] = (30, 30, 40)
    colours = ColourSplit()
    colours.learn(frame, alpha, landmarks)
    assert colours.hangs == (False, False)
    bowed = landmarks + np.array([0, 14], np.float32)
    assert split(alpha, frame, bowed, colours)[122, 60, 1] > 0.9
    long_hair, long_alpha, _ = portrait(hair_beside=True)
    colours = ColourSplit()
    colours.learn(long_hair, long_alpha, landmarks)
    assert colours.hangs == (True, True)


def test_masks_sum_to_255():
    rng = np.random.default_rng(0)
    parts = rng.dirichlet([0.3, 0.3, 0.3], (31, 33)).astype(np.float32)
    out = to_bytes(parts)
    assert out.dtype == np.uint8 and (out.astype(int).sum(-1) == 255).all()
    assert np.abs(out / 255 - parts).max() < 2 / 255


@pytest.mark.parametrize("roll", [0.0, 0.4, -0.7])
def test_upright_frame_of_a_tilted_face(roll):
    frame = HeadFrame2D.of(oval_landmarks((100, 100), (30, 40), roll))
    assert frame.height == pytest.approx(80, rel=1e-3) and frame.width == pytest.approx(60, rel=0.02)
    assert frame.coordinates(frame.image(3, 5)) == pytest.approx([3, 5], abs=1e-4)
    assert np.arctan2(frame.right[1], frame.right[0]) == pytest.approx(roll, abs=1e-3)


def test_jaw_line_follows_the_landmarks():
    landmarks = oval_landmarks((80, 70), (26, 36))
    jaw = JawSide.of(landmarks, 160, 160)
    chin = landmarks[152]
    assert jaw.head[int(chin[1]) - 2, 80] == 1 and jaw.head[int(chin[1]) + 3, 80] == 0
    for region in (jaw.below, jaw.above):
        assert region.shape == (2, 160, 160) and not region[:, 70, 80].any() and not region[:, 120, 80].any()
    assert jaw.below[0, 100, 45] and jaw.below[1, 100, 115] and not jaw.below[0, 100, 115]
    assert jaw.above[0, 60, 30] and jaw.above[1, 60, 130] and not (jaw.above & jaw.below).any()
    assert jaw.above_chin[int(chin[1]) - 2, 80] and not jaw.above_chin[int(chin[1]) + 2, 80]
    assert jaw.needed[100, 52] < 0.5 < jaw.needed[112, 52] < 0.9
    assert (landmarks[JAW][0, 0] < 80) and (landmarks[JAW][-1, 0] > 80)


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (600, 500)])
def test_refined_edge_follows_the_picture(size):
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    disc = ((columns / width - 0.5) ** 2 + (rows / height - 0.5) ** 2) < 0.09
    frame = np.where(disc[..., None], 220, 30).astype(np.uint8).repeat(3, -1)
    import cv2

    coarse = cv2.GaussianBlur(cv2.resize(disc.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    alpha = refine(coarse, frame)
    assert alpha.shape == size and 0 <= alpha.min() and alpha.max() <= 1
    assert np.abs(alpha - disc).mean() < np.abs(cv2.resize(coarse, (width, height)) - disc).mean()
    assert alpha[height // 2, width // 2] > 0.99 and alpha[0, 0] < 0.01


def test_plate_decides_along_the_edge():
    frame = np.full((80, 80, 3), 50, np.uint8)
    frame[:, 42:] = 200  # the person begins at column 42, the segmenter thinks at 36
    coarse = np.clip((np.arange(80) - 32) / 8, 0, 1).astype(np.float32)[None].repeat(80, 0)
    plate = Plate(np.full_like(frame, 50), np.ones((80, 80), bool), 0.5)
    with_plate, without = refine(coarse, frame, plate), refine(coarse, frame)
    assert with_plate[40, 38] < 0.2 and with_plate[40, 45] > 0.9
    assert with_plate[40, 38] < 0.5 * without[40, 38]
    unseen = Plate(plate.picture, np.zeros((80, 80), bool), 0.5)
    assert np.allclose(refine(coarse, frame, unseen), without)


def flicker(frames=20, moving=False):
    rng = np.random.default_rng(0)
    for t in range(frames):
        probability = np.zeros((16, 16), np.float32)
        edge = t % 12 if moving else 8
        probability[:, edge:] = 1
        grey = probability * 200
        if not moving:
            probability[:, 7:9] = rng.uniform(0, 1)
        yield probability, grey


def test_steady_calms_what_stands_still():
    raw = np.array([p for p, _ in flicker()])
    calm = np.array(list(steady(flicker())))
    assert calm.shape == raw.shape
    assert np.abs(np.diff(calm[:, 8, 8])).mean() < 0.5 * np.abs(np.diff(raw[:, 8, 8])).mean()


def test_steady_does_not_lag_behind_movement():
    raw = np.array([p for p, _ in flicker(moving=True)])
    calm = np.array(list(steady(flicker(moving=True))))
    assert np.abs(raw - calm).max() < 0.35 and np.abs(raw - calm).mean() < 0.03


def test_steady_stops_at_jumps():
    def clip():
        for t in range(10):
            yield np.full((8, 8), float(t >= 5), np.float32), np.zeros((8, 8), np.float32)

    assert [float(p[0, 0]) for p in steady(clip(), frozenset({5}))] == [0] * 5 + [1] * 5


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 5])
def test_steady_gives_every_frame_once(frames):
    clip = ((np.full((4, 4), t / 10, np.float32), np.full((4, 4), 99.0 * t, np.float32)) for t in range(frames))
    out = list(steady(clip))
    assert len(out) == frames
    assert [float(p[0, 0]) for p in out] == pytest.approx([t / 10 for t in range(frames)], abs=1e-4)


class StandIn:
    """Answers as MediaPipe's segmenters do: confidence masks of the model's classes."""

    def __init__(self, classes: list[np.ndarray]) -> None:
        self._classes = classes

    def segment(self, image):
        assert image.width == image.height == 256
        return self

    @property
    def confidence_masks(self):
        return [type("Mask", (), {"numpy_view": lambda _, value=value: value[..., None]})() for value in self._classes]


def segmenter(*classes) -> PersonSegmenter:
    out = PersonSegmenter.__new__(PersonSegmenter)
    out._segmenter = StandIn([np.full((256, 256), value, np.float32) for value in classes])
    return out


def test_a_model_of_two_classes_tells_the_person_only():
    look = segmenter(0.3, 0.7).look(np.zeros((40, 60, 3), np.uint8))
    assert look.person.shape == (256, 256) and look.person[3, 3] == pytest.approx(0.7) and look.head is None


def test_a_model_of_six_classes_tells_hair_from_clothes():
    frame = np.zeros((40, 60, 3), np.uint8)
    look = segmenter(0.1, 0.6, 0.05, 0.1, 0.05, 0.1).look(frame)
    assert look.person[0, 0] == pytest.approx(0.9) and look.head[0, 0] == pytest.approx(0.7 / 0.8, abs=0.01)
    assert segmenter(0.0, 0.0, 0.2, 0.0, 0.8, 0.0).look(frame).head[0, 0] < 0.01
    assert segmenter(0.0, 0.0, 0.0, 0.0, 0.0, 1.0).look(frame).head[0, 0] == pytest.approx(0.5)  # accessories: anywhere


def test_hair_and_clothes_of_one_colour_are_told_apart_by_the_model():
    frame, alpha, landmarks = portrait(hair_beside=True)
    hair = (frame == (150, 90, 20)).all(-1)
    frame[hair] = (30, 30, 40)
    colours = ColourSplit()
    colours.learn(frame, alpha, landmarks)
    knows = split(alpha, frame, landmarks, colours, hair.astype(np.float32))
    assert knows[108, 52, 0] > 0.8 and knows[116, 64, 1] > 0.8 and knows[150, 45, 1] > 0.99
    half = split(alpha, frame, landmarks, colours, hair[::2, ::2].astype(np.float32))
    assert np.abs(half - knows).mean() < 0.01


def test_what_is_no_model_is_named(tmp_path):
    for path in (tmp_path / "none.tflite", tmp_path / "broken.tflite"):
        if path.name == "broken.tflite":
            path.write_bytes(b"nothing of the kind")
        with pytest.raises(UserError, match=path.name):
            PersonSegmenter(path)


def test_the_outline_shakes_less_and_follows():
    rng = np.random.default_rng(0)
    time = np.arange(80) / 25
    true = oval_landmarks((80, 70), (26, 36))[None] + (12 * np.sin(2 * np.pi * 0.5 * time))[:, None, None]
    true[40:] += 30  # a jump
    raw = (true + rng.normal(0, 0.5, true.shape)).astype(np.float32)
    calm = _steady_outline(raw, (40,), 25.0)
    error = lambda points: np.sqrt(((points - true)[:, JAW] ** 2).mean())  # noqa: E731
    assert error(calm) < 0.75 * error(raw) and np.abs(calm - true)[38:42, JAW].max() < 2.5
    assert np.array_equal(calm[:, 468], raw[:, 468])
