"""Overlays, loudness, pictures on disk."""
from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from data_prep.report.overlay import OCCLUDER, cut_out, fitted_points, occluded, on_colour, overlay
from data_prep.report.summary import loudness, worst_frames, write_report
from data_prep.streams import Sequence, encode_jpeg, encode_png, ordered_map, read_picture
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis
from geneface.face.landmarks import MEDIAPIPE_TO_68
from geneface.report import Verdict
from geneface.types import CameraTrack, FaceTrack, SpeechFeatures


def test_loudness_of_each_frame():
    audio = np.concatenate([np.zeros(640), np.full(640, 0.1), np.full(640, 1.0)]).astype(np.float32)
    assert loudness(audio, 16000, 25, 4) == pytest.approx([-60, -20, 0, -60], abs=0.1)


def test_worst_frames_are_apart_and_missing_faces_come_first():
    badness = np.zeros(60)
    badness[[5, 20, 21, 50]] = np.inf, 5, 6, 4
    assert worst_frames(badness, 3, 8) == [5, 21, 50]
    assert len(worst_frames(badness, 100, 8)) < 60


def test_fitted_points_are_those_of_the_posed_head():
    pose = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    pose[:, :3, 3] = [[0, 0, 1], [0.01, 0, 1]]
    camera = CameraTrack(np.array([[500.0, 0, 50], [0, 500, 40], [0, 0, 1]], np.float32), pose, 100, 80, 25.0)
    basis, zero = load_basis(), np.zeros((2, 52), np.float32)
    face = FaceTrack(np.zeros((2, 478, 2), np.float32), np.zeros(2, bool), np.zeros(basis.components, np.float32), zero,
                     np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32), 25.0)
    points, head = fitted_points(camera, face, basis), basis.landmarks68(zero[0])
    np.testing.assert_allclose(points[0], head[:, :2] / (1 + head[:, 2:]) * 500 + (50, 40), atol=1e-3)
    np.testing.assert_allclose(points[1] - points[0], 5 / (1 + head[:, 2:]) * (1, 0), atol=1e-3)
    # What the basis lacks of the person is a constant shift.
    seen = np.zeros((2, 478, 2), np.float32)
    seen[:, MEDIAPIPE_TO_68] = points + np.random.default_rng(0).normal(0, 3, (68, 2))
    face = replace(face, landmarks=seen, valid=np.ones(2, bool))
    np.testing.assert_allclose(fitted_points(camera, face, basis), seen[:, MEDIAPIPE_TO_68], atol=1e-3)


def test_overlay_marks_without_touching_the_frame():
    frame = np.full((64, 48, 3), 90, np.uint8)
    mask = np.zeros_like(frame)
    mask[10:30, 10:30, 0] = mask[30:60, 5:40, 1] = 255
    out = overlay(frame, mask, np.random.default_rng(0).uniform(5, 40, (478, 2)))
    assert out.shape == frame.shape and (frame == 90).all() and (out != 90).any()
    small = overlay(frame, mask, np.full((478, 2), 20.0), np.linspace(30, 34, 136).reshape(68, 2), height=32)
    assert small.shape == (32, 24, 3)
    assert (small[15:17, 15:17] > 150).any() and (frame == 90).all()  # the fitted head's points, at half the size


def test_overlay_outlines_what_hides_the_person():
    frame, mask = np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64, 3), np.uint8)
    mask[..., 2] = 255
    assert not occluded(mask).any()
    mask[20:40, 20:40] = 0
    assert occluded(mask).sum() == 400
    out = overlay(frame, mask, np.zeros((478, 2)))
    # OpenCV's lines are softened at their edges.
    assert np.abs(out[20, 30].astype(int) - OCCLUDER).max() < 60 and (out[30, 30] == 90).all()


def test_cut_out_shows_one_part():
    frame = np.full((4, 4, 3), 100, np.uint8)
    mask = np.zeros_like(frame)
    mask[:2, :, 1] = 255
    out = cut_out(frame, mask, 1, (0, 0, 200))
    assert (out[:2] == 100).all() and (out[2:] == (0, 0, 200)).all()
    half = on_colour(np.full((1, 1, 4), (100, 100, 100, 51), np.uint8), (0, 0, 200))
    assert half.tolist() == [[[20, 20, 180]]]


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


