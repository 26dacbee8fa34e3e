"""What edits of the weights share: landmarks that follow, lips that still meet, strengths that are numbers."""
from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ...errors import UserError
from ...face.arkit import ARKIT_NAMES, indices
from ...face.basis import load_basis
from ...types import EXPRESSIONS, MotionSequence
from ..resample import beyond_weights

EYES = np.char.startswith(ARKIT_NAMES, "eye")
"""[52] bool: weights that speech and silence leave alone."""
LIDS = tuple(indices("eyeBlink*"))
_UPPER, _LOWER = (61, 62, 63), (67, 66, 65)  # inner lips, of the 68 landmarks
_OPENERS = tuple(indices("jawOpen", "mouthLowerDown*", "mouthUpperUp*"))
_CLOSER = ARKIT_NAMES.index("mouthClose")
_CLOSED_QUANTILE, _CLOSED_M = 0.02, 0.002  # of a clip's gaps; a clip whose lips are never nearer has no closure
_MOVING = (0.004, 0.016)  # [m/s] of the lower lip against the upper: below, at rest; above, in speech
_FELT, _NEAR = 0.12, 0.35  # [s] over which that is felt, and how far from it a mouth still counts as speaking


def with_weights(motion: MotionSequence, weights: np.ndarray) -> MotionSequence:
    """`motion` with other expression weights [T, 52], cut to [0, 1], and landmarks moved as they move."""
    weights = np.clip(weights, 0, 1).astype(np.float32)
    if np.array_equal(weights, motion.expression):
        return motion
    return replace(motion, expression=weights, landmarks=load_basis().landmarks68(weights) + beyond_weights(motion))


def checked(name: str, value: float, low: float, high: float) -> float:
    """`value` where it lies from `low` to `high`. Raises UserError: it does not, or is no number."""
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"{name}: must lie from {low:g} to {high:g}, got {value:g}")
    return float(value)


@lru_cache(maxsize=1)
def _gap_of_weights() -> tuple[float, np.ndarray]:
    """The gap of the neutral face [m], and [52] what it gains per unit of each weight [m]."""
    units = np.concatenate([np.zeros((1, EXPRESSIONS)), np.eye(EXPRESSIONS)]).astype(np.float32)
    points = load_basis().landmarks68(units).astype(np.float64)
    gaps = (points[:, _LOWER, 1] - points[:, _UPPER, 1]).mean(1)
    return float(gaps[0]), gaps[1:] - gaps[0]


def lip_gap(weights: np.ndarray) -> np.ndarray:
    """[T] height between the inner lips [m] of weights [T, 52], on the mean face; below 0 where they press."""
    neutral, gains = _gap_of_weights()
    return neutral + weights @ gains


def closed_gap(gap: np.ndarray) -> float:
    """Gap of lips that count as closed, in a clip with the gaps [T] [m]."""
    neutral, _ = _gap_of_weights()
    return float(np.clip(np.quantile(gap, _CLOSED_QUANTILE), neutral, _CLOSED_M)) if len(gap) else neutral


def opened(weights: np.ndarray) -> np.ndarray:
    """[T] how much of the gap [m] jaw and lips make that part them; other weights take some of it back."""
    return weights[:, _OPENERS] @ _gap_of_weights()[1][list(_OPENERS)]


def scale_openers(weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`weights` with those that part the lips times `share` [T]."""
    out = np.array(weights, np.float64)
    out[:, _OPENERS] *= share[:, None]
    return out


def close_lips(weights: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Weights [T, 52] changed where the lips are further apart than `limit` [T] [m]: what parts them goes down, and
    where that is not enough, mouthClose up."""
    weights = np.clip(weights, 0, 1)
    excess = np.maximum(lip_gap(weights) - limit, 0)
    part = opened(weights)
    less = np.minimum(excess, part)
    out = scale_openers(weights, 1 - less / np.maximum(part, 1e-9))
    out[:, _CLOSER] += (excess - less) / -_gap_of_weights()[1][_CLOSER]
    return out


def keep_closures(weights: np.ndarray, before: np.ndarray, share: np.ndarray | float = 1.0) -> np.ndarray:
    """Weights [T, 52] of an edit with the lips closed where they were `before` [T, 52].

    Args:
        share: [T] how far that is asked of a frame.
    """
    was, now = lip_gap(before), lip_gap(np.clip(weights, 0, 1))
    closed = closed_gap(was)
    held = share * np.clip(2 - (was - closed) / 0.001, 0, 1)  # all the way up to 1 mm from closed, not at all from 2 mm
    return close_lips(weights, np.where(now > was, now + held * (was - now), now))


def speaking(weights: np.ndarray, fps: float) -> np.ndarray:
    """[T] in [0, 1]: whether the mouth moves as in speech, within a third of a second: p, b and m are short of movement
    themselves, but near it."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    if len(weights) < 2:
        return np.zeros(len(weights))
    speed = np.abs(np.gradient(lip_gap(weights))) * fps
    low, high = _MOVING
    share = np.clip((gaussian_filter1d(speed, _FELT * fps, mode="nearest") - low) / (high - low), 0, 1)
    share = maximum_filter1d(share * share * (3 - 2 * share), 2 * round(_NEAR * fps) + 1)
    return gaussian_filter1d(share, _FELT * fps, mode="nearest")
