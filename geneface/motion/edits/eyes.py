"""Edits of lids and gaze."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import UserError
from ...face.basis import load_basis
from ...face.gaze import DOWN, SIDEWAYS, UP
from ...face.landmarks import EYES_68
from ...face.pose import poses
from ...types import EXPRESSIONS, MotionSequence
from ..blinks import around_blink, blink_curve, blink_times, copied_blinks, found_blinks, shape_of, shut_weights
from ..measures import MouthMeasures
from .behaviour import blink, look
from .weights import LIDS, checked, with_weights

_MOST_BLINKS = 120.0  # per minute


def blinks(motion: MotionSequence, gain: float) -> MotionSequence:
    """The blinks there are, `gain` times as deep (1 as they are, 0 none, at most 2)."""
    gain = checked("blink", gain, 0, 2)
    return motion if gain == 1 or not len(motion) else _deepened(motion, gain).after(f"blink {gain:g}")


def blink_rate(motion: MotionSequence, per_minute: float, strength: float = 1.0, seed: int = 0) -> MotionSequence:
    """Other blinks in place of those there are: drawn, so many a minute, shaped as the motion's own.

    Args:
        per_minute: 0 to 120.
        strength: how deep: 0 leaves the motion as it is, 1 shuts the lids.
        seed: of their times.
    """
    rate = checked("blink-rate", per_minute, 0, _MOST_BLINKS)
    random = np.random.default_rng(seed)
    times = blink_times(len(motion), motion.fps, rate, random)
    shape = shape_of(motion.blink, motion.fps)
    curve = blink_curve(times, len(motion), motion.fps, random, shape)
    return _replaced(motion, curve, strength, "blink-rate", f"{per_minute:g}")


def blink_at(motion: MotionSequence, times: Sequence[float], strength: float = 1.0) -> MotionSequence:
    """Other blinks in place of those there are, which begin at `times` [s]; `strength` as in `blink_rate`."""
    starts = np.array(times, np.float64).reshape(-1)
    if not (np.isfinite(starts).all() and (starts >= 0).all() and (starts <= motion.seconds).all()):
        given = ",".join(f"{time:g}" for time in starts)
        raise UserError(f"blink-at: times must lie from 0 to {motion.seconds:g} s, got {given}")
    curve = blink_curve(starts, len(motion), motion.fps, np.random.default_rng(0), shape_of(motion.blink, motion.fps))
    return _replaced(motion, curve, strength, "blink-at", ",".join(f"{time:g}" for time in starts))


def blink_like(motion: MotionSequence, other: MotionSequence, strength: float = 1.0, name: str = "") -> MotionSequence:
    """The blinks of `other`, over and over where it is shorter, in place of those there are.

    Args:
        strength: as in `blink_rate`.
        name: of the other motion, for the history; its source by default.
    """
    curve = copied_blinks(other.blink, other.fps, len(motion), motion.fps)
    return _replaced(motion, curve, strength, "blink-like", name or other.source)


def gaze(motion: MotionSequence, yaw: float, pitch: float, strength: float = 1.0) -> MotionSequence:
    """The eyes look on the whole in one direction, with the small movements that they make.

    Args:
        yaw, pitch: relative to the head, to the image's right and up [degrees].
        strength: 0 as it is, 1 all the way.

    Raises:
        UserError: further than the eyes turn.
    """
    checked("gaze: yaw", yaw, *np.degrees([-SIDEWAYS, SIDEWAYS]).round(3))
    checked("gaze: pitch", pitch, *np.degrees([-DOWN, UP]).round(3))
    strength = checked("gaze", strength, 0, 1)
    if strength == 0 or not len(motion):
        return motion
    turn = np.radians([yaw, pitch]) - motion.gaze.mean(0)
    turned = look(motion, np.tile(turn, (len(motion), 1)), strength)
    return turned.after(f"gaze {yaw:g},{pitch:g}{_suffix(strength)}")


def gaze_at(motion: MotionSequence, point: Sequence[float], strength: float = 1.0) -> MotionSequence:
    """The eyes rest on a point in space, however the head turns.

    Args:
        point: in the camera's frame, x to the image's right, y down, z away from the camera [m]; (0, 0, 0) is the
            camera. The head of a motion without poses looks straight into it.
        strength: 0 as it is, 1 all the way; in between, small movements stay.

    Raises:
        UserError: the point is not in front of the face.
    """
    strength = checked("gaze-at", strength, 0, 1)
    place = np.array(point, np.float64)
    if place.shape != (3,) or not np.isfinite(place).all():
        raise UserError("gaze-at: must be x,y,z in metres from the camera; 0,0,0 is the camera")
    if strength == 0 or not len(motion):
        return motion
    pose = poses(np.tile(np.eye(3), (len(motion), 1, 1))) if motion.head_pose is None else motion.head_pose
    # In the head's frame, from between the eyes: z points into the head.
    seen = np.einsum("tji,tj->ti", pose[:, :3, :3], place - pose[:, :3, 3]) - _between_the_eyes()
    if not (seen[:, 2] < -0.05).all():
        raise UserError(f"gaze-at: {','.join(f'{x:g}' for x in place)} is not in front of the face; "
                        "give metres from the camera, z away from it")
    target = np.stack([np.arctan2(seen[:, 0], -seen[:, 2]),
                       np.arctan2(-seen[:, 1], np.hypot(seen[:, 0], seen[:, 2]))], axis=1)
    target = np.clip(target, [-SIDEWAYS, -DOWN], [SIDEWAYS, UP])
    where = ",".join(f"{x:g}" for x in place)
    return look(motion, target - motion.gaze, strength).after(f"gaze-at {where}{_suffix(strength)}")


def _between_the_eyes() -> np.ndarray:
    neutral = load_basis().landmarks68(np.zeros((1, EXPRESSIONS), np.float32))[0]
    return neutral[EYES_68].mean(0).astype(np.float64)


def _suffix(strength: float) -> str:
    return "" if strength == 1 else f":{strength:g}"


def _replaced(motion: MotionSequence, curve: np.ndarray, strength: float, name: str, words: str) -> MotionSequence:
    """Blinks of closure `curve` [T] in place of the motion's."""
    strength = checked(name, strength, 0, 1)
    if strength == 0 or not len(motion):
        return motion
    shut = shut_weights(MouthMeasures.of_basis(), motion.expression)
    return blink(_deepened(motion, 1 - strength), curve, strength, shut).after(f"{name} {words}{_suffix(strength)}")


def _deepened(motion: MotionSequence, gain: float) -> MotionSequence:
    """Lids over every blink `gain` times as far from where they would be without it."""
    frames = np.arange(len(motion))
    kept = np.ones(len(motion), bool)
    for peak in found_blinks(motion.blink, motion.fps):
        kept[around_blink(motion.blink, peak, motion.fps)] = False
    if kept.all() or not kept.any():
        return motion

    def without(values: np.ndarray) -> np.ndarray:
        open_lids = np.interp(frames, frames[kept], values[kept])
        return open_lids + gain * (values - open_lids)

    weights = motion.expression.astype(np.float64)
    for lid in LIDS:
        weights[:, lid] = without(weights[:, lid])
    return replace(with_weights(motion, weights), blink=np.clip(without(motion.blink), 0, 1).astype(np.float32))
