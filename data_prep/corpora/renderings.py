"""Speech features of several renderings of the clips' sound, so that a model hears more than one voice and room.

0: every clip as it is, alone. 1: sentences joined in random order at random places of the encoder's window, as in
running speech. From 2 on: joined, in other voices, rooms and noise as well.
"""
from __future__ import annotations

import numpy as np

from geneface.corpus import FPS, Rendering
from geneface.speech.features import CONTENT, extract
from geneface.speech.melody import melody

from . import augment
from .clips import SAMPLES, Recording, levels

_SESSION = 20  # clips joined to one recording in the altered renderings
_MARGIN = (3, 20)  # video frames kept of the silence around the sentence when clips are joined
_EMPTY = 1e-7  # level of digital silence


def render(number: int, clips: list[Recording], seed: int) -> list[Rendering]:
    """Rendering `number` of every clip; the same for the same clips and seed."""
    if number == 0:
        return [_placed(clip.frames, _heard(clip.audio), 0, (0, clip.frames)) for clip in clips]
    random = np.random.default_rng([seed, number])
    speakers: dict[str, list[int]] = {}  # F0 and level are told relative to one person's habits: one voice a session
    for i, clip in enumerate(clips):
        speakers.setdefault(clip.speaker, []).append(i)
    out: dict[int, Rendering] = {}
    for members in speakers.values():
        order = random.permutation(members)
        for first in range(0, len(order), _SESSION):
            session = order[first:first + _SESSION]
            audio, places = _join([clips[i] for i in session], random, altered=number > 1)
            heard = _heard(audio)
            for i, (at, covered) in zip(session, places):
                out[int(i)] = _placed(clips[i].frames, heard, at, covered)
    return [out[i] for i in range(len(clips))]


def _heard(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Content and melody."""
    features = extract(audio)
    return features.content, melody(features)


def _placed(frames: int, heard: tuple[np.ndarray, np.ndarray], at: int, covered: tuple[int, int]) -> Rendering:
    """Features whose frames from 2 `at` on belong to the clip's video frames `covered`; zero elsewhere."""
    low, high = covered
    here, there = slice(2 * low, 2 * high), slice(2 * at, 2 * (at + high - low))
    content = np.zeros((2 * frames, CONTENT), np.float16)
    tune = np.zeros((2 * frames, 3), np.float32)
    content[here], tune[here] = heard[0][there], heard[1][there]
    return content, tune, covered


def _join(clips: list[Recording], random: np.random.Generator,
          altered: bool) -> tuple[np.ndarray, list[tuple[int, tuple[int, int]]]]:
    """One recording of several clips, most of the silence around their sentences cut.

    Returns:
        the sound, and for every clip the video frame of it at which the clip's covered part begins, and that part.
    """
    place = int(random.integers(0, int(3 * FPS)))
    parts, places = [np.zeros(place * SAMPLES, np.float32)], []
    semitones = float(random.uniform(-5, 7)) if altered else 0.0
    for clip in clips:
        level = levels(clip.audio)
        spoken = np.flatnonzero(level > max(0.05 * level.max(), _EMPTY))
        low = max(0, int(spoken[0]) - int(random.integers(*_MARGIN)))
        high = min(clip.frames, int(spoken[-1]) + 1 + int(random.integers(*_MARGIN)))
        audio = clip.audio[low * SAMPLES:high * SAMPLES]
        if altered:
            shifted = augment.shift_voice(audio, semitones)[:len(audio)]
            audio = np.pad(shifted, (0, len(audio) - len(shifted)))
        parts.append(audio * 10 ** (random.uniform(-6, 6) / 20))
        places.append((place, (low, high)))
        place += high - low
    audio = np.concatenate(parts).astype(np.float32)
    if altered:
        audio = augment.equalise(audio, random)
        if random.uniform() < 0.4:
            audio = augment.reverberate(audio, random)
        if random.uniform() < 0.7:
            audio = augment.add_noise(audio, float(random.uniform(8, 35)), random)
    return audio, places
