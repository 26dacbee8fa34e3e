"""Somebody's landmarks, in axes and units of their own, in head space."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.face import landmarks as lm
from geneface.face.alignment import fit_pose, image_camera, looks_like_a_face, to_head_space
from geneface.face.arkit import index
from geneface.face.basis import load_basis
from geneface.face.solve import solve_image, solve_landmarks
from geneface.types import CameraTrack


@pytest.fixture(scope="module")
def basis():
    return load_basis()


def talk(frames: int = 50) -> np.ndarray:
    """[T,52] a talking face that smiles and blinks at times."""
    time, weights = np.arange(frames), np.zeros((frames, 52), np.float32)
    for name, period, most in (("jawOpen", 9, 0.5), ("mouthPucker", 23, 0.6), ("mouthSmileLeft", 40, 0.5),
                               ("mouthSmileRight", 40, 0.5), ("eyeBlinkLeft", 31, 0.9), ("eyeBlinkRight", 31, 0.9)):
        weights[:, index(name)] = most * np.clip(np.sin(2 * np.pi * time / period), 0, 1)
    return weights


def nods(frames: int) -> np.ndarray:
    time = np.arange(frames) / 25
    turn = np.stack([0.1 * np.sin(3 * time), 0.3 * np.sin(2 * time), 0.05 * np.cos(time)], 1)
    return Rotation.from_rotvec(turn).as_matrix()


def correlation(one: np.ndarray, other: np.ndarray, name: str) -> float:
    return float(np.corrcoef(one[:, index(name)], other[:, index(name)])[0, 1])


def test_pose_is_found_exactly():
    random = np.random.default_rng(0)
    model, turn = random.normal(size=(68, 3)), Rotation.random(5, random_state=1).as_matrix()
    scale, place = random.uniform(0.5, 3, 5), random.normal(size=(5, 3))
    points = scale[:, None, None] * (model @ turn.transpose(0, 2, 1)) + place[:, None]
    pose = fit_pose(model, points, random.uniform(0.1, 1, 68))
    assert np.allclose(pose.rotation, turn) and np.allclose(pose.scale, scale) and np.allclose(pose.translation, place)
    assert np.allclose(pose.undone(points), model)
    mirrored = fit_pose(model, points * [-1, 1, 1], np.ones(68))
    assert np.allclose(np.linalg.det(mirrored.rotation), 1)  # never a reflection


def test_a_nodding_stranger_in_millimetres_with_y_up(basis):
    weights = talk()
    identity = np.random.default_rng(2).normal(size=basis.components).astype(np.float32)
    points = basis.landmarks68(weights, identity).astype(np.float64) @ nods(50).transpose(0, 2, 1) + [0.1, 0.2, 0.7]
    heads, neutral = to_head_space(points * [1, -1, -1] * 1000)
    solved = solve_landmarks(heads, 25.0, neutral)
    assert solved.residual.mean() < 0.015
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkRight"):
        assert correlation(solved.expression, weights, name) > 0.95, name
    own = basis.landmarks68(None, identity)
    scale = np.linalg.norm(neutral[36] - neutral[45]) / np.linalg.norm(own[36] - own[45])
    apart = neutral - neutral.mean(0) - scale * (own - own.mean(0))
    assert np.sqrt((apart**2).sum(-1).mean()) < 0.004


@pytest.mark.parametrize("points", [68, 468, 478])
def test_image_landmarks_of_an_unknown_camera(basis, points):
    weights, turn = talk(), nods(50)
    pose = np.tile(np.eye(4), (50, 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = turn, [0.03, -0.02, 0.9]
    camera = CameraTrack(np.array([[1500, 0, 320], [0, 1500, 240], [0, 0, 1.0]]), pose, 640, 480, 25.0)
    image = camera.project(basis.landmarks478(None, weights).astype(np.float64))
    image = image[:, lm.MEDIAPIPE_TO_68] if points == 68 else image[:, :points]
    found = image_camera(image, 640, 480, 25.0)
    off = Rotation.from_matrix(found.head_to_camera[:, :3, :3] @ turn.transpose(0, 2, 1)).magnitude()
    assert np.degrees(np.median(off)) < 5
    solved = solve_image(image, found)
    assert solved.residual.mean() < 0.02
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkRight"):
        assert correlation(solved.expression, weights, name) > 0.9, name


def test_what_is_a_face(basis):
    face = basis.landmarks68(talk()[10], np.random.default_rng(3).normal(size=basis.components).astype(np.float32))
    assert looks_like_a_face(face) and looks_like_a_face(300 * face @ nods(9)[8] * [1, -1, -1] + 7)
    assert not looks_like_a_face(np.random.default_rng(4).normal(size=(68, 3)))
    assert not looks_like_a_face(face - basis.landmarks68(None)) and not looks_like_a_face(np.zeros((68, 3)))
