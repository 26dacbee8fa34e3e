"""Recorded sentences spoken again by synthetic voices: another sound for the same motion.

A voice reads the sentence at its own pace; the recording's motion is moved to that pace, phone by phone. So the sound
is what the voice made, not a stretched copy of it, and the lips are still a person's.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.corpora.clips import SAMPLES
from data_prep.corpora.renderings import joined
from geneface.corpus import (FPS, SHARDS, MotionCorpus, Rendering, TrainingClip, read_shard_header, write_index,
                             write_shard)

from .engines import SAMPLE_RATE, Voice
from .grid import aligned, spoken
from .phones import FEATURES, Phone, features

_SHARD = 64  # clips
_SESSION = 20  # sentences that a voice reads in a row
_RATES = (1.0, 1.3)  # GRID's talkers are quick
_REST = (0.15, 0.5)  # of the recording's silence before and after the sentence that is kept [s]
_GAP = 1.2  # cost of a phone that only one of two speakers says; half the features of a phone differ at most
_SMOOTH = 5  # frames over which the pace is evened out
_SPOKEN = [i for i, name in enumerate(FEATURES) if name != "stress"]


def matched(one: Sequence[Phone], other: Sequence[Phone]) -> list[tuple[Phone, Phone]]:
    """Phones of two speakers who say the same, paired by what the mouth does for them (edit distance); pauses and what
    only one of them says are left out."""
    a, b = ([phone for phone in phones if phone.symbol] for phones in (one, other))
    if not a or not b:
        return []
    left, right = (np.stack([features(phone)[_SPOKEN] for phone in phones]) for phones in (a, b))
    distance = np.abs(left[:, None] - right[None]).sum(-1)
    cost = np.full((len(a) + 1, len(b) + 1), np.inf)
    cost[0], cost[:, 0] = _GAP * np.arange(len(b) + 1), _GAP * np.arange(len(a) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            cost[i + 1, j + 1] = min(cost[i, j] + distance[i, j], cost[i, j + 1] + _GAP, cost[i + 1, j] + _GAP)
    pairs, i, j = [], len(a), len(b)
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + distance[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((a[i], b[j]))
        elif cost[i, j] == cost[i - 1, j] + _GAP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def pace(made: Sequence[Phone], recorded: Sequence[Phone], frames: int, later: float) -> np.ndarray:
    """[frames] time in the recording [s] of what the mouth does in every video frame of the new sound.

    Args:
        made: the voice's phones, `later` [s] after the beginning of the new sound.
        recorded: the recording's.
    """
    pairs = matched(made, recorded)
    middle = np.array([[(x.start + x.end) / 2 + later, (y.start + y.end) / 2] for x, y in pairs])
    first, last = pairs[0], pairs[-1]
    anchors = np.concatenate([[[first[0].start + later, first[1].start]], middle, [[last[0].end + later, last[1].end]]])
    time = (np.arange(-_SMOOTH, frames + _SMOOTH) + 0.5) / FPS
    there = np.interp(time, anchors[:, 0], np.maximum.accumulate(anchors[:, 1]))
    # Rests last as long in one as in the other.
    there += np.minimum(time - anchors[0, 0], 0) + np.maximum(time - anchors[-1, 0], 0)
    even = np.hanning(_SMOOTH + 2)[1:-1]
    return np.convolve(there, even / even.sum(), "same")[_SMOOTH:-_SMOOTH]


def revoice(corpus: MotionCorpus, voices: Sequence[Voice], seed: int) -> list[Rendering]:
    """A rendering of every clip of a corpus of GRID sentences, each session by a voice."""
    random = np.random.default_rng(seed)
    phones = aligned(corpus)
    out: dict[int, Rendering] = {}
    order = random.permutation(len(corpus))
    for number, first in enumerate(range(0, len(order), _SESSION)):
        voice = voices[number % len(voices)]
        session = [int(i) for i in order[first:first + _SESSION]]
        parts = [_spoken_again(voice, corpus.about(i).text or "", phones[i], int(corpus.frames[i]), random)
                 for i in session]
        out |= dict(zip(session, joined(parts, random, bool(number % 2), corpus.streamed)))
    return [out[i] for i in range(len(corpus))]


def _spoken_again(voice: Voice, text: str, recorded: tuple[Phone, ...], frames: int,
                  random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sound [640 T] and the places in the recording [T, video frames] that go with it."""
    speech = voice.say(spoken(text), "en", float(random.uniform(*_RATES)))
    said = [phone for phone in speech.phones if phone.symbol]
    begin, end = (int(t * SAMPLE_RATE) for t in (said[0].start, said[-1].end))
    before, after = (round(t * SAMPLE_RATE) for t in random.uniform(*_REST, 2))
    after += -(before + end - begin + after) % SAMPLES
    audio = 0.3 * speech.audio[begin:end] / max(float(np.abs(speech.audio).max(initial=0)), 1e-6)
    audio = np.pad(audio, (before, after)).astype(np.float32)
    there = pace(speech.phones, recorded, len(audio) // SAMPLES, (before - begin) / SAMPLE_RATE)
    times = np.clip(np.maximum.accumulate(there) * FPS - 0.5, 0, frames - 1)
    return audio, times.astype(np.float32)


def add_voices(corpus: MotionCorpus, voices: Sequence[Voice], out: Path, count: int = 2, seed: int = 0) -> None:
    """Write `corpus` to the folder `out` with `count` more renderings, in which every sentence is spoken by another
    voice; nothing is done where all its shards are there."""
    digest = hashlib.sha256(json.dumps([corpus.info, [v.name for v in voices], count, seed]).encode()).hexdigest()[:16]
    starts = range(0, len(corpus), _SHARD)
    names = [f"{digest}{first:016d}.safetensors" for first in starts]
    if not all((out / SHARDS / name).is_file() for name in names):
        made = [revoice(corpus, voices, seed + k) for k in range(count)]
        for first, name in zip(starts, names):
            clips = [with_renderings(corpus, i, [one[i] for one in made])
                     for i in range(first, min(first + _SHARD, len(corpus)))]
            write_shard(out / SHARDS / name, clips, corpus.renderings + count, {"dropped": {}})
    shards = [(name, read_shard_header(out / SHARDS / name)) for name in names]
    write_index(out, shards, corpus.held_out, corpus.renderings + count,
                corpus.info | {"renderings": corpus.renderings + count, "voices": sorted({v.name for v in voices}),
                               "sha256": hashlib.sha256("".join(names).encode()).hexdigest()})


def with_renderings(corpus: MotionCorpus, index: int, more: Sequence[Rendering]) -> TrainingClip:
    """Clip `index` as it can be written again, with more renderings."""
    whole = []
    for number in range(corpus.renderings):
        clip, times = corpus.clip(index, number), corpus.times(index, number)
        whole.append(Rendering(clip.content.numpy(), clip.melody.numpy(), clip.mel.numpy(), times.numpy()))
    return TrainingClip(corpus.about(index), corpus.clip(index).expression.numpy(), corpus.landmarks(index).numpy(),
                        (*whole, *more))
