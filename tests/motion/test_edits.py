"""Edits of a motion."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface.face.arkit import ARKIT_NAMES
from geneface.motion import edits
from geneface.motion.blinks import shut_weights
from geneface.motion.head import blend_poses
from geneface.motion.measures import MouthMeasures
from geneface.types import MotionSequence

JAW, TONGUE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("tongueOut")
MEASURES = MouthMeasures.of_basis()
FRAMES = 20


def turned(degrees: np.ndarray) -> np.ndarray:
    """[T, 4, 4] poses turned about y, half a metre away."""
    pose = np.tile(np.eye(4), (len(degrees), 1, 1))
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    pose[:, 0, 0], pose[:, 0, 2], pose[:, 2, 0], pose[:, 2, 2] = c, s, -s, c
    pose[:, 2, 3] = 0.5
    return pose


def motion(posed: bool = True) -> MotionSequence:
    weights = np.random.default_rng(0).uniform(0, 0.4, (FRAMES, 52)).astype(np.float32)
    return MotionSequence(MEASURES.landmarks(weights).astype(np.float32), weights, np.full(FRAMES, 0.1, np.float32),
                          np.full((FRAMES, 2), 0.02, np.float32), 25.0, "made up",
                          turned(np.linspace(-5, 5, FRAMES)) if posed else None)


SHUT = shut_weights(MEASURES)
EDITS = {
    "settle": lambda m, s: edits.settle(m, np.linspace(0, 1, FRAMES), np.full(52, 0.1, np.float32), s),
    "breathe": lambda m, s: edits.breathe(m, np.sin(np.arange(FRAMES)), s),
    "blink": lambda m, s: edits.blink(m, np.linspace(0, 1, FRAMES), s, SHUT),
    "look": lambda m, s: edits.look(m, np.full((FRAMES, 2), 0.1), s),
    "pose_head": lambda m, s: edits.pose_head(m, turned(np.linspace(5, 10, FRAMES)), s),
}


def same(one: MotionSequence, other: MotionSequence) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name))
               for name in ("landmarks", "expression", "blink", "gaze", "head_pose"))


@pytest.mark.parametrize("name", EDITS)
def test_strength_zero_changes_nothing_and_one_does(name):
    before = motion()
    kept = replace(before, expression=before.expression.copy(), head_pose=before.head_pose.copy())
    assert same(EDITS[name](before, 0.0), before)
    after = EDITS[name](before, 1.0)
    assert not same(after, before) and same(before, kept)  # and the one it was given stays as it is
    np.testing.assert_allclose(after.landmarks, MEASURES.landmarks(after.expression), atol=1e-6)
    assert after.expression.min() >= 0 and after.expression.max() <= 1
    half = EDITS[name](before, 0.5)
    moved = np.abs(after.expression - before.expression).sum(), np.abs(half.expression - before.expression).sum()
    assert moved[1] < moved[0] or name == "pose_head"


@pytest.mark.parametrize("name", EDITS)
def test_no_frames(name):
    empty = MotionSequence(np.zeros((0, 68, 3)), np.zeros((0, 52)), np.zeros(0), np.zeros((0, 2)), 25.0, "nothing")
    series = np.zeros(0)
    out = {"settle": lambda: edits.settle(empty, series, np.zeros(52), 1.0),
           "breathe": lambda: edits.breathe(empty, series, 1.0),
           "blink": lambda: edits.blink(empty, series, 1.0, SHUT),
           "look": lambda: edits.look(empty, np.zeros((0, 2)), 1.0),
           "pose_head": lambda: edits.pose_head(empty, np.zeros((0, 4, 4)), 1.0)}[name]()
    assert len(out) == 0


def test_settle_rests_the_mouth_and_leaves_the_eyes():
    before, rest = motion(), np.full(52, 0.1, np.float32)
    after = edits.settle(before, np.repeat([0.0, 1.0], FRAMES // 2), rest, 1.0)
    np.testing.assert_array_equal(after.expression[:10], before.expression[:10])
    np.testing.assert_allclose(after.expression[10:][:, ~edits.EYES], 0.1, atol=1e-6)
    np.testing.assert_array_equal(after.expression[:, edits.EYES], before.expression[:, edits.EYES])


def test_breath_is_small_and_moves_the_head_only_where_there_is_a_pose():
    breath = np.sin(np.arange(FRAMES))
    after = edits.breathe(motion(), breath, 1.0)
    assert 0 < np.abs(after.expression[:, JAW] - motion().expression[:, JAW]).max() < 0.02
    rise = after.head_pose[:, 1, 3] - motion().head_pose[:, 1, 3]
    np.testing.assert_allclose(rise, -0.0006 * breath, atol=1e-9)  # y points down: breathing in lifts
    rotation = after.head_pose[:, :3, :3]
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (FRAMES, 1, 1)), atol=1e-9)
    assert edits.breathe(motion(False), breath, 1.0).head_pose is None


def test_blink_shuts_the_lids_and_says_so():
    before = motion()
    after = edits.blink(before, np.linspace(0, 1, FRAMES), 1.0, SHUT)
    for name, full in SHUT.items():
        lid = after.expression[:, ARKIT_NAMES.index(name)]
        assert lid[-1] == pytest.approx(max(full, before.expression[-1, ARKIT_NAMES.index(name)]), abs=1e-6)
    assert after.blink[-1] == 1 and after.blink[0] == pytest.approx(0.1)


def test_look_turns_both_eyes_and_adds_up():
    still = replace(motion(), expression=np.zeros((FRAMES, 52), np.float32))
    after = edits.look(still, np.tile(np.radians([27.0, -9.5]), (FRAMES, 1)), 1.0)
    weight = {name: after.expression[0, ARKIT_NAMES.index(f"eyeLook{name}")]
              for name in ("OutLeft", "InRight", "InLeft", "OutRight", "DownLeft", "DownRight", "UpLeft")}
    assert weight == pytest.approx({"OutLeft": 1, "InRight": 1, "InLeft": 0, "OutRight": 0, "DownLeft": 0.5,
                                    "DownRight": 0.5, "UpLeft": 0}, abs=1e-6)
    np.testing.assert_allclose(after.gaze[0], 0.02 + np.radians([27.0, -9.5]), rtol=1e-6)


def test_pose_head_in_part_lies_between():
    goal = turned(np.full(FRAMES, 10.0))
    half = edits.pose_head(replace(motion(), head_pose=turned(np.zeros(FRAMES))), goal, 0.5)
    np.testing.assert_allclose(half.head_pose, turned(np.full(FRAMES, 5.0)), atol=1e-9)
    np.testing.assert_allclose(edits.pose_head(motion(False), goal, 1.0).head_pose, goal, atol=1e-9)
    assert edits.pose_head(motion(False), goal, 0.0).head_pose is None
    with pytest.raises(ValueError, match="poses: expected 20, got 3"):
        edits.pose_head(motion(), goal[:3], 1.0)
    np.testing.assert_allclose(blend_poses(goal, turned(np.full(FRAMES, -10.0)), np.full(FRAMES, 0.25)),
                               turned(np.full(FRAMES, 5.0)), atol=1e-9)
