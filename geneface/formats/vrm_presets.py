"""VRM's preset expressions from ARKit weights: five vowels, blinks and the emotions that a face plainly shows."""
from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..face.arkit import ARKIT_NAMES, MOUTH, indices
from ..face.basis import load_basis
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

EMOTIONS: dict[str, dict[str, float]] = {
    "happy": {"mouthSmileLeft": 0.35, "mouthSmileRight": 0.35, "cheekSquintLeft": 0.15, "cheekSquintRight": 0.15},
    "angry": {"browDownLeft": 0.3, "browDownRight": 0.3, "noseSneerLeft": 0.2, "noseSneerRight": 0.2},
    "sad": {"mouthFrownLeft": 0.3, "mouthFrownRight": 0.3, "browInnerUp": 0.4},
    "surprised": {"browInnerUp": 0.2, "browOuterUpLeft": 0.2, "browOuterUpRight": 0.2,
                  "eyeWideLeft": 0.2, "eyeWideRight": 0.2},
}
"""Shares of ARKit's weights in how much a face shows an emotion. VRM's `relaxed` has no mark of its own."""
PLAIN, FULL = 0.3, 0.8  # shows an emotion from the first on, wholly at the second
STEADY = 0.6  # [s] an emotion lasts longer than a movement of speech: evidence is its mean over so long


def preset_weights(expression: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Name of each of VRM's presets -> its weights [T] in [0,1].

    Vowels are the combination with weights of 0 or more whose lips are nearest to the motion's (least squares over the
    lips' 20 landmarks and the chin). `blink` is what both lids do, `blinkLeft` and `blinkRight` what one does besides:
    models add them. Emotions are 0 unless plain, since models may block blinks and vowels while one shows.

    Args:
        expression: [T,52] ARKit weights.
        fps: frames per second.
    """
    left, right = expression[:, indices("eyeBlink*")].T
    both = np.minimum(left, right)
    out = dict(zip(VOWELS, vowel_weights(expression).T))
    out |= {"blink": both, "blinkLeft": left - both, "blinkRight": right - both}
    for name, shares in EMOTIONS.items():
        shown = uniform_filter1d(expression @ _vector(shares), max(1, round(STEADY * fps)), mode="nearest")
        out[name] = np.clip((shown - PLAIN) / (FULL - PLAIN), 0, 1)
    return {name: np.clip(weights, 0, 1) for name, weights in out.items()}


def vowel_weights(expression: np.ndarray) -> np.ndarray:
    """[T,5] weights of `VOWELS`, each in [0,1].

    Non-negative least squares is exact: of the 32 sets of vowels the solution is the best of those whose plain least
    squares are not negative (Lawson and Hanson 1974, chapter 23).
    """
    basis = load_basis()
    mouth = np.zeros((len(expression), EXPRESSIONS), np.float32)
    mouth[:, MOUTH] = expression[:, MOUTH]
    rest = basis.landmarks68(np.zeros(EXPRESSIONS, np.float32))

    def lips(weights: np.ndarray) -> np.ndarray:
        return (basis.landmarks68(weights) - rest)[:, [8, *range(48, 68)]].reshape(len(weights), -1).astype(np.float64)

    shapes, target = lips(np.stack([_vector(shape) for shape in VOWELS.values()])), lips(mouth)
    best, error = np.zeros((len(target), len(shapes))), np.square(target).sum(1)
    for size in range(1, len(shapes) + 1):
        for chosen in map(list, combinations(range(len(shapes)), size)):
            weights = target @ np.linalg.pinv(shapes[chosen])
            left = np.square(target - weights @ shapes[chosen]).sum(1)
            better = (weights >= 0).all(1) & (left < error)
            best[better] = 0
            best[np.ix_(better, chosen)] = weights[better]
            error = np.where(better, left, error)
    return np.clip(best, 0, 1)


def _vector(weights: dict[str, float]) -> np.ndarray:
    """[52] float32."""
    return np.array([weights.get(name, 0) for name in ARKIT_NAMES], np.float32)
