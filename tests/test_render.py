"""Frames and videos of an avatar."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geneface.config import RenderConfig
from geneface.errors import UserError
from geneface.media import probe
from geneface.nerf.condition import LEAST_DEVIATION_M
from geneface.nerf.head import HeadSpec
from geneface.nerf.pack import pack_portrait, unpack_portrait
from geneface.nerf.portrait import Portrait
from geneface.nerf.render import AvatarRenderer
from geneface.nerf.torso import TorsoSpec
from geneface.render import head_poses, ping_pong, render, resample_landmarks
from geneface.types import Avatar, CameraTrack, MotionSequence
from tests.nerf.mock_person import landmarks68

WIDTH, HEIGHT = 33, 26  # odd, and not square


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """An untrained avatar: its head is a fog, but all of its file is there."""
    torch.manual_seed(0)
    head = HeadSpec(levels=4, max_resolution=32, log2_table_size=9, ambient_levels=2, ambient_resolution=32, hidden=16)
    torso = TorsoSpec(levels=4, max_resolution=32, log2_table_size=9, hidden=16)
    portrait = Portrait(head, torso, 5, 16, WIDTH, HEIGHT)
    portrait.head.aabb.copy_(torch.tensor([-0.08, -0.11, -0.1, 0.08, 0.11, 0.1]))
    torch.nn.init.normal_(portrait.head_codes)
    landmarks = landmarks68(np.linspace(0, 0.02, 5)).astype(np.float32)
    portrait.head.encoder.standardise.set(torch.from_numpy(landmarks).flatten(1), LEAST_DEVIATION_M)
    field, tensors = pack_portrait(portrait, 0.008)
    poses = np.tile(np.eye(4, dtype=np.float32), (5, 1, 1))
    poses[:, 2, 3] = 0.6
    poses[:, 0, 3] = 0.01 * np.arange(5)
    intrinsics = np.array([[40, 0, WIDTH / 2], [0, 40, HEIGHT / 2], [0, 0, 1]], np.float32)
    plate = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Avatar(
        field, tensors, np.zeros(3, np.float32), landmarks, np.zeros((5, 52), np.float32),
        CameraTrack(intrinsics, poses, WIDTH, HEIGHT, 25.0), plate, {}, {},
    )


def motion(frames: int, fps: float = 25.0, **changed) -> MotionSequence:
    values = dict(
        landmarks=landmarks68(0.01 + 0.01 * np.sin(np.arange(frames))).astype(np.float32),
        expression=np.zeros((frames, 52), np.float32), blink=np.zeros(frames, np.float32),
        gaze=np.zeros((frames, 2), np.float32), fps=fps, source="test",
    )
    return MotionSequence(**values | changed)


def test_ping_pong_has_no_jump_and_no_end():
    poses = ping_pong(4)
    assert [next(poses) for _ in range(14)] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]
    poses = ping_pong(4, start=2)
    assert [next(poses) for _ in range(4)] == [2, 3, 2, 1]
    poses = ping_pong(1)
    assert [next(poses) for _ in range(3)] == [0, 0, 0]


def test_motion_of_another_rate_is_resampled():
    ramp = np.zeros((30, 68, 3), np.float32)
    ramp[:] = np.arange(30)[:, None, None]
    out = list(resample_landmarks(motion(30, 30.0, landmarks=ramp), 25.0))
    assert len(out) == 25
    assert [o[0, 0] for o in out[1:4]] == pytest.approx([1.3, 2.5, 3.7], abs=1e-5)


def test_own_head_pose_wins_and_is_held(avatar):
    own = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    own[:, 2, 3] = [1, 2, 3]
    poses = head_poses(avatar, motion(3, head_pose=own), 0)
    assert [next(poses)[2, 3] for _ in range(5)] == [1, 2, 3, 3, 3]


def test_frames_depend_on_pose_motion_and_appearance(avatar):
    renderer = AvatarRenderer(avatar)
    landmarks, pose = avatar.motion_reference[2], avatar.camera.head_to_camera[0]
    first = renderer.frame(landmarks, pose)
    assert first.shape == (HEIGHT, WIDTH, 3) and first.dtype == np.uint8
    assert np.array_equal(first, renderer.frame(landmarks, pose))
    assert not np.array_equal(first, renderer.frame(landmarks, avatar.camera.head_to_camera[4]))
    assert not np.array_equal(first, renderer.frame(landmarks, pose, appearance=1))


def test_layers_compose_to_the_picture(avatar):
    layers = AvatarRenderer(avatar, amp=False).layers(avatar.motion_reference[0], avatar.camera.head_to_camera[0])
    plate = torch.from_numpy(np.array(avatar.background)).float() / 255
    torso = layers.torso_alpha[..., None]
    behind = torso * layers.torso_rgb + (1 - torso) * plate
    assert torch.allclose(layers.rgb, layers.head_rgb + (1 - layers.head_alpha[..., None]) * behind, atol=1e-5)
    assert 0.5 < layers.head_alpha.max() <= 1
    centre = layers.depth[HEIGHT // 2, WIDTH // 2] / layers.head_alpha[HEIGHT // 2, WIDTH // 2]
    assert 0.5 < centre < 0.7  # the head's box is 0.5 to 0.7 m away


def test_a_head_out_of_the_picture_leaves_the_rest(avatar):
    pose = avatar.camera.head_to_camera[0].copy()
    pose[0, 3] = 5.0
    assert AvatarRenderer(avatar).layers(avatar.motion_reference[0], pose).head_alpha.max() == 0


def test_size_scales_picture_and_camera(avatar):
    small, large = AvatarRenderer(avatar), AvatarRenderer(avatar, size=66)
    assert small.size == (33, 26) and large.size == (66, 52)
    arguments = avatar.motion_reference[0], avatar.camera.head_to_camera[0]
    a = small.layers(*arguments).head_alpha
    b = torch.nn.functional.avg_pool2d(large.layers(*arguments).head_alpha[None], 2)[0]
    assert (a - b).abs().mean() < 0.02


def test_packing_returns_the_same_field(avatar, tmp_path):
    avatar.save(tmp_path / "a.avatar")
    again = Avatar.load(tmp_path / "a.avatar")
    before, after = unpack_portrait(avatar).state_dict(), unpack_portrait(again).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    arguments = avatar.motion_reference[1], avatar.camera.head_to_camera[1]
    assert np.array_equal(AvatarRenderer(avatar).frame(*arguments), AvatarRenderer(again).frame(*arguments))


def test_fields_of_another_kind_are_refused(avatar):
    with pytest.raises(UserError, match="kind"):
        AvatarRenderer(replace(avatar, field=avatar.field | {"kind": "splats"}))
    with pytest.raises(UserError, match="damaged"):
        AvatarRenderer(replace(avatar, tensors={}))


def test_video_is_as_long_as_the_motion_and_carries_sound(avatar, tmp_path):
    out = tmp_path / "out.mp4"
    audio = 0.1 * np.sin(np.arange(8000) * 0.2).astype(np.float32)
    result = render(avatar, motion(13), out, RenderConfig(start=3), audio=audio)
    info = probe(out)
    assert result.frames == 13 and result.seconds == pytest.approx(0.52)
    assert result.fps_delivered > 0 and result.frame_ms_p95 > 0 and result.output == str(out)
    assert (info.width, info.height) == (34, 26)  # yuv420p wants even sizes
    with pytest.raises(UserError, match="start"):
        render(avatar, motion(3), out, RenderConfig(start=5))


def test_interrupted_rendering_leaves_nothing(avatar, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(AvatarRenderer, "frame", stop)
    with pytest.raises(KeyboardInterrupt):
        render(avatar, motion(3), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
