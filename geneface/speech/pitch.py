"""F0 and voicing at 50 Hz, where two methods agree: autocorrelation (in time) and harmonics (in the spectrum).

Each errs in its own way: the first by octaves where a formant is strong or the fundamental is filtered out, the second
in quick glides. Where they differ, the course of the frames on which they agree decides.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .autocorrelation import autocorrelation_pitch
from .framing import HOP, SAMPLE_RATE
from .harmonics import harmonic_pitch

_SAME = 1 / 24  # octaves: a quarter tone
_NEAR = 1 / 4  # octaves that the pitch may have moved away from the nearest frame agreed on
_REACH = round(0.2 * SAMPLE_RATE / HOP)  # frames as far as which an agreed frame speaks for its neighbours


class Pitch(NamedTuple):
    """Attributes: log_f0 [T] natural log of Hz, 0 where unvoiced; voicing [T] in [0,1], 0 where unvoiced; agreed [T]
    bool, voiced and the same by both methods."""

    log_f0: np.ndarray
    voicing: np.ndarray
    agreed: np.ndarray


def pitch(audio: np.ndarray) -> Pitch:
    """F0 and voicing of `audio` [N] float32 at 16 kHz, one value per feature frame."""
    audio = np.asarray(audio, np.float32)
    if len(audio) == 0:
        return Pitch(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, bool))
    first, voicing = autocorrelation_pitch(audio)
    second = harmonic_pitch(audio)
    agreed = (first > 0) & (np.abs(np.log2(np.maximum(first, 1) / second)) < _SAME)
    if not agreed.any():
        blank = np.zeros(len(first), np.float32)
        return Pitch(blank, blank, agreed)
    nearest = _nearest(agreed)
    away = np.abs(nearest - np.arange(len(agreed)))
    octaves = np.log2(np.stack([np.maximum(first, 1), second]))
    apart = np.abs(octaves - octaves[0][nearest])
    chosen = np.take_along_axis(octaves, apart.argmin(axis=0)[None], 0)[0]
    voiced = (first > 0) & (apart.min(axis=0) < _NEAR) & (away <= _REACH)
    return Pitch(np.where(voiced, chosen * np.log(2), 0).astype(np.float32),
                 np.where(voiced, voicing, 0).astype(np.float32), agreed)


def _nearest(marked: np.ndarray) -> np.ndarray:
    """[T] the nearest frame that is marked, the earlier of two, for [T] bool with at least one."""
    frames, known = np.arange(len(marked)), np.flatnonzero(marked)
    after = known[np.searchsorted(known, frames).clip(max=len(known) - 1)]
    before = known[(np.searchsorted(known, frames, "right") - 1).clip(min=0)]
    return np.where(np.abs(frames - before) <= np.abs(after - frames), before, after)
