"""Sound in and out, on the same clock as the pictures."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler

from ..errors import UserError
from ..types import require
from .reading import decoded, opened, probe

# A jump of the audio clock larger than this is a gap in the recording (silence is put in) and not the
# rounding of time stamps [s].
_AUDIO_GAP = 0.05
_AAC_RATES = (16000, 22050, 24000, 32000, 44100, 48000)  # those that players agree on


def audio_blocks(path: str | Path, rate: int, layout: str) -> Iterator[np.ndarray]:
    """Sound as blocks [channels,n] float32 at `rate`, zero at the first picture's time (at the first sample
    where there is no video); gaps of the recording's clock are filled with silence, overlaps dropped."""
    info = probe(path)
    if not info.has_audio:
        raise UserError(f"{path}: has no sound; record it with a microphone, or add the sound track and try again")
    channels = 1 if layout == "mono" else 2
    origin = info.start if info.has_video and not info.still else None
    done = 0  # samples given so far
    skip = 0  # samples still to drop

    def trimmed(frames) -> Iterator[np.ndarray]:
        nonlocal done, skip
        for frame in frames:
            block = frame.to_ndarray().reshape(channels, -1)
            drop = min(skip, block.shape[1])
            skip -= drop
            if block.shape[1] > drop:
                done += block.shape[1] - drop
                yield block[:, drop:].astype(np.float32, copy=False)

    with opened(path) as container:
        stream = container.streams.audio[0]
        stream.thread_type = "AUTO"
        resampler = None
        expected = None  # time at which the next source frame should begin [s]
        for frame in decoded(container, stream):
            time = frame.time if frame.time is not None else expected if expected is not None else (origin or 0.0)
            if origin is None:
                origin = time
            if expected is None or abs(time - expected) > _AUDIO_GAP:
                if resampler is not None:
                    yield from trimmed(resampler.resample(None))
                resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
                behind = round((time - origin) * rate) - (done - skip)
                if behind > 0:
                    done += behind
                    yield np.zeros((channels, behind), np.float32)
                else:
                    skip = -behind
            expected = time + frame.samples / frame.sample_rate
            frame.pts = None  # the resampler would stretch for stamps that we have already dealt with
            yield from trimmed(resampler.resample(frame))
        if resampler is not None:
            yield from trimmed(resampler.resample(None))


def read_audio(path: str | Path, rate: int = 16000) -> np.ndarray:
    """Sound of a video or sound file, mixed down to one channel.

    Sample n belongs to the time n/rate after the video's first picture (after the first sample where
    there is no video), whatever offsets the container declares.

    Returns:
        [N] float32 in [-1,1].

    Raises:
        UserError: unreadable or without sound.
    """
    require(rate > 0, f"rate must be positive, got {rate}")
    blocks = [block[0] for block in audio_blocks(path, rate, "mono")]
    audio = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(audio):
        raise UserError(f"{path}: its sound cannot be decoded or is empty; export it again, as wav or mp4")
    return np.clip(np.nan_to_num(audio), -1, 1)


@dataclass(frozen=True)
class SoundPart:
    """The sound of a file from some time [s] after its first picture on."""

    path: str | Path
    start: float


class Sound:
    """Sound to lay beside pictures, given out as they grow: memory does not grow with its length.

    Args:
        audio: [N] or [N,channels] float32 in [-1,1] at `rate`, or a file to take the sound from, or a
            part of one, or None for silence.
        rate: sample rate of an `audio` array [Hz].

    Attributes:
        rate: of what is given out [Hz].
        layout: "mono" or "stereo".
        silent: there is none at all.

    Raises:
        UserError: a file that cannot be read or has no sound.
    """

    def __init__(self, audio: np.ndarray | str | Path | SoundPart | None, rate: int) -> None:
        start = 0.0
        if isinstance(audio, SoundPart):
            audio, start = audio.path, audio.start
        mono = isinstance(audio, np.ndarray) and (audio.ndim == 1 or audio.shape[1] == 1)
        self.layout = "mono" if mono else "stereo"
        self.rate = rate if isinstance(audio, np.ndarray) and rate in _AAC_RATES else 48000
        self._blocks = self._source(audio, rate)
        self._pending = next(self._blocks, None)  # now: what is wrong with a file is said before anything is written
        self._samples = 0
        for _ in self.until(round(start * self.rate)):
            pass
        self._samples = 0
        self.silent = self._pending is None

    def until(self, sample: int) -> Iterator[np.ndarray]:
        """What has not been given out yet, up to number `sample` or the end: blocks [channels,n] float32."""
        while self._pending is not None and self._samples < sample:
            block, rest = np.split(self._pending, [sample - self._samples], axis=1)
            self._samples += block.shape[1]
            self._pending = rest if rest.shape[1] else next(self._blocks, None)
            yield block

    def _source(self, audio: np.ndarray | str | Path | None, rate: int) -> Iterator[np.ndarray]:
        if audio is None:
            return iter(())
        if isinstance(audio, (str, Path)):
            return audio_blocks(audio, self.rate, self.layout)
        audio = np.asarray(audio, np.float32)
        require(audio.ndim in (1, 2) and (audio.ndim == 1 or audio.shape[1] in (1, 2)),
                f"audio: expected [N] or [N,1..2], got shape {audio.shape}")
        return self._resampled(audio.reshape(len(audio), -1).T, rate)

    def _resampled(self, audio: np.ndarray, rate: int) -> Iterator[np.ndarray]:
        resampler = AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        for begin in range(0, audio.shape[1], rate):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[:, begin:begin + rate]), "fltp", self.layout)
            frame.sample_rate = rate
            yield from (out.to_ndarray() for out in resampler.resample(frame))
        yield from (out.to_ndarray() for out in resampler.resample(None))
