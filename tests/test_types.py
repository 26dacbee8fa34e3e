"""Boundary objects: what they refuse, and that their files give back what was put in."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.types import (
    Avatar,
    CameraTrack,
    FaceTrack,
    MotionSequence,
    PreparedPerson,
    SpeechFeatures,
    write_atomically,
)


def camera(frames: int = 3, width: int = 8, height: int = 6) -> CameraTrack:
    pose = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    angle = np.linspace(0, 0.3, frames)
    pose[:, 0, 0] = pose[:, 2, 2] = np.cos(angle)
    pose[:, 0, 2], pose[:, 2, 0] = np.sin(angle), -np.sin(angle)
    pose[:, :3, 3] = [0.1, -0.2, 0.9]
    return CameraTrack(np.array([[20, 0, 4], [0, 20, 3], [0, 0, 1]], np.float32), pose, width, height, 25.0)


def face(frames: int = 3) -> FaceTrack:
    random = np.random.default_rng(0)
    return FaceTrack(
        random.random((frames, 478, 2), np.float32),
        np.arange(frames) > 0,
        random.random(5, np.float32),
        random.random((frames, 52), np.float32),
        np.ones((frames, 2), np.float32),
        np.zeros((frames, 2), np.float32),
        25.0,
    )


def motion(frames: int = 3, pose: bool = False) -> MotionSequence:
    random = np.random.default_rng(1)
    return MotionSequence(
        random.random((frames, 68, 3), np.float32),
        random.random((frames, 52), np.float32),
        np.zeros(frames, np.float32),
        np.zeros((frames, 2), np.float32),
        25.0,
        "speech: a.wav",
        camera(frames).head_to_camera if pose else None,
    )


def speech(frames: int = 4) -> SpeechFeatures:
    zeros = np.zeros(frames, np.float32)
    return SpeechFeatures(np.ones((frames, 512), np.float32), zeros, zeros - 20, zeros, zeros, 50.0)


def avatar() -> Avatar:
    random = np.random.default_rng(2)
    return Avatar(
        field={"levels": 2},
        tensors={"grid.table": random.random((7, 2), np.float32), "scale": np.float32([3.0])},
        identity=random.random(4, np.float32),
        motion_reference=random.random((5, 68, 3), np.float32),
        expression_reference=random.random((5, 52), np.float32),
        camera=camera(),
        background=random.integers(0, 255, (6, 8, 3), np.uint8).astype(np.uint8),
        consent={"text": "me", "granted": True},
        info={"steps": 10, "source": "ünïcode.mp4"},
    )


def equal(a, b) -> None:
    for field in fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, field.name
            np.testing.assert_array_equal(x, y, err_msg=field.name)
        else:
            assert x == y, field.name


@pytest.mark.parametrize(
    "value",
    [camera(), camera(0), camera(1), face(), face(1), motion(), motion(0), motion(2, True), speech(0), speech()],
)
def test_npz_round_trip(value, tmp_path):
    value.save(tmp_path / "x.npz")
    equal(value, type(value).load(tmp_path / "x.npz"))
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_avatar_round_trip(tmp_path):
    before = avatar()
    before.save(tmp_path / "x.avatar")
    after = Avatar.load(tmp_path / "x.avatar")
    for name in ("field", "consent", "info"):
        assert getattr(before, name) == getattr(after, name)
    assert set(after.tensors) == {"grid.table", "scale"}
    for name, value in before.tensors.items():
        np.testing.assert_array_equal(value, after.tensors[name])
    np.testing.assert_array_equal(before.background, after.background)
    equal(before.camera, after.camera)


def test_points_of_a_turned_head_are_projected():
    pose = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    pose[:, :3, 3] = [[0, 0, 2], [0.1, 0, 1]]
    pose[1, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # x of the head points down in the picture
    track = CameraTrack(np.array([[500, 0, 40], [0, 400, 30], [0, 0, 1]], np.float32), pose, 80, 60, 25.0)
    points = np.tile(np.array([[0, 0, 0], [0.2, 0, 0]], np.float32), (2, 1, 1))
    expected = [[[40, 30], [90, 30]], [[90, 30], [90, 110]]]
    assert np.allclose(track.project(points), expected, atol=1e-4)


def test_cam_to_world_is_the_inverse():
    track = camera()
    product = track.cam_to_world @ track.head_to_camera
    np.testing.assert_allclose(product, np.tile(np.eye(4), (3, 1, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"intrinsics": np.eye(4, dtype=np.float32)}, "intrinsics: expected shape"),
        ({"fps": 0.0}, "fps must be positive"),
        ({"width": 0}, "empty"),
        ({"head_to_camera": np.full((2, 4, 4), np.nan, np.float32)}, "NaN"),
        ({"head_to_camera": np.tile(2 * np.eye(4, dtype=np.float32), (2, 1, 1))}, "orthonormal"),
    ],
)
def test_camera_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        replace(camera(), **change)


def test_series_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="expression"):
        replace(face(), expression=np.zeros((2, 52), np.float32))
    with pytest.raises(ValueError, match="blink"):
        replace(motion(), blink=np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="energy"):
        replace(speech(), energy=np.zeros(5, np.float32))


def test_other_kinds_of_file_are_refused_in_one_line(tmp_path):
    motion().save(tmp_path / "m.npz")
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "plain.npz", a=np.zeros(3))
    for name, message in (
        ("m.npz", "holds a MotionSequence"),
        ("text.npz", "not a readable"),
        ("plain.npz", "not a readable"),
        ("no.npz", "no such file"),
    ):
        with pytest.raises(UserError, match=message) as error:
            CameraTrack.load(tmp_path / name)
        assert name in str(error.value)


def test_pickled_arrays_are_never_read(tmp_path):
    np.savez(tmp_path / "evil.npz", header=np.array([{"type": "CameraTrack"}], dtype=object))
    with pytest.raises(UserError, match="not a readable"):
        CameraTrack.load(tmp_path / "evil.npz")


def test_avatar_of_another_schema(tmp_path, monkeypatch):
    monkeypatch.setattr(Avatar, "SCHEMA_VERSION", 99)
    avatar().save(tmp_path / "x.avatar")
    monkeypatch.undo()
    with pytest.raises(UserError, match="schema 99, this version reads 1; fit it again"):
        Avatar.load(tmp_path / "x.avatar")


def test_avatar_cut_short(tmp_path):
    avatar().save(tmp_path / "x.avatar")
    data = (tmp_path / "x.avatar").read_bytes()
    (tmp_path / "x.avatar").write_bytes(data[:-10])
    with pytest.raises(UserError, match="not a readable avatar"):
        Avatar.load(tmp_path / "x.avatar")
    (tmp_path / "empty.avatar").write_bytes(b"")
    with pytest.raises(UserError, match="not a readable avatar"):
        Avatar.load(tmp_path / "empty.avatar")


def test_unfinished_person(tmp_path):
    with pytest.raises(UserError, match="no manifest.json"):
        PreparedPerson.open(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="unreadable"):
        PreparedPerson.open(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 7}))
    with pytest.raises(UserError, match="schema 7"):
        PreparedPerson.open(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(UserError, match="not finished"):
        PreparedPerson.open(tmp_path)


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path):
    target = tmp_path / "deep" / "x.txt"
    write_atomically(target, lambda path: path.write_text("old"))

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["x.txt"]
