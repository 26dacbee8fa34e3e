"""What tracking believes before it looks: how far to trust each landmark, and MediaPipe's expression scores."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geneface.face import arkit
from geneface.face import landmarks as lm

from .config import TrackConfig
from .landmarks import Detections
from .solve import Prior, Trust

# [P,2] landmarks that face each other over the gap between the lips, and between the lids.
LIPS_APART = np.stack([lm.LIPS_INNER_UPPER[1:-1], lm.LIPS_INNER_LOWER[1:-1]], 1)
LIDS_APART = np.concatenate([
    np.stack([upper[1:-1], lower[1:-1]], 1)
    for upper, lower in ((lm.EYE_RIGHT_UPPER, lm.EYE_RIGHT_LOWER), (lm.EYE_LEFT_UPPER, lm.EYE_LEFT_LOWER))])


def landmark_weights() -> np.ndarray:
    """[478] trust in each landmark; 0 leaves it out.

    Features that are seen count, skin that is guessed hardly does: on renders with known pose MediaPipe's nose follows
    a nod to 80 to 90 %, its forehead and outline to under a half, so they would make every nod too small.
    """
    weights = np.where(np.arange(478) % 3 == 0, 0.3, 0.0)  # cheeks: every third is enough
    weights[lm.FOREHEAD_AND_TEMPLES] = 0
    weights[lm.FACE_OVAL] = 0.08
    weights[[152, 148, 377, 176, 400]] = 0.5  # chin
    weights[lm.BROWS] = 0.8
    weights[lm.NOSE_SKIN] = 1.2
    weights[lm.NOSE] = 1.2
    weights[lm.LIPS_OUTER] = 1.5
    weights[lm.LIPS_INNER] = 4.0
    weights[np.concatenate([lm.EYE_RIGHT, lm.EYE_LEFT])] = 2.0
    weights[np.concatenate([lm.IRIS_RIGHT, lm.IRIS_LEFT])] = 0.5
    return weights


def used_landmarks(config: TrackConfig) -> tuple[np.ndarray, Trust]:
    """Indices [L] of the landmarks that count, and how far they are trusted."""
    weights = landmark_weights()
    used = np.flatnonzero(weights)
    pairs = np.searchsorted(used, np.concatenate([LIPS_APART, LIDS_APART]))
    gaps = np.full(len(pairs), config.correlation / config.gap**2)
    return used, Trust(weights[used] * config.correlation / config.noise**2, pairs, gaps)


def expression_prior(clips: Sequence[Detections], config: TrackConfig) -> Prior:
    """Beliefs about expression for all valid frames of the clips."""
    scores = np.concatenate([clip.scores[clip.valid] for clip in clips]).astype(np.float64)
    # How high somebody's brows sit and how narrow the eyes are is identity; MediaPipe reads it as expression.
    held = [*arkit.BROWS, *arkit.indices("eyeSquint*", "eyeWide*")]
    scores[:, held] = np.clip(scores[:, held] - np.quantile(scores[:, held], 0.1, axis=0), 0, 1)
    # Under a closing lid MediaPipe guesses the gaze, and guesses down.
    for side in ("Left", "Right"):
        scores[:, arkit.index(f"eyeLookDown{side}")] *= (1 - scores[:, arkit.index(f"eyeBlink{side}")]) ** 2
    spread = np.full(scores.shape[1], config.expression)
    spread[arkit.indices("eyeBlink*")] = config.eyelid
    spread[arkit.indices("eyeLookIn*", "eyeLookOut*")] = config.gaze
    spread[arkit.index("mouthClose")] = config.expression * 0.4  # the jaw closes the mouth before the lips do
    spread[arkit.indices("jawForward", "cheekPuff")] = config.expression * 0.4
    spread[arkit.index("tongueOut")] = 0.01
    coupling = np.zeros((scores.shape[1],) * 2)
    for a, b, strength in (
        ("eyeLookInLeft", "eyeLookOutRight", 30), ("eyeLookOutLeft", "eyeLookInRight", 30),  # eyes turn together
        ("eyeLookUpLeft", "eyeLookUpRight", 30), ("eyeLookDownLeft", "eyeLookDownRight", 30),
        ("eyeBlinkLeft", "eyeBlinkRight", 5),
    ):
        i, j = arkit.index(a), arkit.index(b)
        coupling[[i, j], [i, j]] += strength
        coupling[[i, j], [j, i]] -= strength
    return Prior(scores, spread**-2, coupling)
