"""Changes to a clip's mouth motion that leave what is said as it is, or that say something else: how a small corpus
teaches sync expert and lip readers."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Where each lip landmark (48 to 67 of 68) finds itself in a mirror.
_MIRROR = np.array([6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 16, 15, 14, 13, 12, 19, 18, 17])
_BLEND = 3  # frames on either side of a joint over which its step is spread


class Spoken(NamedTuple):
    """Attributes: mouth [T, 20, 3] in metres, words, and their times [words, 2]: first frame and past the last (not
    rounded)."""

    mouth: np.ndarray
    words: list[str]
    times: np.ndarray


def splice(a: Spoken, b: Spoken, first: int, last: int) -> Spoken:
    """`a` with its words `first` to `last` (exclusive) replaced by those of `b` at the same places.

    Clips are cut where the words meet; silence before the first and after the last word goes with them. Each joint's
    step is spread over a few frames. Clips whose cuts would leave nothing are returned as they were (`a`).
    """
    count = len(a.words)
    cuts = []
    for clip in (a, b):
        start = 0 if first == 0 else round(float(clip.times[first, 0]))
        end = len(clip.mouth) if last == count else round(float(clip.times[last - 1, 1]))
        cuts.append((start, end))
    (a0, a1), (b0, b1) = cuts
    if a1 <= a0 or b1 <= b0 or b1 > len(b.mouth):
        return a
    mouth = np.concatenate([a.mouth[:a0], b.mouth[b0:b1], a.mouth[a1:]])
    joints = ([a0] if a0 > 0 else []) + ([a0 + b1 - b0] if a1 < len(a.mouth) else [])
    for joint in joints:
        _smooth_joint(mouth, joint)
    times = np.concatenate([a.times[:first], b.times[first:last] - b0 + a0, a.times[last:] - a1 + a0 + b1 - b0])
    return Spoken(mouth, [*a.words[:first], *b.words[first:last], *a.words[last:]], times)


def _smooth_joint(mouth: np.ndarray, joint: int) -> None:
    """Spread what is left of the step at frame `joint` beyond the movement before and after it; in place."""
    step = mouth[joint] - mouth[joint - 1]
    before = mouth[joint - 1] - mouth[joint - 2] if joint >= 2 else 0.0
    after = mouth[joint + 1] - mouth[joint] if joint + 1 < len(mouth) else 0.0
    excess = step - 0.5 * (before + after)
    for i in range(_BLEND):
        share = 0.5 * (1 - (i + 0.5) / _BLEND)
        if joint - 1 - i >= 0:
            mouth[joint - 1 - i] += share * excess
        if joint + i < len(mouth):
            mouth[joint + i] -= share * excess


def warp(spoken: Spoken, random: np.random.Generator) -> Spoken:
    """Another tempo: all in all up to 20 % faster or slower, with smooth variation on top."""
    frames = len(spoken.mouth)
    wander = np.interp(np.arange(frames), np.linspace(0, frames, 8), random.normal(0, 0.12, 8))
    lasts = np.exp(random.uniform(-0.18, 0.18) + wander)  # how long each frame lasts now
    position = np.concatenate([[0], np.cumsum(lasts)[:-1]])
    source = np.interp(np.arange(int(position[-1]) + 1), position, np.arange(frames))
    before = source.astype(int).clip(0, frames - 2)
    share = (source - before)[:, None, None]
    mouth = spoken.mouth[before] * (1 - share) + spoken.mouth[before + 1] * share
    return Spoken(mouth, spoken.words, np.interp(spoken.times, np.arange(frames), position))


def vary(mouth: np.ndarray, random: np.random.Generator, noise: float = 1e-4) -> np.ndarray:
    """Another face, another tracker: [T, 20, 3] mirrored or not, larger or smaller movement, slow drift, smoothed or
    not, noisy, with a few frames that stand still.

    Args:
        noise: standard deviation of the landmarks' noise [m].
    """
    mouth = mouth - mouth.mean(0)
    frames = len(mouth)
    if random.random() < 0.5:
        mouth = mouth[:, _MIRROR] * [-1, 1, 1]
    mouth = mouth * (random.uniform(0.7, 1.4) * np.exp(random.normal(0, 0.1, 3)))
    if frames > 3 and random.random() < 0.3:
        mouth[1:-1] = 0.25 * mouth[:-2] + 0.5 * mouth[1:-1] + 0.25 * mouth[2:]
    drift = np.interp(np.arange(frames), np.linspace(0, frames, 4), random.normal(0, 1e-3, 4))
    mouth = mouth + drift[:, None, None] * random.standard_normal(3) + random.normal(0, noise, mouth.shape)
    if frames > 8 and random.random() < 0.5:
        first = int(random.integers(1, frames - 5))
        mouth[first:first + int(random.integers(1, 4))] = mouth[first - 1]
    return mouth.astype(np.float32)
