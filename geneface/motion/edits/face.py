"""Edits of what the face does: how wide, how much, with what feeling, how smoothly, on which side."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...face.arkit import ARKIT_NAMES, GAZE, mirrored
from ...face.basis import load_basis
from ...face.landmarks import MEDIAPIPE_TO_68
from ...types import MotionSequence
from ..emotions import BLOCKING, REGIONS, emotion_of, regions_of
from ..resample import beyond_weights, steady_quaternions
from .weights import (
    LIDS, checked, close_lips, closed_gap, keep_closures, lip_gap, opened, scale_openers, speaking, with_weights,
)

_IN_SPEECH = 0.6  # what a talking mouth keeps of a smile or a frown
_MIRRORED = [ARKIT_NAMES.index(mirrored(name)) for name in ARKIT_NAMES]
_EXPRESSIVE = np.setdiff1d(np.arange(len(ARKIT_NAMES)), [*GAZE, *LIDS])


def mouth(motion: MotionSequence, gain: float) -> MotionSequence:
    """The mouth opens `gain` times as wide (1 as it is, 0 to 4); lips that are closed stay closed."""
    gain = checked("mouth", gain, 0, 4)
    if gain == 1 or not len(motion):
        return motion
    gap, part = lip_gap(motion.expression), opened(motion.expression)
    # Of what parts the lips, so much is seen; the rest is taken back by what closes them, which stays.
    seen = np.clip((gap - closed_gap(gap)) / np.maximum(part, 1e-9), 0, 1)
    weights = scale_openers(motion.expression, 1 + (gain - 1) * seen)
    return with_weights(motion, weights).after(f"mouth {gain:g}")


def expression(motion: MotionSequence, gain: float) -> MotionSequence:
    """All that the face does about its neutral, `gain` times (1 as it is, 0 to 3), but for blinks and gaze."""
    gain = checked("expression", gain, 0, 3)
    if gain == 1 or not len(motion):
        return motion
    weights = motion.expression.astype(np.float64)
    weights[:, _EXPRESSIVE] *= gain
    gap = lip_gap(motion.expression)
    closed = closed_gap(gap)
    weights = close_lips(weights, np.maximum(closed + gain * (gap - closed), closed))
    return with_weights(motion, weights).after(f"expression {gain:g}")


def emotion(motion: MotionSequence, name: str, strength: float = 1.0,
            regions: Sequence[str] = tuple(REGIONS)) -> MotionSequence:
    """A feeling on top of what the face does; see `motion.emotions`.

    A blink goes through the eyes' part. While the mouth speaks, its part is less, leaves the jaw alone and lets the
    lips close.

    Args:
        name: of `EMOTIONS`.
        strength: 0 nothing, 1 as the preset has it, at most 1.5.
        regions: of `REGIONS`; all by default.

    Raises:
        UserError: no such emotion or region, or a strength out of range.
    """
    preset, regions = emotion_of(name), regions_of(regions)
    strength = checked("emotion", strength, 0, 1.5)
    if strength == 0 or not len(motion):
        return motion
    before = motion.expression.astype(np.float64)
    talk = speaking(before, motion.fps)[:, None]
    amount = strength * preset.vector(regions)
    share = np.ones_like(before)
    in_eyes, in_mouth = (np.isin(np.arange(before.shape[1]), REGIONS[region]) for region in ("eyes", "mouth"))
    share[:, in_eyes] = np.clip(1 - motion.blink, 0, 1)[:, None]
    share[:, in_mouth] = 1 - (1 - _IN_SPEECH) * talk
    share[:, BLOCKING] = 1 - talk
    # Towards 1 by a share of what is left: two smiles are no grimace.
    weights = before + share * amount * (1 - before)
    if in_mouth @ (amount > 0):
        weights = keep_closures(weights, before, talk[:, 0])
    text = "" if len(regions) == len(REGIONS) else ":" + ",".join(regions)
    return with_weights(motion, weights).after(f"emotion {name}:{strength:g}{text}")


def smooth(motion: MotionSequence, seconds: float) -> MotionSequence:
    """A Gaussian filter over weights, gaze and head pose, without delay; lips that close and lids that blink still do.

    Args:
        seconds: standard deviation (0 as it is, at most 2); a sine of 0.19 / `seconds` Hz keeps half its height.
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d
    from scipy.spatial.transform import Rotation

    seconds = checked("smooth", seconds, 0, 2)
    if seconds == 0 or len(motion) < 2:
        return motion
    width = seconds * motion.fps

    def filtered(values: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(values.astype(np.float64), width, axis=0, mode="nearest")

    weights = keep_closures(filtered(motion.expression), motion.expression)
    shut = np.clip(motion.blink.astype(np.float64) / 0.25 - 1, 0, 1)  # from a quarter closed, and around that
    kept = maximum_filter1d(shut, 2 * int(np.ceil(2 * width)) + 1)
    kept = gaussian_filter1d(kept, width, mode="nearest") if kept.any() else kept
    lids = list(LIDS)
    weights[:, lids] += kept[:, None] * (motion.expression[:, lids] - weights[:, lids])
    blink = filtered(motion.blink)
    changes = {"blink": np.clip(blink + kept * (motion.blink - blink), 0, 1).astype(np.float32),
               "gaze": filtered(motion.gaze).astype(np.float32)}
    if motion.head_pose is not None:
        pose = motion.head_pose.astype(np.float64)
        turns = filtered(steady_quaternions(pose))
        pose[:, :3, :3] = Rotation.from_quat(turns).as_matrix()
        pose[:, :3, 3] = filtered(pose[:, :3, 3])
        changes["head_pose"] = pose
    return replace(with_weights(motion, weights), **changes).after(f"smooth {seconds:g}")


def mirror(motion: MotionSequence) -> MotionSequence:
    """Left for right: weights, gaze and head pose, as in a mirror."""
    changes = {"gaze": motion.gaze * np.array([-1, 1], motion.gaze.dtype)}
    if motion.head_pose is not None:
        flip = np.diag([-1.0, 1.0, 1.0, 1.0])
        changes["head_pose"] = flip @ motion.head_pose @ flip
    weights = motion.expression[:, _MIRRORED]
    own = beyond_weights(motion)[:, _mirrored_landmarks()] * np.array([-1, 1, 1], np.float32)
    landmarks = load_basis().landmarks68(weights) + own
    return motion.after("mirror", expression=weights, landmarks=landmarks, **changes)


def _mirrored_landmarks() -> list[int]:
    """Of each of the 68, the one on the other side."""
    place = {int(point): k for k, point in enumerate(MEDIAPIPE_TO_68)}
    return [place[int(point)] for point in load_basis().landmark_mirror[MEDIAPIPE_TO_68]]
