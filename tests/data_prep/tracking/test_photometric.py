"""Photometric refinement against heads with a painted skin whose pose is known."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from data_prep.tracking.photometric import PhotometricConfig, refine_pose, small_grey
from data_prep.tracking.skin import Skin
from geneface import ops
from geneface.errors import UserError
from geneface.face.basis import load_basis
from geneface.types import CameraTrack, FaceTrack

SIZE, FOCAL, FRAMES = 256, 650.0, 20


def face_track(frames: int, valid=None) -> FaceTrack:
    return FaceTrack(
        np.zeros((frames, 478, 2), np.float32), np.ones(frames, bool) if valid is None else valid,
        np.zeros(load_basis().components, np.float32), np.zeros((frames, 52), np.float32),
        np.ones((frames, 2), np.float32), np.zeros((frames, 2), np.float32), 25.0)


class Clip:
    """A painted head that sways and nods under a fixed camera, and a landmark fit that errs."""

    def __init__(self, seed=0, paint=0.25, frames=FRAMES, error_deg=0.8, error_mm=0.8):
        rng = np.random.default_rng(seed)
        time = np.arange(frames) / 25
        angles = np.stack([12 * np.sin(2 * np.pi * time + 0.3), 5 * np.sin(5 * time), 3 * np.cos(4 * time)], 1)
        poses = np.tile(np.eye(4), (frames, 1, 1))
        poses[:, :3, :3] = Rotation.from_euler("yxz", angles, degrees=True).as_matrix()
        poses[:, :3, 3] = np.stack([0.005 * np.sin(3 * time), 0.004 * np.cos(3 * time), 0.9 + 0 * time], 1)
        basis = load_basis()
        waves = np.geomspace(100, 900, 40)[:, None]  # as much at every scale, as skin has [rad/m]
        directions = rng.normal(size=(40, 3))
        directions *= waves / np.linalg.norm(directions, axis=1, keepdims=True)
        phases = rng.uniform(0, 6, 40)
        triangles = torch.from_numpy(np.array(basis.triangles))
        self.truth, self.pictures = poses, []
        for pose in poses:
            camera = basis.mean @ pose[:3, :3].T + pose[:3, 3]
            flat = np.concatenate([FOCAL * camera[:, :2] / camera[:, 2:] + SIZE / 2, camera[:, 2:]], 1)
            number, weights, _ = ops.rasterize(torch.from_numpy(flat.astype(np.float32)), triangles, SIZE, SIZE)
            place = (basis.mean[basis.triangles[number.numpy()]] * weights.numpy()[..., None]).sum(2)
            pattern = np.sin(place @ directions.T + phases).sum(-1) / np.sqrt(20)
            picture = np.where(number.numpy() >= 0, 120 * (1 + paint * pattern), 120.0)
            picture += rng.normal(0, 1.0, picture.shape) * (paint > 0)
            self.pictures.append(np.clip(picture + 0.5, 0, 255).astype(np.uint8))
        fitted = poses.copy()
        # A landmark fit has been smoothed: its error is, too.
        error = np.sin(rng.uniform(3, 9, 6) * time[:, None] + rng.uniform(0, 6, 6)) * np.sqrt(2)
        turns = Rotation.from_rotvec(np.deg2rad(error_deg) * error[:, :3])
        fitted[:, :3, :3] = turns.as_matrix() @ poses[:, :3, :3]
        fitted[:, :3, 3] += error_mm * 1e-3 * error[:, 3:]
        intrinsics = np.array([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]])
        self.camera = CameraTrack(intrinsics, fitted, SIZE, SIZE, 25.0)

    def refine(self, **options):
        pictures = options.pop("pictures", self.pictures)
        camera = options.pop("camera", self.camera)
        face = options.pop("face", None) or face_track(len(camera))
        config = PhotometricConfig(**options)
        return refine_pose(pictures.__getitem__, camera, face, load_basis(), (), config)

    def error(self, camera) -> np.ndarray:
        """[T] rotation error without the part that all frames share: a texture has no absolute front [deg]."""
        truth, fitted = (Rotation.from_matrix(poses[:, :3, :3]) for poses in (self.truth, camera.head_to_camera))
        turn = truth.inv() * fitted
        return np.rad2deg((turn * turn.mean().inv()).magnitude())

    def miss(self, camera) -> float:
        """RMS miss of the tip of the nose in the picture, without the mean [px]."""
        tip = load_basis().landmarks478()[1]
        seen = [p[:, :3, :3] @ tip + p[:, :3, 3] for p in (camera.head_to_camera, self.truth)]
        off = FOCAL * (seen[0][:, :2] / seen[0][:, 2:] - seen[1][:, :2] / seen[1][:, 2:])
        return float(np.sqrt(((off - off.mean(0)) ** 2).sum(1).mean()))


@pytest.fixture(scope="module")
def clip():
    return Clip()


@pytest.fixture(scope="module")
def refined(clip):
    return clip.refine()


def test_recovers_the_pose_from_the_skin(clip, refined):
    camera, quality = refined
    assert np.median(clip.error(clip.camera)) > 1.0 and clip.miss(clip.camera) > 1.2
    assert np.median(clip.error(camera)) < 0.2 and clip.error(camera).max() < 0.4
    assert clip.miss(camera) < 0.1
    assert quality.samples > 1000 and 1.0 < quality.turned_deg < 2.5
    assert np.array_equal(camera.intrinsics, clip.camera.intrinsics)


def test_brighter_and_darker_frames_change_nothing(clip, refined):
    expected, _ = refined
    rng = np.random.default_rng(1)
    lit = [np.clip(picture * rng.uniform(0.7, 1.3) + rng.uniform(-12, 12) + 0.5, 0, 255).astype(np.uint8)
           for picture in clip.pictures]
    camera, _ = clip.refine(pictures=lit)
    apart = Rotation.from_matrix(camera.head_to_camera[:, :3, :3]) * Rotation.from_matrix(
        expected.head_to_camera[:, :3, :3]).inv()
    assert np.rad2deg(apart.magnitude()).max() < 0.15


def test_skin_without_texture_leaves_the_landmark_fit():
    clip = Clip(paint=0.0, frames=8)
    camera, quality = clip.refine()
    assert np.allclose(camera.head_to_camera, clip.camera.head_to_camera, atol=1e-9)
    assert quality.turned_deg == pytest.approx(0, abs=1e-6) and quality.moved_px == pytest.approx(0, abs=1e-6)


def test_pictures_may_be_smaller_than_the_frames(clip):
    import cv2

    large = [cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for picture in clip.pictures]
    results = []
    for scale in (2, 4):
        intrinsics = clip.camera.intrinsics * [[scale], [scale], [1]]
        camera = replace(clip.camera, intrinsics=intrinsics, width=scale * SIZE, height=scale * SIZE)
        results.append(clip.refine(pictures=large, camera=camera)[0])
    assert np.allclose(results[0].head_to_camera, results[1].head_to_camera, atol=1e-9)
    assert np.median(clip.error(results[0])) < 0.3


def test_frames_without_a_face_follow_their_neighbours(clip):
    valid = np.ones(FRAMES, bool)
    valid[10:12] = False
    pictures = list(clip.pictures)
    pictures[10] = pictures[11] = np.full((SIZE, SIZE), 255, np.uint8)
    camera, _ = clip.refine(pictures=pictures, face=face_track(FRAMES, valid))
    assert np.median(clip.error(camera)[valid]) < 0.4
    first = Rotation.from_matrix(clip.camera.head_to_camera[10:12, :3, :3])
    change = (Rotation.from_matrix(camera.head_to_camera[10:12, :3, :3]) * first.inv()).magnitude()
    assert np.rad2deg(change).max() < 4.0


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_of_few_frames(clip, frames):
    camera = replace(clip.camera, head_to_camera=clip.camera.head_to_camera[:frames])
    refined, quality = clip.refine(camera=camera)
    assert len(refined) == frames
    assert (quality.samples == 0) == (frames < 3)
    if frames < 3:
        assert np.array_equal(refined.head_to_camera, camera.head_to_camera)


def test_a_result_that_landmarks_contradict_is_dropped(clip):
    aside = [np.roll(picture, 16, axis=1) for picture in clip.pictures]
    camera, quality = clip.refine(pictures=aside)
    assert quality.samples == 0 and quality.turned_deg == 0 and camera is clip.camera


def test_noise_moves_nothing_far(clip):
    rng = np.random.default_rng(3)
    noise = [rng.integers(60, 200, (SIZE, SIZE)).astype(np.uint8) for _ in range(FRAMES)]
    _, quality = clip.refine(pictures=noise)
    assert quality.turned_deg < 0.4 and quality.moved_px < 0.4


def test_lengths_must_agree(clip):
    with pytest.raises(ValueError, match="face"):
        clip.refine(face=face_track(3))


def test_skin_is_rigid_and_faces_outwards():
    basis = load_basis()
    skin = Skin(basis, np.zeros(basis.components, np.float32), 0.003)
    numbers = skin.grid[skin.grid >= 0]
    assert np.array_equal(numbers, np.arange(len(skin)))
    assert np.linalg.norm(skin.expression, axis=-1).max() < 0.009
    lips = basis.mean[basis.regions["lips"]]
    assert skin.mean[:, 1].max() < lips[:, 1].mean()
    forward = skin.mean[:, 2] < -0.05
    assert (skin.normals[forward, 2] < 0).mean() > 0.98
    chosen = skin.mean[:, 0] > 0
    kept = skin.mean[chosen]
    skin.keep(chosen)
    assert np.array_equal(skin.mean, kept)
    assert np.array_equal(np.sort(skin.grid[skin.grid >= 0]), np.arange(len(kept)))


def test_small_grey_reads_at_a_fraction(tmp_path):
    import cv2

    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (1024, 1024), np.uint8), (0, 0), 9)
    cv2.imwrite(str(tmp_path / "a.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
    small = small_grey(tmp_path / "a.jpg", 1024)
    assert small.shape == (512, 512)
    assert np.abs(small - cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA).astype(float)).mean() < 1.5
    assert small_grey(tmp_path / "a.jpg", 1023).shape == (1024, 1024)
    with pytest.raises(UserError, match="b.jpg"):
        small_grey(tmp_path / "b.jpg", 1024)


def test_real_clip(footage):
    """Pose from one half of the skin makes the other half steadier: it is the head that moved, not the noise."""
    import itertools

    import cv2

    from data_prep.tracking.landmarks import detect_landmarks
    from data_prep.tracking.photometric import Alignment
    from data_prep.tracking.fit import fit_track
    from data_prep.tracking.config import TrackConfig
    from geneface import media

    frames = list(itertools.islice(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25), 30))
    basis = load_basis()
    camera, face, _ = fit_track(
        detect_landmarks(iter(frames), 25), 512, 512, 25.0, basis, config=TrackConfig(keyframes=20, person_rounds=4))
    small = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    alignment = Alignment(camera, face, basis, PhotometricConfig(rounds=3))
    alignment.learn(small[::2], range(0, 30, 2))
    precision, grid = alignment.precision.copy(), alignment.skin.grid
    rows, columns = np.nonzero(grid >= 0)
    other = np.empty(len(precision), bool)
    other[grid[rows, columns]] = (rows // 6 + columns // 6) % 2 == 1

    def unrest(poses) -> float:
        alignment.precision = precision * other
        total = 0.0
        for index in range(1, 30, 2):  # frames that the texture was not made from
            points = alignment.skin.points(face.expression[index])
            visible = alignment.visible(poses[index])
            view = alignment.view(alignment.patch(small[index], index), points, poses[index], visible)
            weight = view.trust * alignment.precision
            miss = view.seen[:, 0] / alignment.gain(view) - alignment.texture
            total += float((weight * miss**2).sum() / weight.sum())
        return np.sqrt(total / 15)

    alignment.precision = precision * ~other
    poses = np.stack([alignment.align(alignment.patch(small[i], i), i, alignment.start[i]) for i in range(30)])
    assert unrest(poses) < 0.93 * unrest(alignment.start)
