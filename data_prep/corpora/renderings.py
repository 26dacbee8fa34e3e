"""Speech features of several renderings of the clips' sound, so that a model hears more than one voice and room.

0: every clip as it is, alone. 1: sentences joined in random order at random places of the encoder's window, as in
running speech. From 2 on (from 1 on of streamed features, which stand at the same place of every window): joined, and
at other speeds, in other voices, rooms, noise and over telephones as well.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geneface.corpus import FPS, Rendering
from geneface.speech.features import extract
from geneface.speech.mel import mel_features
from geneface.speech.melody import melody
from geneface.speech.stream import stream_features

from . import augment
from .clips import SAMPLES, Recording, spoken

_SESSION = 20  # clips joined to one recording in the altered renderings
_MARGIN = (3, 20)  # video frames kept of the silence around the sentence when clips are joined
_SPEED = (0.85, 1.2)
_PITCH, _FORMANTS = (-5.0, 8.0), (-3.0, 4.0)  # semitones
_SNR_DB = (6.0, 35.0)
_BIT_RATE = (12000, 40000)  # of mp3 and opus [bit/s]
_SPEECH = 0.5  # probability from which on a frame is taken for speech


def render(number: int, clips: list[Recording], seed: int, streamed: bool = False) -> list[Rendering]:
    """Rendering `number` of every clip, the same for the same clips and seed; `streamed` as of `heard`."""
    if number == 0:
        return [_whole(clip, streamed) for clip in clips]
    random = np.random.default_rng([seed, number])
    speakers: dict[str, list[int]] = {}  # F0 and level are told relative to one person's habits: one voice a session
    for i, clip in enumerate(clips):
        speakers.setdefault(clip.speaker, []).append(i)
    out: dict[int, Rendering] = {}
    for members in speakers.values():
        order = random.permutation(members)
        for first in range(0, len(order), _SESSION):
            session = order[first:first + _SESSION]
            made = _session([clips[i] for i in session], random, altered=number > 1 or streamed, streamed=streamed)
            out |= {int(i): rendering for i, rendering in zip(session, made)}
    return [out[i] for i in range(len(clips))]


def heard(audio: np.ndarray, streamed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content, melody and log-mel of a recording [N], all at 50 Hz; `streamed`: as heard while the sound comes in."""
    if streamed:
        content, tune, _ = stream_features(audio)
    else:
        features = extract(audio)
        content, tune = features.content, melody(features)
    return content.astype(np.float16), tune, mel_features(audio).astype(np.float16)


def _whole(clip: Recording, streamed: bool) -> Rendering:
    return Rendering(*heard(clip.audio, streamed), np.arange(clip.frames, dtype=np.float32))


def _session(clips: list[Recording], random: np.random.Generator, altered: bool,
             streamed: bool) -> list[Rendering]:
    """Clips joined to one recording, most of the silence around their sentences cut."""
    parts = []
    alter = _voice(random) if altered else None
    for clip in clips:
        low, high = sentence(clip.audio, random)
        audio, times = clip.audio[low * SAMPLES:high * SAMPLES], np.arange(low, high, dtype=np.float32)
        if alter is not None:
            audio, times = alter(audio)
            times = np.clip(low + times, 0, clip.frames - 1)
        parts.append((audio, times))
    return joined(parts, random, altered, streamed)


def joined(parts: list[tuple[np.ndarray, np.ndarray]], random: np.random.Generator, altered: bool,
           streamed: bool = False) -> list[Rendering]:
    """Sounds [640 T] with their times [T] as one recording that begins anywhere in the encoder's window.

    Args:
        altered: whether rooms, noise and lines change it.
        streamed: as of `heard`.
    """
    place = int(random.integers(0, int(3 * FPS)))
    sounds, places = [np.zeros(place * SAMPLES, np.float32)], []
    for audio, times in parts:
        sounds.append(audio * 10 ** (random.uniform(-6, 6) / 20))
        places.append((place, times))
        place += len(times)
    audio = np.concatenate(sounds).astype(np.float32)
    features = heard(_sent(audio, random) if altered else audio, streamed)
    return [Rendering(*(part[2 * at:2 * (at + len(times))] for part in features), times) for at, times in places]


def _voice(random: np.random.Generator) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Another talker, who speaks slower or faster: [640 T] -> [640 T'], and where in the T frames each of the T' is."""
    speed, pitch, formants = random.uniform(*_SPEED), random.uniform(*_PITCH), random.uniform(*_FORMANTS)

    def speak(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frames = max(1, int(len(audio) / SAMPLES / speed))
        # A tape that runs faster shifts both; they are shifted back before.
        moved = pitch - 12 * np.log2(speed)
        voice = augment.shift_formants(augment.shift_voice(audio, moved), formants - pitch)
        times = (np.arange(frames) + 0.5) * speed - 0.5
        audio = augment.change_speed(voice, speed)[:frames * SAMPLES]
        return np.pad(audio, (0, frames * SAMPLES - len(audio))), times.astype(np.float32)

    return speak


def _sent(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """From a room, through a microphone, over a line."""
    audio = augment.equalise(audio, random)
    if random.uniform() < 0.4:
        audio = augment.reverberate(audio, random)
    if random.uniform() < 0.7:
        audio = augment.add_noise(audio, float(random.uniform(*_SNR_DB)), random)
    if random.uniform() < 0.4:
        audio = augment.transmit(audio, str(random.choice(list(augment.CODECS))), int(random.integers(*_BIT_RATE)))
    return audio


def sentence(audio: np.ndarray, random: np.random.Generator) -> tuple[int, int]:
    """First and past the last video frame of what is said in `audio`, with some of the silence around it; all of it
    where no speech is found."""
    said = np.flatnonzero(spoken(audio) > _SPEECH)
    frames = len(audio) // SAMPLES
    if not len(said):
        return 0, frames
    return (max(0, int(said[0]) - int(random.integers(*_MARGIN))),
            min(frames, int(said[-1]) + 1 + int(random.integers(*_MARGIN))))
