"""Frames and videos of an avatar."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import geneface.frame.choice as choice
from geneface.config import RenderConfig
from geneface.errors import UserError
from geneface.media import probe, read_audio, read_frames
from geneface.nerf.condition import LEAST_DEVIATION_M
from geneface.nerf.head import HeadSpec
from geneface.nerf.pack import pack_portrait, unpack_portrait
from geneface.nerf.portrait import Portrait
from geneface.nerf.render import AvatarRenderer
from geneface.nerf.torso import TorsoSpec
from geneface.nerf.views import CameraMove, View
from geneface.render import head_poses, ping_pong, render
from geneface.types import Avatar, CameraTrack, MotionSequence
from tests.nerf.mock_person import landmarks68

WIDTH, HEIGHT = 33, 26  # odd, and not square


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """An untrained avatar: its head is a fog, but all of its file is there."""
    torch.manual_seed(0)
    head = HeadSpec(levels=4, max_resolution=32, log2_table_size=9, motion_levels=2, motion_resolution=32, hidden=16)
    torso = TorsoSpec(levels=4, max_resolution=32, log2_table_size=9, hidden=16)
    portrait = Portrait(head, torso, 5, 16, WIDTH, HEIGHT)
    portrait.head.aabb.copy_(torch.tensor([-0.08, -0.11, -0.1, 0.08, 0.11, 0.1]))
    landmarks = landmarks68(np.linspace(0, 0.02, 5)).astype(np.float32)
    portrait.head.encoder.standardise.set(portrait.head.whole(torch.from_numpy(landmarks)), LEAST_DEVIATION_M)
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


def test_own_head_pose_wins_and_recorded_ones_are_resampled(avatar):
    own = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    own[:, 2, 3] = [1, 2, 3]
    assert [pose[2, 3] for pose in head_poses(avatar, motion(3, head_pose=own), 0)] == [1, 2, 3]
    replayed = head_poses(avatar, motion(1, 50.0), 0)  # recorded at 25, 10 mm a frame
    assert [next(replayed)[0, 3] for _ in range(4)] == pytest.approx([0, 0.005, 0.01, 0.015], abs=1e-6)


def test_another_frame_rate(avatar, tmp_path):
    render(avatar, motion(30, 30.0), tmp_path / "own.mp4", RenderConfig(fps=30.0))
    render(avatar, motion(30, 30.0), tmp_path / "avatars.mp4")
    assert [probe(tmp_path / name).fps for name in ("own.mp4", "avatars.mp4")] == [30, 25]
    with pytest.raises(UserError, match="fps: must lie from 1 to 120"):
        render(avatar, motion(3), tmp_path / "out.mp4", RenderConfig(fps=1000.0))
    with pytest.raises(UserError, match="leave fps out"):
        render(avatar, motion(3), tmp_path / "out.mp4", RenderConfig(fps=30.0, frame="full"))


def test_frames_depend_on_pose_and_motion(avatar):
    renderer = AvatarRenderer(avatar)
    landmarks, pose = avatar.motion_reference[2], avatar.camera.head_to_camera[0]
    first = renderer.frame(landmarks, pose)
    assert first.shape == (HEIGHT, WIDTH, 3) and first.dtype == np.uint8
    assert np.array_equal(first, renderer.frame(landmarks, pose))
    assert not np.array_equal(first, renderer.frame(landmarks, avatar.camera.head_to_camera[4]))


def test_layers_compose_to_the_picture(avatar):
    layers = AvatarRenderer(avatar, amp=False).layers(avatar.motion_reference[0], avatar.camera.head_to_camera[0])
    plate = torch.from_numpy(np.array(avatar.background)).float() / 255
    torso = layers.torso_alpha[..., None]
    behind = torso * layers.torso_rgb + (1 - torso) * plate
    assert torch.allclose(layers.rgb, layers.head_rgb + (1 - layers.head_alpha[..., None]) * behind, atol=1e-5)
    assert 0.5 < layers.head_alpha.max() <= 1
    centre = layers.depth[HEIGHT // 2, WIDTH // 2] / layers.head_alpha[HEIGHT // 2, WIDTH // 2]
    assert 0.5 < centre < 0.7  # the head's box is 0.5 to 0.7 m away


def test_a_view_turns_the_head_and_leaves_the_background(avatar):
    renderer, view = AvatarRenderer(avatar, amp=False), View(15, -10)
    landmarks, pose = avatar.motion_reference[0], avatar.camera.head_to_camera[0]
    layers = renderer.layers(landmarks, pose, view=view)
    turned = CameraMove.of(view, avatar.camera, avatar.camera.intrinsics).pose(torch.from_numpy(pose)).numpy()
    torn = renderer.layers(landmarks, turned)
    assert (layers.head_alpha >= torn.head_alpha - 1e-5).all()
    whole = layers.head_alpha - torn.head_alpha < 1e-6
    assert whole.float().mean() > 0.9 and torch.allclose(layers.head_rgb[whole], torn.head_rgb[whole], atol=1e-5)
    # The torso follows the recorded pose, the plate is the recorded one.
    plate = torch.from_numpy(np.array(avatar.background)).float() / 255
    torso = layers.torso_alpha[..., None]
    behind = torso * layers.torso_rgb + (1 - torso) * plate
    assert torch.allclose(layers.rgb, layers.head_rgb + (1 - layers.head_alpha[..., None]) * behind, atol=1e-5)


@pytest.mark.parametrize("shift", [(5, 0, 0), (-5, 0, 0), (0, 5, 0), (0, -5, 0), (0, 0, -3)])
def test_a_head_out_of_the_picture_leaves_the_rest(avatar, shift):
    """On every side, and behind the camera."""
    pose = avatar.camera.head_to_camera[0].copy()
    pose[:3, 3] += shift
    layers = AvatarRenderer(avatar).layers(avatar.motion_reference[0], pose)
    assert layers.head_alpha.max() == 0 and torch.isfinite(layers.rgb).all()


@pytest.mark.parametrize("axis, sign", [(0, 1), (0, -1), (1, 1), (1, -1)])
def test_a_head_partly_out_of_the_picture_is_cut_at_its_edge(avatar, axis, sign):
    """What remains is what a picture large enough would show there."""
    size = (WIDTH, HEIGHT)[axis]
    pose = avatar.camera.head_to_camera[0].copy()
    pose[axis, 3] = sign * 0.6 * size / 2 / 40  # its centre on the picture's edge
    alpha = AvatarRenderer(avatar, amp=False).layers(avatar.motion_reference[0], pose).head_alpha
    near = alpha.movedim(1 - axis, 0).amax(1)  # along the axis
    near = near if sign > 0 else near.flip(0)
    assert near[-1] > 0.3 and near[0] == 0
    # Moving the principal point instead of the picture's edge shows the same pixels.
    big = np.zeros((3 * HEIGHT, 3 * WIDTH, 3), np.uint8)
    camera = avatar.camera
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2, 2] += (WIDTH, HEIGHT)
    wide = replace(
        avatar, background=big, camera=replace(camera, intrinsics=intrinsics, width=3 * WIDTH, height=3 * HEIGHT)
    )
    whole = AvatarRenderer(wide, amp=False).layers(avatar.motion_reference[0], pose).head_alpha
    assert torch.allclose(whole[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH], alpha, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_read_only_arrays_render_without_a_warning(avatar):
    arrays = [avatar.background, avatar.camera.intrinsics, avatar.motion_reference[0], avatar.camera.head_to_camera[0]]
    arrays = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    still = replace(avatar, background=arrays[0], camera=replace(avatar.camera, intrinsics=arrays[1]))
    expected = AvatarRenderer(avatar).frame(avatar.motion_reference[0], avatar.camera.head_to_camera[0])
    assert np.array_equal(AvatarRenderer(still).frame(*arrays[2:]), expected)


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
    with pytest.raises(UserError, match="older version"):
        AvatarRenderer(replace(avatar, field=avatar.field | {"torso": {"levels": 4, "condition": 16, "reach": 0.25}}))


def test_video_is_as_long_as_the_motion_and_carries_sound(avatar, tmp_path):
    out = tmp_path / "out.mp4"
    audio = 0.1 * np.sin(np.arange(8000) * 0.2).astype(np.float32)
    result = render(avatar, motion(13), out, RenderConfig(start=3), audio=audio)
    info = probe(out)
    assert result.frames == 13 and result.seconds == pytest.approx(0.52)
    assert result.fps_delivered > 0 and result.frame_ms_p95 > 0 and result.output == str(out)
    assert (info.width, info.height) == (34, 26)  # yuv420p wants even sizes
    assert info.fps == pytest.approx(25) and info.has_audio
    assert sum(1 for _ in read_frames(out, fps=None)) == 13
    assert len(read_audio(out)) / 16000 == pytest.approx(0.5, abs=0.1)
    with pytest.raises(UserError, match="start"):
        render(avatar, motion(3), out, RenderConfig(start=5))


def test_interrupted_rendering_leaves_nothing(avatar, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(AvatarRenderer, "frame", stop)
    with pytest.raises(KeyboardInterrupt):
        render(avatar, motion(3), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_no_motion_is_refused(avatar, tmp_path):
    with pytest.raises(UserError, match="no frames"):
        render(avatar, motion(0, landmarks=np.zeros((0, 68, 3), np.float32)), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_long_motion_replays_poses_without_a_jump(avatar):
    """Past the end of the training video the head turns back: no step is larger than the video's own."""
    moved = np.stack([pose for pose, _ in zip(head_poses(avatar, motion(1), 3), range(40))])[:, 0, 3]
    assert np.abs(np.diff(moved)).max() == pytest.approx(0.01)
    assert moved[:4] == pytest.approx([0.03, 0.04, 0.03, 0.02])
    assert np.unique(moved) == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])


