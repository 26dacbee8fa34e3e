"""The checks of the sound: level, clipping, noise, band, length."""
from __future__ import annotations

import numpy as np

from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import MediaInfo
from geneface.report import Verdict

from .checks import judge

SILENT_DB = -60.0
"""Loudest 20 ms blocks of a track without speech [dB full scale]."""

_FLOOR_DB = -55.0  # below the spectrum's peak by so much lies only what a resampler leaves above its cut


def levels(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """Level of the loudest blocks and of the pauses [dB full scale]: 98th and 10th percentile over 20 ms."""
    block = max(1, rate // 50)
    whole = audio[:len(audio) // block * block].reshape(-1, block)
    energy = np.square(whole).mean(1) if len(whole) else np.zeros(1)
    loud, quiet = 10 * np.log10(np.percentile(energy, [98, 10]) + 1e-12)
    return float(loud), float(quiet)


def band(audio: np.ndarray, rate: int) -> float:
    """Highest frequency with speech in it [kHz]: hiss of s and f reaches 7 kHz, telephones end at 3.4."""
    length = 512
    count = len(audio) // length
    if not count:
        return 0.0
    pieces = audio[:count * length].reshape(count, length) * np.hanning(length)
    power = np.square(np.abs(np.fft.rfft(pieces)))
    # What the loudest moments of each band reach: consonants are short.
    reached = 10 * np.log10(np.percentile(power, 98, axis=0) + 1e-12)
    bands = reached[:256].reshape(32, 8).mean(1)
    return float((np.flatnonzero(bands > bands.max() + _FLOOR_DB)[-1] + 1) / 32 * rate / 2000)


def check_silence(info: MediaInfo, audio: np.ndarray, rate: int, config: PrepareConfig) -> bool:
    """Whether there is nothing to hear.

    Raises:
        UserError: so it is, and the configuration insists on sound.
    """
    loud = levels(audio, rate)[0] if len(audio) else -120.0
    if loud >= SILENT_DB:
        return False
    if not config.allow_silent:
        what = f"its sound is silent ({loud:.0f} dB)" if len(audio) else "has no sound"
        raise UserError(f"{info.path}: {what}; record it again with the microphone on, or set allow_silent: true to "
                        "go without speech")
    return True


def sound_verdicts(info: MediaInfo, audio: np.ndarray, rate: int, config: PrepareConfig,
                   covered: float) -> list[Verdict]:
    """The checks of the chosen take's sound.

    Args:
        audio: [N] float32.
        covered: share of the take that the recording has sound for.

    Raises:
        UserError: silent, where the configuration insists on sound.
    """
    if check_silence(info, audio, rate, config):
        loud = levels(audio, rate)[0]
        value = f"silent ({loud:.0f} dB)" if info.has_audio else "no sound"
        return [Verdict("loudness", "warn", value, "mouth shapes are learned from the picture alone: record with a "
                        "microphone", loud)]
    loud, quiet = levels(audio, rate)
    return [
        judge("loudness", loud),
        judge("clipping", 100 * float((np.abs(audio) > 0.99).mean())),
        judge("noise", loud - quiet),
        judge("sound band", band(audio, rate)),
        judge("sound length", 100 * covered),
    ]
