"""Edits towards how somebody else moves."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import UserError
from ...face.arkit import BROWS
from ...types import MotionSequence
from ..style import SpeakingStyle
from .behaviour import look
from .eyes import blink_rate
from .face import mouth
from .pose import head
from .weights import checked, speaking, with_weights

_WIDEST = (0.3, 3.0)  # a movement is never made smaller or larger than so
_SPEECH = 0.5
_LEAST_SECONDS = 1.0
_STILL = 0.01  # standard deviation of a weight that does not move


def style(motion: MotionSequence, reference: MotionSequence, strength: float = 1.0, name: str = "") -> MotionSequence:
    """Moved as the reference moves: how wide the mouth opens in speech, mean and range of the brows, how far head and
    eyes move about their mean, how often they blink.

    Timing and what is said stay; each movement is scaled by 0.3 to 3 at most. Head and brows that do not move are not
    made to.

    Args:
        reference: of a second at least; blinks are counted in one of ten seconds.
        strength: 0 as it is, 1 as the reference.
        name: of the reference, for the history; its source by default.

    Raises:
        UserError: the reference is too short, or a strength out of range.
    """
    strength = checked("style", strength, 0, 1)
    if reference.seconds < _LEAST_SECONDS:
        raise UserError(f"style: {name or reference.source} lasts {reference.seconds:g} s; give a reference of "
                        f"{_LEAST_SECONDS:g} s or more")
    if strength == 0 or not len(motion):
        return motion
    own, other = _style(motion), _style(reference)

    def ratio(wanted: float, given: float) -> float:
        return float(np.clip(wanted / given, *_WIDEST)) ** strength if given > 1e-9 and wanted > 1e-9 else 1.0

    out = mouth(motion, ratio(other.opening_range, own.opening_range))
    out = with_weights(out, _brows(out.expression, reference.expression, strength))
    if motion.head_pose is not None:
        out = head(out, ratio(float(other.head[0]), float(own.head[0])))
    about = motion.gaze - motion.gaze.mean(0)
    roaming = np.array([ratio(a, b) for a, b in zip(reference.gaze.std(0), motion.gaze.std(0))])
    out = look(out, about * (roaming - 1), 1.0)
    if reference.seconds >= 10:
        rate = own.blinks_per_minute + strength * (other.blinks_per_minute - own.blinks_per_minute)
        out = blink_rate(out, rate)
    text = "" if strength == 1 else f":{strength:g}"
    return replace(out, history=motion.history).after(f"style {name or reference.source}{text}")


def _style(motion: MotionSequence) -> SpeakingStyle:
    spoken = speaking(motion.expression, motion.fps) > _SPEECH
    return SpeakingStyle.of_landmarks(motion.landmarks, motion.fps, spoken, motion.blink, motion.gaze, motion.head_pose)


def _brows(weights: np.ndarray, reference: np.ndarray, strength: float) -> np.ndarray:
    """Weights [T, 52] with the brows' mean and range moved towards those of `reference` [R, 52]."""
    out = weights.astype(np.float64)
    for k in BROWS:
        mean, spread, goal = weights[:, k].mean(), weights[:, k].std(), reference[:, k]
        gain = np.clip(goal.std() / spread, *_WIDEST) if spread > _STILL else 1.0
        out[:, k] += strength * (goal.mean() + gain * (weights[:, k] - mean) - weights[:, k])
    return out
