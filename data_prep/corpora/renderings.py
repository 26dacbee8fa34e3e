"""Speech features of several renderings of the clips' sound, so that a model hears more than one voice and room.

0: every clip as it is, alone. 1: sentences joined in random order at random places of the encoder's window, as in
running speech. From 2 on: joined, in other voices, rooms and noise as well.
"""
from __future__ import annotations

import numpy as np

from geneface.corpus import FPS, Rendering
from geneface.speech.features import extract
from geneface.speech.mel import mel_features
from geneface.speech.melody import melody

from . import augment
from .clips import SAMPLES, Recording, spoken

_SESSION = 20  # clips joined to one recording in the altered renderings
_MARGIN = (3, 20)  # video frames kept of the silence around the sentence when clips are joined
_SPEECH = 0.5  # probability from which on a frame is taken for speech


def render(number: int, clips: list[Recording], seed: int) -> list[Rendering]:
    """Rendering `number` of every clip; the same for the same clips and seed."""
    if number == 0:
        return [_whole(clip) for clip in clips]
    random = np.random.default_rng([seed, number])
    speakers: dict[str, list[int]] = {}  # F0 and level are told relative to one person's habits: one voice a session
    for i, clip in enumerate(clips):
        speakers.setdefault(clip.speaker, []).append(i)
    out: dict[int, Rendering] = {}
    for members in speakers.values():
        order = random.permutation(members)
        for first in range(0, len(order), _SESSION):
            session = order[first:first + _SESSION]
            made = _session([clips[i] for i in session], random, altered=number > 1)
            out |= {int(i): rendering for i, rendering in zip(session, made)}
    return [out[i] for i in range(len(clips))]


def heard(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content, melody and log-mel of a recording [N], all at 50 Hz."""
    features = extract(audio)
    return features.content.astype(np.float16), melody(features), mel_features(audio).astype(np.float16)


def _whole(clip: Recording) -> Rendering:
    return Rendering(*heard(clip.audio), np.arange(clip.frames, dtype=np.float32))


def _session(clips: list[Recording], random: np.random.Generator, altered: bool) -> list[Rendering]:
    """Clips joined to one recording, most of the silence around their sentences cut, that begins anywhere in the
    encoder's window."""
    place = int(random.integers(0, int(3 * FPS)))
    parts, places = [np.zeros(place * SAMPLES, np.float32)], []
    semitones = float(random.uniform(-5, 7)) if altered else 0.0
    for clip in clips:
        low, high = sentence(clip.audio, random)
        audio = clip.audio[low * SAMPLES:high * SAMPLES]
        if altered:
            shifted = augment.shift_voice(audio, semitones)[:len(audio)]
            audio = np.pad(shifted, (0, len(audio) - len(shifted)))
        parts.append(audio * 10 ** (random.uniform(-6, 6) / 20))
        places.append((place, np.arange(low, high, dtype=np.float32)))
        place += high - low
    audio = np.concatenate(parts).astype(np.float32)
    if altered:
        audio = augment.equalise(audio, random)
        if random.uniform() < 0.4:
            audio = augment.reverberate(audio, random)
        if random.uniform() < 0.7:
            audio = augment.add_noise(audio, float(random.uniform(8, 35)), random)
    features = heard(audio)
    return [Rendering(*(part[2 * at:2 * (at + len(times))] for part in features), times) for at, times in places]


def sentence(audio: np.ndarray, random: np.random.Generator) -> tuple[int, int]:
    """First and past the last video frame of what is said in `audio`, with some of the silence around it; all of it
    where no speech is found."""
    said = np.flatnonzero(spoken(audio) > _SPEECH)
    frames = len(audio) // SAMPLES
    if not len(said):
        return 0, frames
    return (max(0, int(said[0]) - int(random.integers(*_MARGIN))),
            min(frames, int(said[-1]) + 1 + int(random.integers(*_MARGIN))))
