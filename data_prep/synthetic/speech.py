"""The demo's speech: sound and phone timings shipped with the package (made by tools/make_demo_speech.py)."""
from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from geneface.media import read_audio

SAMPLE_RATE = 24000  # of the shipped clips [Hz]
_FADE = 0.05  # fade where a clip is cut [s]


@dataclass(frozen=True)
class Speech:
    """Speech with known phones.

    Attributes:
        audio: [N] float32 mono at SAMPLE_RATE.
        phones: (phone, start, end) in order [s]; "" is silence. The alphabet is Kokoro's: IPA, with A I O W Y for
            the diphthongs of day, die, dough, now, boy.
        text: what is said.
    """

    audio: np.ndarray
    phones: tuple[tuple[str, float, float], ...]
    text: str

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


def demo_audio(name: str) -> Path:
    """Path of a shipped clip: "training" (the synthetic person's own video) or "driving" (held-out words, other voice).

    Raises:
        ValueError: no such clip.
    """
    return Path(str(resources.files("geneface") / "data" / _entry(name)["file"]))


def _entry(name: str) -> dict:
    timings = json.loads((resources.files("geneface") / "data" / "demo_speech.json").read_text("utf-8"))
    if name not in timings:
        raise ValueError(f"name: no demo speech {name!r}; there are {', '.join(timings)}")
    return timings[name]


def demo_speech(name: str) -> Speech:
    """A shipped clip with its phones. Raises ValueError: no such clip."""
    entry = _entry(name)
    audio = read_audio(demo_audio(name), SAMPLE_RATE)
    return Speech(audio, tuple((str(p), float(a), float(b)) for p, a, b in entry["phones"]), entry["text"])


def fitted(speech: Speech, seconds: float) -> Speech:
    """`speech` made exactly `seconds` long: repeated where too short, hushed from the last pause where too long."""
    audio, phones, text = speech.audio, list(speech.phones), speech.text
    period = speech.seconds
    while len(audio) < seconds * SAMPLE_RATE:
        shift = len(audio) / SAMPLE_RATE
        audio = np.concatenate([audio, speech.audio])
        phones += [(p, a + shift, b + shift) for p, a, b in speech.phones]
        text = f"{text} {speech.text}"
    if seconds < period or len(audio) > seconds * SAMPLE_RATE:
        pauses = [start for phone, start, _ in phones if not phone and start <= seconds]
        stop = pauses[-1] if pauses and pauses[-1] > 0.6 * seconds else seconds  # a very short clip may cut a word
        phones = [(p, a, min(b, stop)) for p, a, b in phones if a < stop]
        if stop < seconds:
            phones.append(("", stop, seconds))
        clock = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        audio = audio[: len(clock)] * np.clip((stop + _FADE - clock) / _FADE, 0, 1).astype(np.float32)
    return Speech(audio.astype(np.float32), tuple(phones), text)
