"""What a face does that speech does not decide: resting in silence, blinking, small eye movements."""
from __future__ import annotations

import numpy as np

from ..speech.framing import close_gaps, runs
from ..types import SpeechFeatures

_SPEECH_FPS = 50
_SPEECH = 0.3  # least probability: a consonant taken for silence looks worse than a pause taken for speech
_SHORTEST_PAUSE = 0.25  # [s] shorter gaps are plosives and breaths between words: left to the generator
_LEAD, _TRAIL = 0.08, 0.12  # [s] lips part before the sound and settle after it
_RAMP = 0.12  # [s]

# Eyelid closure at 25 fps: about 80 ms down, 120 ms shut or nearly, 160-200 ms up (Trutoiu et al. 2011: fast down,
# slower up).
_BLINK = np.array([0.45, 0.95, 1.0, 0.85, 0.6, 0.35, 0.15, 0.05], np.float32)
_SHORTEST_BLINK_GAP = 0.6  # [s]
_DOUBLE_BLINKS = 0.08  # share of blinks followed at once by another
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


def blinks(frames: int, fps: float, per_minute: float, random: np.random.Generator) -> np.ndarray:
    """Eyelid closure of spontaneous blinks.

    Gaps are log-normal (most blinks come sooner than the mean, some much later, as people's do).

    Returns:
        [frames] in [0, 1].
    """
    out = np.zeros(frames, np.float32)
    if per_minute <= 0:
        return out
    mean, spread = 60.0 / per_minute, 0.6
    profile_time = np.arange(len(_BLINK)) / 25.0
    time = random.uniform(0.3, 1.0) * mean
    while time < frames / fps:
        length = random.uniform(0.85, 1.2)
        depth = random.uniform(0.9, 1.0)
        first = int(np.ceil(time * fps))
        last = min(frames, int((time + profile_time[-1] * length) * fps) + 1)
        since = (np.arange(first, last) / fps - time) / length
        shape = depth * np.interp(since, profile_time, _BLINK)
        out[first:last] = np.maximum(out[first:last], shape)
        if random.uniform() < _DOUBLE_BLINKS:
            time += 0.45
        else:
            gap = max(mean - _SHORTEST_BLINK_GAP, 0.1)
            time += _SHORTEST_BLINK_GAP + random.lognormal(np.log(gap) - spread**2 / 2, spread)
    return out


def gaze(frames: int, fps: float, degrees: float, random: np.random.Generator) -> np.ndarray:
    """Small eye movements: steps between fixations about straight ahead, each reached within two frames.

    Args:
        degrees: standard deviation of yaw; pitch moves half as much.

    Returns:
        [frames, 2] yaw (positive to image right) and pitch (positive up) [rad].
    """
    targets = np.zeros((frames, 2))
    t = 0
    while t < frames:
        end = t + max(int(0.3 * fps), int(random.exponential(_FIXATION) * fps))
        step = np.clip(random.standard_normal(2), -_WIDEST_GAZE, _WIDEST_GAZE)
        targets[t:end] = np.radians(degrees) * step * (1.0, 0.5)
        t = end
    before = np.concatenate([targets[:1], targets[:-1]]) if frames else targets
    return ((targets + before) / 2).astype(np.float32)
