"""A corpus of natural sentences that nobody spoke: text to speech heard, lips from its phones.

A lip-reading corpus such as GRID has few words, and one talker few voices. Here engines read sentences of seven
languages; the lips are a model's, which learned from the corpus what its talker's mouth does for phones (`lips`). The
result is a motion corpus like any other (`geneface.corpus`) and trains beside the real one.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpora.clips import SAMPLES
from data_prep.corpora.renderings import render
from geneface.corpus import (FPS, SHARDS, ClipInfo, MotionCorpus, TrainingClip, read_shard_header, write_index,
                             write_shard)
from geneface.face.basis import load_basis
from geneface.progress import track
from geneface.speech.framing import energy_db
from geneface.speech.melody import melody
from geneface.speech.pitch import pitch
from geneface.types import SpeechFeatures

from .engines import SAMPLE_RATE, Voice
from .grid import aligned
from .lips import LipModel, describe, train_lips
from .phones import Phone

LANGUAGES = {"en": "en", "de": "de", "fr": "fr", "it": "it", "es": "es", "ja": "ja", "cmn-Latn-pinyin": "cmn"}
_RATES = (0.85, 1.2)
_REST = (0.15, 0.6)  # before and after a sentence [s]
_HELD_OUT = 10  # one sentence of so many
_VERSION = 2


@dataclass(frozen=True)
class Reading:
    """A voice's task: which sentences it reads. Attributes: voice; texts, (language, text)."""

    voice: Voice
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Spoken:
    """What `render` needs of a clip."""

    name: str
    speaker: str
    audio: np.ndarray
    text: str
    phones: tuple[Phone, ...]

    @property
    def frames(self) -> int:
        return len(self.audio) // SAMPLES


def sentences(language: str) -> list[str]:
    """The bundled sentences of a language."""
    file = resources.files("data_prep.voices") / "sentences" / f"{LANGUAGES[language]}.txt"
    return [line for line in file.read_text("utf-8").splitlines() if line.strip()]


def readings(voices: Sequence[Voice], each: int, seed: int = 0) -> list[Reading]:
    """Sentences for every voice: `each` of them, half of them English for those who read other languages too, nobody's
    the same as the next voice's as long as they last."""
    random = np.random.default_rng(seed)
    left: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    out = []
    for voice in voices:
        foreign = [language for language in voice.languages if language in LANGUAGES and language != "en"]
        english = any(language.startswith("en") for language in voice.languages)
        texts = []
        for k in range(each):
            language = "en" if english and (not foreign or k % 2 == 0) else foreign[k // (1 + english) % len(foreign)]
            if not left[language]:
                left[language] = list(random.permutation(sentences(language)))
            texts.append((language, str(left[language].pop())))
        out.append(Reading(voice, tuple(texts)))
    return out


def learn_lips(corpus: MotionCorpus, steps: int, seed: int = 0) -> LipModel:
    """A lip model of a corpus of GRID sentences: aligned, then trained on those that are not held out."""
    phones, clips = aligned(corpus), {i: corpus.clip(i) for i in corpus.train}
    described = [describe(phones[i], clip.melody.numpy()) for i, clip in clips.items()]
    return train_lips(described, [clip.expression.numpy() for clip in clips.values()], steps, seed)


def make_natural_corpus(tasks: Sequence[Reading], lips: LipModel, out: Path, renderings: int = 2,
                        seed: int = 0) -> dict[str, Any]:
    """Make the corpus, a shard for each voice; shards that are there are kept.

    Returns:
        clips, held_out, seconds, voices, corpus (path).
    """
    shards = []
    digest = hashlib.sha256(b"".join(v.numpy().tobytes() for v in lips.state_dict().values())).hexdigest()
    for number, task in enumerate(track(tasks, "reading aloud", len(tasks), "voices")):
        basis = json.dumps([_VERSION, task.voice.name, task.texts, digest, renderings, seed])
        path = out / SHARDS / f"{hashlib.sha256(basis.encode()).hexdigest()[:32]}.safetensors"
        if not path.is_file():
            _write(path, task, lips, renderings, [seed, number])
        shards.append((path.name, read_shard_header(path)))
    texts = [clip["text"] for _, header in shards for clip in header["clips"]]
    held_out = np.array([int(hashlib.sha256(text.encode()).hexdigest(), 16) % _HELD_OUT == 0 for text in texts], bool)
    frames = sum(header["starts"][-1] for _, header in shards)
    info = {"layout": "natural", "clips": len(texts), "held_out": int(held_out.sum()), "frames": frames,
            "seconds": frames / FPS, "voices": len(tasks), "renderings": renderings, "dropped": {},
            "sha256": hashlib.sha256("".join(name for name, _ in shards).encode()).hexdigest()}
    write_index(out, shards, held_out, renderings, info)
    return {key: info[key] for key in ("clips", "held_out", "seconds", "voices")} | {"corpus": str(out)}


def _write(path: Path, task: Reading, lips: LipModel, renderings: int, seed: list[int]) -> None:
    random = np.random.default_rng(seed)
    clips = [_spoken(task.voice, language, text, f"{task.voice.name}/{k:03d}", random)
             for k, (language, text) in enumerate(task.texts)]
    # Joined, in turns as they are and altered: nobody recorded these one by one.
    heard = [render(1 + (seed[-1] + number) % 2 + number // 2, clips, int(random.integers(2**32)))
             for number in range(renderings)]
    basis = load_basis()
    made = []
    for i, clip in enumerate(clips):
        expression = lips.weights(describe(clip.phones, tune(clip.audio)))
        landmarks = np.asarray(basis.landmarks68(expression), np.float32)
        info = ClipInfo(clip.name, clip.speaker, clip.text)
        made.append(TrainingClip(info, expression, landmarks, tuple(renderings_[i] for renderings_ in heard)))
    write_shard(path, made, renderings, {"dropped": {}})


def _spoken(voice: Voice, language: str, text: str, name: str, random: np.random.Generator) -> _Spoken:
    """A sentence read at a rate of its own, with a rest before and after, a whole number of video frames long."""
    speech = voice.say(text, language, float(random.uniform(*_RATES)))
    before, after = (round(t * SAMPLE_RATE) for t in random.uniform(*_REST, 2))
    audio = 0.5 * speech.audio / max(float(np.abs(speech.audio).max(initial=0)), 1e-6)
    after += -(before + len(audio) + after) % SAMPLES
    later = before / SAMPLE_RATE
    phones = [phone._replace(start=phone.start + later, end=phone.end + later) for phone in speech.phones]
    audio = np.pad(audio, (before, after)).astype(np.float32)
    whole = (Phone("", 0.0, later), *phones, Phone("", phones[-1].end, len(audio) / SAMPLE_RATE))
    return _Spoken(name, voice.name, audio, text, whole)


def tune(audio: np.ndarray) -> np.ndarray:
    """[2T,3] F0, energy and voicing of a clip's sound (`speech.melody`)."""
    found, energy = pitch(audio), energy_db(audio)
    none = np.zeros((len(energy), 1), np.float32)
    return melody(SpeechFeatures(none, found.log_f0, energy, found.voicing, np.ones_like(energy), 50.0))
