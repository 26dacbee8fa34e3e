"""What tracking believes before it looks: how far to trust each landmark, and MediaPipe's expression scores."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geneface.face import arkit
from geneface.face import landmarks as lm

from .config import TrackConfig
from .landmarks import Detections
from .solve import Prior, Trust


def used_landmarks(config: TrackConfig) -> tuple[np.ndarray, Trust]:
    """Indices [L] of the landmarks that count, and how far they are trusted."""
    trust = lm.landmark_trust()
    used = np.flatnonzero(trust)
    pairs = np.searchsorted(used, np.concatenate([lm.LIPS_APART, lm.LIDS_APART]))
    gaps = np.full(len(pairs), config.correlation / config.gap**2)
    return used, Trust(trust[used] * config.correlation / config.noise**2, pairs, gaps)


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
