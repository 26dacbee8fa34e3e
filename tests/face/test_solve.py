"""Weights from landmarks: exact where landmarks are, calm where they shake, and honest about what is left."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from geneface.face import landmarks as lm
from geneface.face.arkit import ARKIT_NAMES, index, indices
from geneface.face.basis import load_basis, view_direction
from geneface.face.bounded import bounded
from geneface.face.motion import motion_from_weights
from geneface.face.solve import arkit_residual, observability, solve_image, solve_landmarks
from geneface.types import CameraTrack


@pytest.fixture(scope="module")
def basis():
    return load_basis()


def speech(frames: int = 40, seed: int = 0) -> np.ndarray:
    """[T,52] smooth weights, about half of them at rest at any time."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None]
    waves = np.sin(2 * np.pi * (time * random.uniform(0.01, 0.08, 52) + random.uniform(0, 1, 52)))
    return np.clip(0.6 * waves * random.uniform(0.3, 1, 52), 0, 1).astype(np.float32)


def camera_of(frames: int, fps: float = 25.0) -> CameraTrack:
    """A head that nods and turns 0.8 m in front of a camera."""
    from scipy.spatial.transform import Rotation

    time = np.arange(frames) / fps
    turn = np.stack([0.1 * np.sin(3 * time), 0.25 * np.sin(2 * time), 0.05 * np.cos(time)], 1)
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:, :3, 3] = [0.01, -0.02, 0.8]
    return CameraTrack(np.array([[1400, 0, 256], [0, 1400, 256], [0, 0, 1.0]]), pose, 512, 512, fps)


def seen(basis, weights: np.ndarray, camera: CameraTrack, identity: np.ndarray) -> np.ndarray:
    """[T,478,2] where MediaPipe sees the landmarks [px]."""
    mean, by_identity, by_expression, slopes = basis.seen_landmarks
    view = view_direction(camera.head_to_camera[:, :3, :3], camera.head_to_camera[:, :3, 3])
    points = mean + np.tensordot(identity, by_identity, 1) + np.tensordot(weights, by_expression, 1)
    return camera.project(points + np.tensordot(view, slopes, 1))


def test_bounded_finds_the_minimum_over_all_frames():
    random = np.random.default_rng(1)
    frames, width = 7, 9
    rows, wanted = random.normal(size=(frames, 12, width)), 2 * random.normal(size=(frames, 12))
    tie = random.uniform(0, 3, width)
    found = bounded(rows.transpose(0, 2, 1) @ rows, np.einsum("tpn,tp->tn", rows, wanted), tie)
    whole = np.zeros((frames * 12 + (frames - 1) * width, frames * width))
    for t in range(frames):
        whole[12 * t:12 * t + 12, width * t:width * (t + 1)] = rows[t]
    for t in range(frames - 1):
        at = slice(12 * frames + width * t, 12 * frames + width * (t + 1))
        whole[at, width * (t + 1):width * (t + 2)] = np.diag(np.sqrt(tie))
        whole[at, width * t:width * (t + 1)] = -np.diag(np.sqrt(tie))
    right = np.concatenate([wanted.ravel(), np.zeros((frames - 1) * width)])
    exact = lsq_linear(whole, right, (0, 1), method="bvls", max_iter=1000).x
    assert ((exact < 1e-9) | (exact > 1 - 1e-9)).sum() > 10  # the bounds matter
    assert np.abs(found.ravel() - exact).max() < 1e-6


def test_bounded_does_not_depend_on_where_chunks_end(monkeypatch):
    random = np.random.default_rng(2)
    rows = random.normal(size=(120, 8, 5))
    problem = rows.transpose(0, 2, 1) @ rows + np.eye(5), random.normal(size=(120, 5)), np.full(5, 2.0)
    whole = bounded(*problem)
    monkeypatch.setattr("geneface.face.bounded._CHUNK", 17)
    assert np.abs(bounded(*problem) - whole).max() < 1e-4
    with pytest.raises(ValueError, match="do not fit"):
        bounded(problem[0][:4], problem[1], problem[2])


def test_exact_landmarks_give_their_weights(basis):
    weights = speech()
    solved = solve_landmarks(basis.landmarks68(weights), 25.0)
    shown = observability(68, 1e-5) > 0.98
    assert shown.sum() >= 47 and not shown[index("tongueOut")]
    assert np.abs(solved.expression - weights)[:, shown].max() < 1e-2
    assert np.linalg.norm(basis.landmarks68(solved.expression) - basis.landmarks68(weights), axis=-1).max() < 2e-4
    assert solved.residual.max() < 1e-3 and not solved.expression[:, index("tongueOut")].any()


