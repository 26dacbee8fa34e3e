"""VRM's preset expressions from ARKit weights: five vowels, blinks and the feelings that a face plainly shows."""
from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..face.arkit import ARKIT_NAMES, GAZE, MOUTH, indices
from ..face.basis import load_basis
from ..motion.emotions import BLOCKING, EMOTIONS
from ..types import EXPRESSIONS

VOWELS: dict[str, dict[str, float]] = {
    "aa": {"jawOpen": 0.65, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25,
           "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15},
    "ih": {"jawOpen": 0.08, "mouthStretchLeft": 0.5, "mouthStretchRight": 0.5,
           "mouthLowerDownLeft": 0.35, "mouthLowerDownRight": 0.35, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2},
    "ou": {"jawOpen": 0.12, "mouthPucker": 0.85, "mouthFunnel": 0.3},
    "ee": {"jawOpen": 0.2, "mouthSmileLeft": 0.25, "mouthSmileRight": 0.25,
           "mouthStretchLeft": 0.2, "mouthStretchRight": 0.2, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3},
    "oh": {"jawOpen": 0.45, "mouthFunnel": 0.7, "mouthPucker": 0.25},
}
"""What the mouth of each vowel is at weight 1, in ARKit's weights: VRM 1.0 describes them by their sounds alone."""

FEELINGS = ("happy", "angry", "sad", "surprised")
"""Presets whose shapes are those of `motion.emotions`, but for what speech moves; `relaxed` is too faint to be told."""
PLAIN, FULL = 0.5, 1.0  # a feeling shows from the first on, wholly at the second
STEADY = 0.6  # [s] it lasts longer than what speech does with the face: means over so long count


def preset_weights(expression: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Name of each of VRM's presets -> its weights [T] in [0,1].

    Vowels are the combination with weights of 0 or more whose lips are nearest to the motion's (least squares over the
    lips' 20 landmarks and the chin). `blink` is what both lids do, `blinkLeft` and `blinkRight` what one does besides:
    models add them. Feelings are 0 unless plain, since models may block blinks and vowels while one shows.

    Args:
        expression: [T,52] ARKit weights.
        fps: frames per second.
    """
    left, right = expression[:, indices("eyeBlink*")].T
    both = np.minimum(left, right)
    out = dict(zip(VOWELS, vowel_weights(expression).T))
    out |= {"blink": both, "blinkLeft": left - both, "blinkRight": right - both}
    still = np.setdiff1d(np.arange(EXPRESSIONS), [*BLOCKING, *GAZE, *indices("eyeBlink*")])
    window = max(1, round(STEADY * fps))
    steady = uniform_filter1d(expression[:, still].astype(np.float64), window, axis=0, mode="nearest")
    shown = _nonnegative(np.stack([EMOTIONS[name].vector()[still] for name in FEELINGS]), steady)
    out |= dict(zip(FEELINGS, ((shown - PLAIN) / (FULL - PLAIN)).T))
    return {name: np.clip(weights, 0, 1) for name, weights in out.items()}


def vowel_weights(expression: np.ndarray) -> np.ndarray:
    """[T,5] weights of `VOWELS`, each in [0,1]."""
    basis = load_basis()
    mouth = np.zeros((len(expression), EXPRESSIONS), np.float32)
    mouth[:, MOUTH] = expression[:, MOUTH]
    rest = basis.landmarks68(np.zeros(EXPRESSIONS, np.float32))

    def lips(weights: np.ndarray) -> np.ndarray:
        return (basis.landmarks68(weights) - rest)[:, [8, *range(48, 68)]].reshape(len(weights), -1).astype(np.float64)

    return np.clip(_nonnegative(lips(np.stack([_vector(shape) for shape in VOWELS.values()])), lips(mouth)), 0, 1)


def _nonnegative(shapes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[T,K] weights of 0 or more of `shapes` [K,D] that come nearest to each of `targets` [T,D] (least squares).

    Exact for all frames at once: the solution is the best of the 2^K sets of shapes whose plain least squares are not
    negative (Lawson and Hanson 1974, chapter 23).
    """
    best, error = np.zeros((len(targets), len(shapes))), np.square(targets).sum(1)
    for size in range(1, len(shapes) + 1):
        for chosen in map(list, combinations(range(len(shapes)), size)):
            weights = targets @ np.linalg.pinv(shapes[chosen])
            left = np.square(targets - weights @ shapes[chosen]).sum(1)
            better = (weights >= 0).all(1) & (left < error)
            best[better] = 0
            best[np.ix_(better, chosen)] = weights[better]
            error = np.where(better, left, error)
    return best


def _vector(weights: dict[str, float]) -> np.ndarray:
    """[52] float32."""
    return np.array([weights.get(name, 0) for name in ARKIT_NAMES], np.float32)
