"""Speech features while the sound comes in, 0.3 s behind it.

Sound is taken in hops of 160 ms, four motion frames. At every hop the encoder hears the window that ends 140 ms after
it; the hop's eight frames are taken from it and never changed. They stand at the same places of every window, so
attention, positions and edges treat them all alike. A window is 0.6 s of silence and 1.4 s of sound (zeros before the
beginning): Whisper's attention rests on some silent frame, whose features then mean nothing, and given none takes one
of the hop's (2 % of frames; 0.5 % with the silence). F0 and voice activity come from the same window; F0 and all levels
are told relative to the last 10 s. So the features are a function of the sound alone, not of how it is cut into pushes,
and no frame depends on sound more than 300 ms after its beginning.

They are not those of `speech.features`, which hears seconds ahead: a model has to be trained on these.
"""
from __future__ import annotations

import copy
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from ..errors import UserError
from ..types import require
from .features import CONTENT, load_encoder, normalise
from .framing import HOP, energy_db, frame_count
from .mel import log_mel
from .melody import relative
from .pitch import pitch
from .vad import CONTEXT, DEAF, PIECE, by_level, load_detector
from .whisper import WhisperEncoder

HOP_FRAMES = 8  # 160 ms: one latent of the motion generator
AHEAD = 7  # frames heard after the hop
WINDOW = 100  # frames that the encoder is given; with 150 the features are no nearer to a whole recording's
_SILENCE = 30  # the first of them
_PITCH_WINDOW = 50  # frames
_HABITS = 500  # frames (10 s) that F0 and level are told relative to
LATENCY = (HOP_FRAMES + AHEAD) / 50  # [s] from a hop's beginning to when it can be told
_HOP = HOP_FRAMES * HOP  # samples, five pieces of the voice activity detector
_LISTEN = AHEAD * HOP // PIECE  # pieces after the own one in which a frame's speech may be noticed


class StreamedSpeech(NamedTuple):
    """Features at 50 Hz.

    Attributes: content [T, 512]; melody [T, 3] as of `melody.melody`, relative to the last 10 s; speech [T] probability
    of speech."""

    content: np.ndarray
    melody: np.ndarray
    speech: np.ndarray

    def __len__(self) -> int:
        return len(self.speech)


