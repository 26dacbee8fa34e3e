"""Where there is speech: Silero's voice activity detector (github.com/snakers4/silero-vad, version 6, MIT).

A short-time Fourier transform written as a convolution, four convolutions and one LSTM, which reads the recording in
pieces of 32 ms, each behind the last 4 ms of the piece before it. Where its weights cannot be had, `by_level` judges by
loudness and voice instead.
"""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .. import assets
from ..errors import UserError
from ..progress import say
from .melody import reference_level
from .framing import HOP, close_gaps, frame_count, runs

PIECE = 512  # samples at 16 kHz
CONTEXT = 64  # of the piece before
_AHEAD = 64  # mirrored at the end, so that the last Fourier window is whole
DEAF = 10  # frames at the beginning of a reading
_BLOCK = 2048  # pieces at once (65 s): bounds memory

# What `by_level` takes for speech.
_DYNAMIC_RANGE_DB = 35.0  # so far below the loud parts, sound without voice is room, tail or faint breath
_VOICED_RANGE_DB = 40.0  # the same for sound with voice
_VOICED_SHARE = 0.1  # of a recording's sound, from which on sounds without voice are breaths, clicks and noise
_ABOVE_NOISE_DB = 9.0
_NEAREST_DB = 12.0  # the threshold never comes nearer to the loud parts: speech in noise is kept
_SILENCE_DB = -60.0  # full scale; below is silence, whatever the rest of the recording
_SHORTEST_PAUSE = 12  # frames; shorter gaps are plosives


class VoiceActivity(nn.Module):
    """Probability of speech in every 32 ms of a recording."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.convolutions = nn.ModuleList([nn.Conv1d(129, 128, 3, padding=1), nn.Conv1d(128, 64, 3, 2, padding=1),
                                           nn.Conv1d(64, 64, 3, 2, padding=1), nn.Conv1d(64, 128, 3, padding=1)])
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.out = nn.Linear(128, 1)

    def forward(self, pieces: torch.Tensor, state: tuple | None = None) -> tuple[torch.Tensor, tuple]:
        """[P, 576] samples, 64 of context and 512 new ones -> [P] probabilities, state for the next pieces."""
        x = self.stft(F.pad(pieces[:, None], (0, _AHEAD), mode="reflect"))
        x = torch.sqrt(x[:, :129].square() + x[:, 129:].square())
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        x, state = self.lstm(x.transpose(0, 2).transpose(1, 2), state)
        return torch.sigmoid(self.out(F.relu(x)))[0, :, 0], state

    @classmethod
    def load(cls, path: str | Path) -> "VoiceActivity":
        """Read the asset.

        Raises:
            UserError: another model, or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        model = cls()
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise UserError(f"{path}: not the voice activity model ({error}); run geneface assets verify") from error
        return model.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def load_detector() -> VoiceActivity | None:
    """The detector, fetched on first use and kept; None, said once, where it cannot be had."""
    try:
        return VoiceActivity.load(assets.path("silero-vad"))
    except UserError as error:
        say(f"Speech is told from silence by loudness and voice only: {error}")
        return None


def speech_probability(audio: np.ndarray, detector: VoiceActivity) -> np.ndarray:
    """Probability of speech in every feature frame.

    The detector hears an end at once but a beginning 0.1 s late and more, so the recording is read both ways. What each
    reading makes of its first 0.2 s is left to the other: it has heard nothing yet, and takes any sound for speech.

    Args:
        audio: [N] float32 mono at 16 kHz.

    Returns:
        [ceil(N / 320)] in [0, 1].
    """
    if not len(audio):
        return np.zeros(0, np.float32)
    centres = np.arange(frame_count(len(audio))) * HOP + HOP / 2
    forward = _read(audio, centres, detector)
    backward = _read(audio[::-1], len(audio) - centres[::-1], detector)[::-1]
    if len(centres) > 2 * DEAF:
        forward[:DEAF] = backward[-DEAF:] = 0
    return np.maximum(forward, backward).astype(np.float32)


@torch.inference_mode()
def _read(audio: np.ndarray, centres: np.ndarray, detector: VoiceActivity) -> np.ndarray:
    """Probability of speech at `centres` [samples] of a recording read from its first sample on."""
    heard, state = [], None
    for first in range(0, len(audio), _BLOCK * PIECE):
        last = min(first + _BLOCK * PIECE, len(audio))
        block = np.pad(audio[max(0, first - CONTEXT):last], (max(0, CONTEXT - first), -(last - first) % PIECE))
        values, state = detector(torch.from_numpy(block).unfold(0, PIECE + CONTEXT, PIECE), state)
        heard.append(values.numpy())
    values = np.concatenate(heard)
    return np.interp(centres, np.arange(len(values)) * PIECE + PIECE / 2, values)


def by_level(energy: np.ndarray, voicing: np.ndarray) -> np.ndarray:
    """Speech judged by loudness [T dB] and voicing [T], for want of the detector: [T] 0 or 1.

    Sound is speech where it is voiced, or louder than a threshold between the recording's noise floor and its loud
    parts and in one run with voice (not so a breath in a pause; in a recording without voice, such as a whispered one,
    loudness alone decides). Loud music and changing noise are taken for speech.
    """
    if not len(energy):
        return np.zeros(0, np.float32)
    loud = reference_level(energy)
    floor = float(np.percentile(energy, 5))
    threshold = max(np.clip(floor + _ABOVE_NOISE_DB, loud - _DYNAMIC_RANGE_DB, loud - _NEAREST_DB), _SILENCE_DB)
    voiced = (voicing > 0.6) & (energy > max(loud - _VOICED_RANGE_DB, _SILENCE_DB))
    active = close_gaps((energy > threshold) | voiced, _SHORTEST_PAUSE)
    if voiced.sum() > _VOICED_SHARE * active.sum():
        for begin, end in runs(active):
            active[begin:end] = voiced[begin:end].any()
    return active.astype(np.float32)