def test_frames_are_written_as_they_are_rendered(avatar, tmp_path, monkeypatch):
    """Memory does not grow with the length: no frame is rendered before the last one has been written."""
    events = []
    frame = AvatarRenderer.frame

    def rendered(self, *arguments, **named):
        events.append("render")
        return frame(self, *arguments, **named)

    class Writer(choice.VideoWriter):
        def write(self, picture):
            events.append("write")
            super().write(picture)

    monkeypatch.setattr(AvatarRenderer, "frame", rendered)
    monkeypatch.setattr(choice, "VideoWriter", Writer)
    render(avatar, motion(12), tmp_path / "out.mp4")  # of 5 poses
    assert events == ["render", "write"] * 12


def test_the_camera_stands_aside_and_sways(avatar, tmp_path, monkeypatch):
    views = []
    frame = AvatarRenderer.frame

    def rendered(self, *arguments, view):
        views.append(view)
        return frame(self, *arguments, view=view)

    monkeypatch.setattr(AvatarRenderer, "frame", rendered)
    render(avatar, motion(2), tmp_path / "still.mp4", RenderConfig(yaw=10, pitch=-5))
    assert views == [View(10, -5)] * 2
    views.clear()
    render(avatar, motion(60), tmp_path / "sway.mp4", RenderConfig(yaw=2, orbit=12))
    assert views[0] == View(2) and views[50] == View(14)  # the sway's quarter is two seconds
    with pytest.raises(UserError, match="--orbit 15.*at most 30"):
        render(avatar, motion(2), tmp_path / "far.mp4", RenderConfig(yaw=20, orbit=15))
    assert not (tmp_path / "far.mp4").exists()


def test_motion_file_drives_the_same_video(avatar, tmp_path):
    pose = np.tile(np.eye(4, dtype=np.float32), (4, 1, 1))
    pose[:, 2, 3] = 0.7
    made = motion(4, head_pose=pose)
    made.save(tmp_path / "motion.npz")
    again = MotionSequence.load(tmp_path / "motion.npz")
    assert again.source == "test" and np.array_equal(again.head_pose, pose)
    for index, name in enumerate(("a.mp4", "b.mp4")):
        render(avatar, (made, again)[index], tmp_path / name)
    assert all(np.array_equal(a, b) for a, b in zip(read_frames(tmp_path / "a.mp4"), read_frames(tmp_path / "b.mp4")))