def test_another_head_needs_its_neutral(basis):
    weights = speech(12)
    identity = np.random.default_rng(3).normal(size=basis.components).astype(np.float32)
    points = basis.landmarks478(identity, weights)
    solved = solve_landmarks(points, 30.0, basis.landmarks478(identity))
    mouth = indices("jawOpen", "mouthSmile*", "eyeBlink*", "mouthPucker")
    assert np.abs(solved.expression - weights)[:, mouth].max() < 1e-2
    assert solve_landmarks(points, 30.0).residual.mean() > 0.02  # taken for the mean head it does not fit
    with pytest.raises(ValueError, match="neutral: expected shape"):
        solve_landmarks(points, 30.0, basis.landmarks68(None))


def test_noise_is_not_taken_for_movement(basis):
    weights = speech(60)
    noisy = basis.landmarks68(weights) + np.random.default_rng(4).normal(0, 5e-4, (60, 68, 3))
    solved = solve_landmarks(noisy, 25.0).expression

    def jitter(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.diff(values, 2, axis=0) ** 2)))

    alone = np.concatenate([solve_landmarks(frame[None], 25.0, noise=5e-4).expression for frame in noisy[:20]])
    assert jitter(solved[:20]) < 0.7 * jitter(alone)
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "mouthPucker", "mouthLeft"):
        assert np.corrcoef(solved[:, index(name)], weights[:, index(name)])[0, 1] > 0.9, name


@pytest.mark.parametrize("points", [68, 478])
def test_image_landmarks_of_a_moving_head(basis, points):
    weights, camera = speech(40, 5), camera_of(40)
    identity = 0.7 * np.random.default_rng(6).normal(size=basis.components)
    image = seen(basis, weights, camera, identity)
    if points == 68:
        image = image[:, lm.MEDIAPIPE_TO_68]
    solved = solve_image(image, camera, identity, np.zeros((points, 3)))
    assert solved.residual.mean() < 0.01
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "mouthPucker"):
        assert np.corrcoef(solved.expression[:, index(name)], weights[:, index(name)])[0, 1] > 0.85, name


def test_what_the_basis_lacks_of_a_person_is_measured(basis):
    weights, camera = speech(40, 7), camera_of(40)
    shift = np.random.default_rng(8).normal(0, 1.5, (478, 2))  # of every landmark, in all frames [px]
    image = seen(basis, weights, camera, np.zeros(basis.components)) + shift
    unmeasured = solve_image(image, camera, None, np.zeros((478, 3))).residual.mean()
    assert solve_image(image, camera).residual.mean() < 0.75 * unmeasured


def test_wrong_arguments_are_named(basis):
    camera = camera_of(3)
    with pytest.raises(ValueError, match="landmarks: expected shape"):
        solve_landmarks(np.zeros((3, 70, 3)), 25.0)
    with pytest.raises(ValueError, match="camera: 3 frames"):
        solve_image(np.zeros((4, 68, 2)), camera)
    with pytest.raises(ValueError, match="identity: expected"):
        solve_image(np.zeros((3, 68, 2)), camera, np.zeros(3))
    with pytest.raises(ValueError, match="shifts: expected shape"):
        solve_image(np.zeros((3, 68, 2)), camera, None, np.zeros((478, 3)))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_clips(basis, frames):
    weights = speech(5)[:frames]
    assert np.allclose(solve_landmarks(basis.landmarks68(weights), 25.0).expression, weights, atol=0.1)
    camera = camera_of(frames)
    image = seen(basis, weights, camera, np.zeros(basis.components))
    assert solve_image(image, camera).expression.shape == (frames, len(ARKIT_NAMES))


def test_residual_of_a_motion_is_what_its_weights_leave(basis):
    motion = motion_from_weights(speech(), 25.0, "test")
    assert arkit_residual(motion) < 1e-6
    apart = np.linalg.norm(np.diff(basis.landmarks68(None)[[36, 45]], axis=0))
    moved = replace(motion, landmarks=motion.landmarks + np.float32([0, 0, 0.03 * apart]))
    assert arkit_residual(moved) == pytest.approx(0.03, rel=1e-4)
    assert arkit_residual(motion_from_weights(np.zeros((0, 52)), 25.0, "none")) == 0