def prepared(folder, count: int) -> tuple:
    """A person of `count` frames of 64 px, as preparation leaves it, and the arguments of `write_report` after it: head
    before the camera, mouth opening and closing, no face in frame 20, a hand over frame 0."""
    random = np.random.default_rng(0)
    for name, suffix, encode in (("frames", ".jpg", lambda p: encode_jpeg(p, 90)), ("masks", ".png", encode_png)):
        sequence = Sequence(folder / name, suffix)
        sequence.clear()
        pictures = [random.integers(0, 255, (64, 64, 3)).astype(np.uint8) for _ in range(count)]
        if name == "masks":
            pictures = [np.full((64, 64, 3), (0, 0, 255), np.uint8) for _ in range(count)]
            for picture in pictures:
                picture[10:50, 20:44] = (255, 0, 0)
            pictures[0][30:50, 20:44] = 0
        sequence.write(map(encode, pictures))
    (folder / "background.png").write_bytes(encode_png(np.zeros((64, 64, 3), np.uint8)))
    pose = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    pose[:, 2, 3] = 1
    camera = CameraTrack(np.array([[200.0, 0, 32], [0, 200, 32], [0, 0, 1]], np.float32), pose, 64, 64, 25.0)
    basis, expression = load_basis(), np.zeros((count, 52), np.float32)
    expression[:, ARKIT_NAMES.index("jawOpen")] = 0.3 + 0.3 * np.sin(np.arange(count))
    head = basis.landmarks478(None, expression)
    landmarks = (200 * head[..., :2] / (1 + head[..., 2:]) + 32).astype(np.float32)
    valid = np.arange(count) != 20
    face = FaceTrack(landmarks, valid, np.zeros(basis.components, np.float32), expression,
                     np.ones((count, 2), np.float32), np.zeros((count, 2), np.float32), 25.0)
    audio = (0.1 * random.standard_normal(640 * count)).astype(np.float32)
    blank = np.zeros(2 * count, np.float32)
    speech = SpeechFeatures(blank[:, None], blank, blank, blank, blank + 1, 50.0)
    speech.save(folder / "speech.npz")
    manifest = {
        "source": {"name": "talk.mp4"}, "crop": {"x": 0}, "consent": {"text": "", "date": ""}, "jumps": [],
        "options": {"sample_rate": 16000}, "train_frames": count - 1, "stages": {"frames": {"seconds": 1.0}},
        "result": {"frames": count, "fps": 25.0, "seconds": count / 25, "size": 64, "audio_offset_frames": None},
    }
    stages = {"track": {"jitter_deg": 0.03}, "background": {"seen": 0.5}, "speech": {"spoken": 1.0}}
    return folder, manifest, [Verdict("noise", "warn", "9 dB", "be quiet")], stages, camera, face, audio


def test_report_of_a_person(tmp_path):
    page = write_report(*prepared(tmp_path, 60)).read_text("utf-8")
    words = re.sub(r"data:[^\"]*", "", page)
    assert len(re.findall("<video", words)) == 1  # too short for a second one of the whole
    assert "noise (9 dB): be quiet" in words and "0 of 1 checks passed" in words
    assert "frame 20, 0.8 s: no face found" in words
    assert "turns to the left in the picture at all" in words and "never opens wide" not in words
    assert "Outlined in orange" in words and "could not be told" in words and "and 0.03° after smoothing" in words
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["pose_reach_degrees"] == pytest.approx({"left": 0, "right": 0, "up": 0, "down": 0}, abs=1e-4)
    assert len(content["lacking"]) >= 5 and 0 < content["mouth_shapes_lacking"] < 1 and content["blinks"] == 0


def test_report_of_a_single_frame(tmp_path):
    assert write_report(*prepared(tmp_path, 1)).is_file()
