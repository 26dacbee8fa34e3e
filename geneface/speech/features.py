"""Speech features: content (Whisper base, encoder layer 4), F0, voicing, energy and voice activity at 50 Hz.

Windowing. Attention makes a frame's features depend on the whole window it was encoded in (padding to 30 s changes
them by 18 %), so the window is fixed and the same everywhere: 8 s long, advancing by 6 s, zeros outside the recording.
Neighbours share 2 s; they are cross-faded over the middle 1 s of it, so that every frame kept has at least 0.5 s of
context on both sides and no step marks a seam. Levels are normalised within each window: log-mel is limited to the 8
decades below its maximum as in Whisper, then shifted so that the maximum is the same in all, which makes the features
independent of gain; a window that is quieter than -60 dB is not lifted, so noise in a pause is not taken for speech.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from .. import assets
from ..errors import UserError
from ..types import SpeechFeatures, require
from .mel import QUIETEST, SAMPLE_RATE, log_mel
from .framing import HOP, energy_db, frame_count
from .pitch import Pitch, pitch
from .vad import by_level, load_detector, speech_probability
from .whisper import WhisperEncoder

LAYER = 4  # of 6; a linear phone probe on an unseen voice reads 64.4 % here, 61.0 % at the last layer
CONTENT = 512  # channels
FPS = SAMPLE_RATE / HOP  # 50 Hz

WINDOW = 400  # feature frames: 8 s
STEP = 300  # 6 s
_CONTEXT = (WINDOW - STEP) // 2
_FADE = 50  # 1 s

_DECADES = 8.0  # dynamic range kept below the window's maximum [log10 of power]
_MAXIMUM = 1.4  # normalised value of the maximum: what speech at a usual level reaches in Whisper's own scaling
_BATCH = 4  # windows encoded at once: bounds memory


@lru_cache(maxsize=1)
def load_encoder() -> WhisperEncoder:
    """The speech encoder, fetched on first use and kept."""
    return WhisperEncoder.from_ctranslate2(assets.path("whisper-base"), LAYER)


def normalise(mel: torch.Tensor, loudest: float = -math.inf) -> torch.Tensor:
    """Per-window normalisation of log10 mel power [B, 80, T]: gain-free, limited to 8 decades below the maximum, or
    below `loudest`, where that much came before."""
    maximum = mel.amax(dim=(1, 2), keepdim=True).clamp(min=max(QUIETEST, loudest))
    return (torch.maximum(mel, maximum - _DECADES) - maximum) / 4 + _MAXIMUM


def _windows(audio: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """First feature frame (may be negative) and samples [128000] of every window."""
    frames = frame_count(len(audio))
    for start in range(-_CONTEXT, frames - _CONTEXT, STEP):
        low, high = start * HOP, (start + WINDOW) * HOP
        piece = audio[max(0, low):max(0, high)]
        yield start, np.pad(piece, (max(0, -low), max(0, high - max(low, 0) - len(piece))))


def _fade() -> np.ndarray:
    """[WINDOW] weights of one window; those of overlapping windows sum to one."""
    ramp = (np.arange(_FADE) + 0.5) / _FADE
    silent = np.zeros(_CONTEXT - _FADE // 2)
    return np.concatenate([silent, ramp, np.ones(STEP - _FADE), ramp[::-1], silent]).astype(np.float32)


@torch.inference_mode()
def content_features(audio: np.ndarray, encoder: WhisperEncoder | None = None) -> np.ndarray:
    """Content features of `audio` [N] float32 mono at 16 kHz -> [T, 512] float32, T = ceil(N / 320)."""
    encoder = encoder or load_encoder()
    frames = frame_count(len(audio))
    out = np.zeros((frames, CONTENT), np.float32)
    starts: list[int] = []
    pieces: list[np.ndarray] = []
    last = -_CONTEXT + (max(frames - 1, 0) // STEP) * STEP

    def encode() -> None:
        encoded = encoder(normalise(log_mel(torch.from_numpy(np.stack(pieces))))).numpy()
        for start, content in zip(starts, encoded):
            weight = _fade()
            if start == -_CONTEXT:
                weight[:_CONTEXT + _FADE] = 1  # nothing before to fade from
            if start == last:
                weight[-_CONTEXT - _FADE:] = 1  # nothing after to fade to
            low, high = max(0, start), min(frames, start + WINDOW)
            out[low:high] += weight[low - start:high - start, None] * content[low - start:high - start]
        starts.clear()
        pieces.clear()

    for start, piece in _windows(audio):
        starts.append(start)
        pieces.append(piece)
        if len(pieces) == _BATCH:
            encode()
    if pieces:
        encode()
    return out


def extract(audio: np.ndarray, encoder: WhisperEncoder | None = None) -> SpeechFeatures:
    """Features of a recording.

    Args:
        audio: [N] float32 mono samples in [-1, 1] at 16 kHz.
        encoder: the speech encoder; by default the one from `assets`.

    Returns:
        T = ceil(N / 320) frames at 50 Hz; frame i covers the time around (i + 0.5) / 50 s.

    Raises:
        UserError: the recording is empty.
        ValueError: not a finite mono float array.
    """
    audio = np.asarray(audio)
    require(audio.ndim == 1, f"audio: expected mono samples [N], got shape {audio.shape}")
    require(audio.dtype.kind == "f", f"audio: expected floating point samples, got {audio.dtype}")
    if len(audio) == 0:
        raise UserError("the recording is empty; give one that holds at least one sample of sound")
    require(bool(np.isfinite(audio).all()), "audio: holds NaN or infinite samples")
    audio = audio.astype(np.float32, copy=False)
    melody = _pitch_in_windows(audio)
    energy, speech = energy_db(audio), speech_activity(audio, melody)
    voiced = np.count_nonzero(melody.log_f0)
    agreement = float(melody.agreed.sum() / voiced) if voiced else 1.0
    return SpeechFeatures(content_features(audio, encoder), melody.log_f0, energy, melody.voicing, speech, float(FPS),
                          agreement)


def speech_activity(audio: np.ndarray, melody: Pitch | None = None) -> np.ndarray:
    """[ceil(N / 320)] probability that there is speech in each feature frame of `audio` [N]: the detector's, or told by
    loudness and voice (`melody`, found here where it is not given) where that cannot be had."""
    detector = load_detector()
    if detector is not None:
        return speech_probability(audio, detector)
    return by_level(energy_db(audio), (melody or _pitch_in_windows(audio)).voicing)


def _pitch_in_windows(audio: np.ndarray) -> Pitch:
    """Analysed in the same windows so that memory stays bounded on long recordings."""
    frames = frame_count(len(audio))
    parts = []
    for start, piece in _windows(audio):
        low, high = max(0, start + _CONTEXT), min(frames, start + _CONTEXT + STEP)
        parts.append([values[low - start:high - start] for values in pitch(piece)])
    return Pitch(*(np.concatenate(values) for values in zip(*parts)))
