"""What speech does not decide, written into a motion: curves of `motion.behaviour`, `motion.blinks` and `motion.head`.

Each with one strength, which at 0 changes nothing.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...face.arkit import ARKIT_NAMES
from ...face.gaze import turned_eyes
from ...types import MotionSequence, require
from ..head import blend_poses
from .weights import EYES, with_weights

# Of a breath at rest, from its middle: the jaw's weight, the head's pitch and its rise.
_BREATH_JAW, _BREATH_PITCH, _BREATH_RISE = 0.006, np.radians(0.25), 0.0006


def settle(motion: MotionSequence, quiet: np.ndarray, rest: np.ndarray, strength: float) -> MotionSequence:
    """The mouth at rest where it is quiet.

    Args:
        quiet: [T] 0 speech to 1 silence (`behaviour.silence`).
        rest: [52] weights of the mouth at rest.
    """
    share = (strength * quiet)[:, None] * ~EYES
    return with_weights(motion, motion.expression + share * (rest - motion.expression))


def breathe(motion: MotionSequence, breath: np.ndarray, strength: float) -> MotionSequence:
    """The jaw, and the head where the motion has its pose, move a little with the breath.

    Args:
        breath: [T] in [-1, 1] (`behaviour.breath`).
    """
    weights = motion.expression.copy()
    weights[:, ARKIT_NAMES.index("jawOpen")] += strength * _BREATH_JAW * (1 + breath)
    moved = with_weights(motion, weights)
    if motion.head_pose is None or strength == 0:
        return moved
    from scipy.spatial.transform import Rotation

    pose = motion.head_pose.copy()
    # About the head's own x axis, to the image's right: a breath in lifts the chin (y points down).
    nod = Rotation.from_rotvec(np.outer(strength * _BREATH_PITCH * breath, (1.0, 0.0, 0.0)))
    pose[:, :3, :3] = pose[:, :3, :3] @ nod.as_matrix()
    pose[:, 1, 3] -= strength * _BREATH_RISE * breath
    return replace(moved, head_pose=pose)


def blink(motion: MotionSequence, closure: np.ndarray, strength: float, shut: dict[str, float]) -> MotionSequence:
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
    return replace(with_weights(motion, weights), blink=together)


def look(motion: MotionSequence, gaze: np.ndarray, strength: float) -> MotionSequence:
    """Eyes turned further by `gaze` [T, 2] (yaw to image right, pitch up; [rad])."""
    gaze = strength * gaze
    if not gaze.any():
        return motion
    turned = with_weights(motion, turned_eyes(motion.expression, gaze))
    return replace(turned, gaze=(motion.gaze + gaze).astype(np.float32))


def pose_head(motion: MotionSequence, poses: np.ndarray, strength: float) -> MotionSequence:
    """The head posed as `poses` [T, 4, 4] (head to camera [m]); in part, between the pose it has, or the first of
    `poses` where it has none, and these."""
    require(len(poses) == len(motion), f"poses: expected {len(motion)}, got {len(poses)}")
    if strength == 0 or not len(motion):
        return motion
    before = motion.head_pose if motion.head_pose is not None else np.tile(poses[0], (len(poses), 1, 1))
    return replace(motion, head_pose=blend_poses(before, poses, np.full(len(poses), strength)))