@lru_cache(maxsize=1)
def load_fast_encoder() -> WhisperEncoder:
    """The speech encoder, in bfloat16 where the processor multiplies it: features differ by 1.5 %, in half the time."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return copy.deepcopy(load_encoder()).bfloat16() if native else load_encoder()


class FeatureStream:
    """Sound in, features out.

    Args:
        encoder: the speech encoder; by default the one from `assets`.
    """

    def __init__(self, encoder: WhisperEncoder | None = None) -> None:
        self._encoder = encoder or load_fast_encoder()
        self._precision = next((p.dtype for p in self._encoder.parameters()), torch.float32)
        self._detector = load_detector()
        self._detector_state: tuple | None = None
        self._heard = np.zeros((WINDOW - AHEAD - HOP_FRAMES) * HOP, np.float32)  # from the next window's beginning on
        self._silence = np.zeros(_SILENCE * HOP, np.float32)
        self._noticed = np.zeros(0, np.float32)  # probabilities of pieces, from the next hop's first on
        self._peaks = np.zeros(0, np.float32)  # log10 mel power of the hops of the last 10 s
        self._tune = np.zeros((3, 0), np.float32)  # log-F0, energy and voicing of the last 10 s
        self._samples = self._frames = 0  # pushed; given out
        self._finished = False

    def push(self, samples: np.ndarray) -> StreamedSpeech:
        """Take more sound.

        Args:
            samples: [N] mono at 16 kHz in [-1, 1], of any length.

        Returns:
            the features of all hops that are now complete, perhaps none.

        Raises:
            ValueError: not a finite mono float array, or the stream is finished.
        """
        samples = np.asarray(samples)
        require(not self._finished, "samples: the stream is finished; begin another")
        require(samples.ndim == 1, f"samples: expected mono [N], got shape {samples.shape}")
        require(samples.dtype.kind == "f", f"samples: expected floating point, got {samples.dtype}")
        require(bool(np.isfinite(samples).all()), "samples: NaN or infinite")
        self._samples += len(samples)
        self._heard = np.concatenate([self._heard, samples.astype(np.float32, copy=False)])
        hops = []
        first = 0
        while len(self._heard) - first >= WINDOW * HOP:
            hops.append(self._hop(self._heard[first:first + WINDOW * HOP]))
            first += _HOP
        self._heard = self._heard[first:].copy()
        self._frames += HOP_FRAMES * len(hops)
        return _joined(hops)

    def finish(self) -> StreamedSpeech:
        """The features of what has not been given out, silence following; ceil(N / 320) frames in all."""
        owed = frame_count(self._samples) - self._frames
        hops = -(-owed // HOP_FRAMES)
        short = (WINDOW + (hops - 1) * HOP_FRAMES) * HOP - len(self._heard) if hops else 0
        rest = self.push(np.zeros(short, np.float32))
        self._finished = True
        return StreamedSpeech(*(values[:owed] for values in rest))

    @torch.inference_mode()
    def _hop(self, window: np.ndarray) -> StreamedSpeech:
        """Features of the hop that ends `AHEAD` before the window's end."""
        kept = slice(WINDOW - AHEAD - HOP_FRAMES, WINDOW - AHEAD)
        mel = log_mel(torch.from_numpy(np.concatenate([self._silence, window[len(self._silence):]]))[None])
        self._peaks = np.append(self._peaks, float(mel[..., 2 * kept.start:].amax()))[-(_HABITS // HOP_FRAMES):]
        mel = normalise(mel, float(self._peaks.max()))
        content = self._encoder(mel.to(self._precision), kept).float().numpy()[0]
        near = window[-_PITCH_WINDOW * HOP:]
        found = pitch(near)
        here = slice(_PITCH_WINDOW - AHEAD - HOP_FRAMES, _PITCH_WINDOW - AHEAD)
        tune = np.stack([found.log_f0, energy_db(near), found.voicing])[:, here]
        self._tune = np.concatenate([self._tune, tune], axis=1)[:, -_HABITS:]
        if self._detector is None:
            speech = by_level(self._tune[1], self._tune[2])[-HOP_FRAMES:]
        else:
            speech = self._notice(window)
        return StreamedSpeech(content, relative(*self._tune)[-HOP_FRAMES:], speech)

    def _notice(self, window: np.ndarray) -> np.ndarray:
        """[8] probability of speech: the detector hears a beginning 0.1 s late, so the most of what it says of a frame
        and of the 128 ms after it."""
        pieces = _HOP // PIECE
        begins = len(window) - AHEAD * HOP - _HOP + PIECE * len(self._noticed)
        count = pieces + _LISTEN - len(self._noticed)
        block = torch.from_numpy(window[begins - CONTEXT:begins + count * PIECE])
        values, state = self._detector(block.unfold(0, PIECE + CONTEXT, PIECE), self._detector_state)
        values = values.numpy()
        if self._detector_state is None:
            values = np.where(np.arange(count) < DEAF * HOP // PIECE, 0, values)
        self._detector_state = state
        noticed = np.concatenate([self._noticed, values])
        self._noticed = noticed[pieces:]
        most = np.lib.stride_tricks.sliding_window_view(noticed, _LISTEN + 1).max(axis=1)
        centres = (np.arange(HOP_FRAMES) * HOP + HOP // 2) // PIECE
        return most[centres].astype(np.float32)


def stream_features(audio: np.ndarray, encoder: WhisperEncoder | None = None) -> StreamedSpeech:
    """What `FeatureStream` gives for a whole recording, whatever the pushes.

    Args:
        audio: [N] float32 mono samples in [-1, 1] at 16 kHz.

    Returns:
        ceil(N / 320) frames.

    Raises:
        UserError: the recording is empty.
        ValueError: not a finite mono float array.
    """
    if len(audio) == 0:
        raise UserError("the recording is empty; give one that holds at least one sample of sound")
    stream = FeatureStream(encoder)
    return _joined([stream.push(audio), stream.finish()])


def _joined(parts: list[StreamedSpeech]) -> StreamedSpeech:
    empty = StreamedSpeech(np.zeros((0, CONTENT), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    return StreamedSpeech(*(np.concatenate(values) for values in zip(empty, *parts)))
