"""When and how a face does what speech does not decide: silence, eye movements, breath, as curves over time.

`motion.edits` writes them into a motion.
"""
from __future__ import annotations

import numpy as np

from ..speech.framing import close_gaps, runs
from ..types import SpeechFeatures

_SPEECH_FPS = 50
_SPEECH = 0.3  # least probability: a consonant taken for silence looks worse than a pause taken for speech
_SHORTEST_PAUSE = 0.25  # [s] shorter gaps are plosives and breaths between words: left to the generator
_LEAD, _TRAIL = 0.2, 0.25  # [s] lips part before the sound and settle after it, as long as recorded people's do
_RAMP = 0.2  # [s]
_BREATHS = 0.25  # [Hz] at rest, 15 a minute
_FIXATION = 1.4  # [s] mean time between small eye movements
_WIDEST_GAZE = 2.5  # standard deviations


def silence(features: SpeechFeatures, frames: int, fps: float = 25.0) -> np.ndarray:
    """How silent every video frame is: not where somebody speaks, nor in gaps under 0.25 s; the edges are smooth.

    Returns:
        [frames] in [0, 1]: 0 speech, 1 silence.
    """
    active = close_gaps(features.speech > _SPEECH, int(_SHORTEST_PAUSE * _SPEECH_FPS))
    time = (np.arange(frames) + 0.5) / fps
    out = np.ones(frames)
    for begin, end in runs(active) / _SPEECH_FPS:
        begin, end = begin - _LEAD, end + _TRAIL
        outside = np.maximum(begin - time, time - end)
        out = np.minimum(out, np.clip(outside / _RAMP, 0, 1))
    return (0.5 - 0.5 * np.cos(np.pi * out)).astype(np.float32)


def gaze(frames: int, fps: float, spread: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Small eye movements: steps between fixations about straight ahead, each reached within two frames.

    Args:
        spread: [2] standard deviation of yaw and pitch [rad].

    Returns:
        [frames, 2] yaw (positive to image right) and pitch (positive up) [rad].
    """
    targets = np.zeros((frames, 2))
    t = 0
    while t < frames:
        end = t + max(int(0.3 * fps), int(random.exponential(_FIXATION) * fps))
        targets[t:end] = spread * np.clip(random.standard_normal(2), -_WIDEST_GAZE, _WIDEST_GAZE)
        t = end
    before = np.concatenate([targets[:1], targets[:-1]]) if frames else targets
    return ((targets + before) / 2).astype(np.float32)


def breath(frames: int, fps: float, random: np.random.Generator) -> np.ndarray:
    """[frames] in [-1, 1]: breathing at rest, about 15 times a minute, never quite regular."""
    if not frames:
        return np.zeros(0, np.float32)
    # The rate wanders by a fifth over some seconds.
    knots = random.standard_normal(int(frames / fps / 4) + 3)
    rate = _BREATHS * (1 + 0.2 * np.clip(np.interp(np.arange(frames) / fps / 4, np.arange(len(knots)), knots), -2, 2))
    phase = 2 * np.pi * (random.uniform() + np.cumsum(rate) / fps)
    return np.sin(phase).astype(np.float32)
