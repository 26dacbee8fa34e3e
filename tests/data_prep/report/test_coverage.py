"""What a recording lacks, in words and figures."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.report import coverage
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis
from geneface.types import CameraTrack


def test_head_angles_are_named_as_seen_in_the_picture():
    """x to the right, y down, z away from the camera: a positive turn about y moves the face, at -z, to the left."""
    from scipy.spatial.transform import Rotation

    pose = np.tile(np.eye(4), (2, 1, 1))
    pose[1, :3, :3] = Rotation.from_euler("YXZ", [20, -10, 5], degrees=True).as_matrix()
    angles = coverage.head_angles(CameraTrack(np.eye(3), pose, 10, 10, 25.0))
    assert angles == pytest.approx(np.array([[0, 0, 0], [-20, 10, 5]]), abs=1e-4)
    nose = pose[1, :3, :3] @ (0, 0, -1)
    assert nose[0] < 0 and nose[1] < 0  # to the picture's left, upwards


def spread(turn: float, nod: float, count: int = 1000) -> np.ndarray:
    """Angles evenly spread between minus and plus so much."""
    line = np.linspace(-1, 1, count)
    return np.stack([turn * line, nod * np.roll(line, count // 3), 0 * line], axis=1)


def test_directions_that_are_lacking_are_named():
    assert coverage.pose_gaps(spread(12, 9)) == []
    one_sided = spread(12, 9)
    one_sided[:, 0] = np.maximum(one_sided[:, 0], -3)
    gaps = coverage.pose_gaps(one_sided)
    assert len(gaps) == 1 and "left in the picture beyond 3 degrees" in gaps[0] and "10 degrees" in gaps[0]
    still = coverage.pose_gaps(np.zeros((100, 3)))
    assert len(still) == 4 and "left in the picture at all" in still[0] and "looks down at all" in still[3]
    # A direction is told from the head's usual one, and one stray frame does not count.
    aside = spread(12, 9) + (15, -5, 0)
    aside[0] = (-60, 60, 0)
    assert coverage.pose_gaps(aside) == []


def weights(**named: np.ndarray) -> np.ndarray:
    out = np.zeros((len(next(iter(named.values()))), 52), np.float32)
    for name, values in named.items():
        out[:, ARKIT_NAMES.index(name)] = values
    return out


def test_mouth_shapes_move_with_jaw_and_pucker_and_not_with_the_head():
    from scipy.spatial.transform import Rotation

    face = weights(jawOpen=np.r_[np.zeros(8), 0.6, 0], mouthPucker=np.r_[np.zeros(9), 1])
    head = load_basis().landmarks478(None, face)
    shapes = coverage.mouth_shapes(1000 * head[..., :2])
    np.testing.assert_allclose(shapes[:8, 1], 1, atol=1e-6)
    assert shapes[8, 0] > 0.2 and shapes[9, 1] < 0.9
    turned = head @ Rotation.from_euler("YX", [15, 12], degrees=True).as_matrix().T
    assert np.abs(coverage.mouth_shapes(1000 * turned[..., :2]) - shapes).max() < 0.06


def reference() -> coverage.ShapeReference:
    share = np.zeros((4, 4))
    share[0, 1:3], share[2, 1], share[3, 3] = 0.4, 0.15, 0.05
    return coverage.ShapeReference(np.linspace(0, 0.4, 5), np.linspace(0.8, 1.2, 5), share / share.sum())


def test_share_of_shapes_that_is_lacking():
    known = reference()
    assert known.lacking(np.array([[0.05, 0.95]])) == pytest.approx(0.2)  # neighbours of what was seen count as seen
    assert known.lacking(np.array([[0.05, 0.95], [0.25, 0.95], [9.0, 9.0]])) == pytest.approx(0)
    assert known.quantile(0, 0.4) == pytest.approx(0.05) and known.quantile(0, 1) == pytest.approx(0.4)


def test_shapes_that_are_lacking_are_named():
    """Against the reference that ships: a mumbler lacks them all, a clear speaker none."""
    random = np.random.default_rng(0)
    known = coverage.load_reference()
    assert known.share.sum() == pytest.approx(1) and known.share.shape == (len(known.opening) - 1, len(known.width) - 1)
    mumbling = np.stack([random.uniform(0.05, 0.1, 500), random.uniform(0.98, 1.0, 500)], axis=1)
    gaps = coverage.shape_gaps(mumbling, known)
    assert [word for word in ("wide", "rounded", "spread", "close:") if any(word in gap for gap in gaps)] == [
        "wide", "rounded", "spread", "close:"]
    assert known.lacking(mumbling) > 0.3
    cells = random.choice(known.share.size, 3000, p=known.share.ravel())
    rows, columns = np.unravel_index(cells, known.share.shape)
    clear = np.stack([known.opening[rows] + 0.015, known.width[columns] + 0.015], axis=1)
    assert coverage.shape_gaps(clear, known) == [] and known.lacking(clear) < 0.01


def test_blinks_and_pauses():
    eyes = np.ones((1500, 2), np.float32)
    speech = np.ones(3000, np.float32)
    gaps = coverage.habit_gaps(eyes, 25.0, speech, 50.0)
    assert len(gaps) == 2 and "0 blinks a minute" in gaps[0] and "no pause" in gaps[1]
    for first in range(50, 1500, 150):
        eyes[first:first + 4] = 0.1
    speech[1000:1060] = 0
    assert coverage.count_blinks(eyes) == 10 and coverage.habit_gaps(eyes, 25.0, speech, 50.0) == []
