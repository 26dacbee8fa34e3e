"""Edits of a motion: each a pure function from motion to motion with one strength, which at 0 changes nothing.

Weights and landmarks stay consistent, weights within [0, 1].
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.gaze import gaze_weights
from ..types import MotionSequence, require
from .head import blend_poses
from .measures import MouthMeasures

EYES = np.char.startswith(ARKIT_NAMES, "eye")  # [52] bool: weights that speech and silence leave alone
# Of a breath at rest, from its middle: the jaw's weight, the head's pitch and its rise.
_BREATH_JAW, _BREATH_PITCH, _BREATH_RISE = 0.006, np.radians(0.25), 0.0006


def settle(motion: MotionSequence, quiet: np.ndarray, rest: np.ndarray, strength: float,
           measures: MouthMeasures) -> MotionSequence:
    """The mouth at rest where it is quiet.

    Args:
        quiet: [T] 0 speech to 1 silence (`behaviour.silence`).
        rest: [52] weights of the mouth at rest.
    """
    share = (strength * quiet)[:, None] * ~EYES
    return with_weights(motion, motion.expression + share * (rest - motion.expression), measures)


def breathe(motion: MotionSequence, breath: np.ndarray, strength: float, measures: MouthMeasures) -> MotionSequence:
    """The jaw, and the head where the motion has its pose, move a little with the breath.

    Args:
        breath: [T] in [-1, 1] (`behaviour.breath`).
    """
    weights = motion.expression.copy()
    weights[:, ARKIT_NAMES.index("jawOpen")] += strength * _BREATH_JAW * (1 + breath)
    moved = with_weights(motion, weights, measures)
    if motion.head_pose is None or strength == 0:
        return moved
    from scipy.spatial.transform import Rotation

    pose = motion.head_pose.copy()
    # About the head's own x axis, to the image's right: a breath in lifts the chin (y points down).
    nod = Rotation.from_rotvec(np.outer(strength * _BREATH_PITCH * breath, (1.0, 0.0, 0.0)))
    pose[:, :3, :3] = pose[:, :3, :3] @ nod.as_matrix()
    pose[:, 1, 3] -= strength * _BREATH_RISE * breath
    return replace(moved, head_pose=pose)


def blink(motion: MotionSequence, closure: np.ndarray, strength: float, shut: dict[str, float],
          measures: MouthMeasures) -> MotionSequence:
    """Blinks on top of what the lids do.

    Args:
        closure: [T] of the eyelids in [0, 1] (`blinks.blink_curve`, or the `blink` of another motion).
        shut: weight of either lid at closure 1, by ARKIT name.
    """
    closure = (strength * closure).astype(np.float32)
    weights = motion.expression.copy()
    for name, full in shut.items():
        lid = weights[:, ARKIT_NAMES.index(name)]
        lid += closure * np.maximum(0, full - lid)
    together = np.clip(np.maximum(motion.blink, closure), 0, 1)
    return replace(with_weights(motion, weights, measures), blink=together)


def look(motion: MotionSequence, gaze: np.ndarray, strength: float, measures: MouthMeasures) -> MotionSequence:
    """Eyes turned further by `gaze` [T, 2] (yaw to image right, pitch up; [rad])."""
    gaze = strength * gaze
    weights = motion.expression + gaze_weights(gaze)
    return replace(with_weights(motion, weights, measures), gaze=(motion.gaze + gaze).astype(np.float32))


def pose_head(motion: MotionSequence, poses: np.ndarray, strength: float) -> MotionSequence:
    """The head posed as `poses` [T, 4, 4] (head to camera [m]); in part, between the pose it has, or the first of
    `poses` where it has none, and these."""
    require(len(poses) == len(motion), f"poses: expected {len(motion)}, got {len(poses)}")
    if strength == 0 or not len(motion):
        return motion
    before = motion.head_pose if motion.head_pose is not None else np.tile(poses[0], (len(poses), 1, 1))
    return replace(motion, head_pose=blend_poses(before, poses, np.full(len(poses), strength)))


def with_weights(motion: MotionSequence, weights: np.ndarray, measures: MouthMeasures) -> MotionSequence:
    """`motion` with other expression weights [T, 52], cut to [0, 1], and the landmarks that they make."""
    weights = np.clip(weights, 0, 1).astype(np.float32)
    if np.array_equal(weights, motion.expression):
        return motion
    return replace(motion, expression=weights, landmarks=measures.landmarks(weights).astype(np.float32))
