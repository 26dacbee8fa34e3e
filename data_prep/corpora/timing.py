"""How far sound and picture of a corpus' clips are apart.

Ten seconds of speech are needed to tell; clips of one speaker, cut from one recording or made on one set, lag alike, so
short ones are measured together.
"""
from __future__ import annotations

import numpy as np

from data_prep.tracking.smooth import fill
from geneface.corpus import FPS
from geneface.face.landmarks import relative_mouth_opening
from geneface.speech.sync import audio_offset

from .clips import SAMPLE_RATE, Recording

_ENOUGH = 500  # frames: a clip so long is measured on its own
_MOST = 3000  # frames measured together


def offsets(clips: list[Recording]) -> list[float | None]:
    """Lag of every clip's sound behind its picture [frames], None where it cannot be told."""
    together: dict[str, list[int]] = {}
    out: list[float | None] = [None] * len(clips)
    for i, clip in enumerate(clips):
        if clip.frames >= _ENOUGH:
            out[i] = _offset([clip])
        else:
            together.setdefault(clip.speaker, []).append(i)
    for members in together.values():
        lengths = np.cumsum([clips[i].frames for i in members])
        measured = [clips[i] for i, length in zip(members, lengths) if length <= _MOST] or [clips[members[0]]]
        lag = _offset(measured)
        for i in members:
            out[i] = lag
    return out


def _offset(clips: list[Recording]) -> float | None:
    openings = [fill(relative_mouth_opening(clip.detections.landmarks), clip.detections.valid) for clip in clips]
    # The mouth of each about its own mean: a step from clip to clip would be taken for movement.
    opening = np.concatenate([opening - opening.mean() for opening in openings])
    return audio_offset(opening, np.concatenate([clip.audio for clip in clips]), SAMPLE_RATE, FPS)
