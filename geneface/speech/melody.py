"""What the generator is given beside content: F0, energy and voicing, relative to the recording's own habits.

Absolute pitch and level say who speaks and how near the microphone is; what moves the lips is the change.
"""
from __future__ import annotations

import numpy as np

from ..types import SpeechFeatures

QUIET = -1.25
"""Relative energy (20 dB units, see `relative`) up to which a frame is heard as quiet."""

_QUIETEST_REFERENCE_DB = -50.0  # a recording whose loud parts are quieter is not lifted to speech level


def reference_level(energy: np.ndarray) -> float:
    """Level of the recording's loud parts [dB]: the 95th percentile, at least -50."""
    return max(float(np.percentile(energy, 95)), _QUIETEST_REFERENCE_DB) if len(energy) else _QUIETEST_REFERENCE_DB


def melody(features: SpeechFeatures) -> np.ndarray:
    """[T, 3] at the features' rate, see `relative`."""
    return relative(features.log_f0, features.energy, features.voicing)


def relative(log_f0: np.ndarray, energy: np.ndarray, voicing: np.ndarray) -> np.ndarray:
    """[T, 3]: log-F0 minus its median in octaves (0 where unvoiced), energy relative to the loud parts in units of
    20 dB within [-2, 0.5] (below, it depends on the microphone), voicing in [0, 1]; from `log_f0`, `energy` and
    `voicing` [T] of a recording."""
    voiced = log_f0 > 0
    median = float(np.median(log_f0[voiced])) if voiced.any() else 0.0
    f0 = np.where(voiced, np.clip((log_f0 - median) / np.log(2), -1.5, 1.5), 0)
    energy = np.clip((energy - reference_level(energy)) / 20, -2, 0.5)
    return np.stack([f0, energy, voicing], axis=1).astype(np.float32)
