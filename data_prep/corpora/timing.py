"""How far sound and picture of a corpus' clips are apart.

Clips of one speaker, cut from one recording or made on one set, lag alike: short ones share the median of all.
"""
from __future__ import annotations

import numpy as np

from data_prep.timing import sound_timing
from geneface.corpus import Rendering

from .clips import Recording

_ENOUGH = 250  # frames: a clip so long is told by itself


def offsets(clips: list[Recording], heard: list[Rendering], expressions: list[np.ndarray]) -> list[float | None]:
    """Lag of every clip's sound behind its picture [frames], None where it cannot be told.

    Args:
        heard: features of the clips' sound as recorded.
        expressions: [T, 52] tracked weights of each.
    """
    out = [sound_timing(sound.content, sound.melody, expression).offset for sound, expression in zip(heard, expressions)]
    for speaker in {clip.speaker for clip in clips}:
        short = [i for i, clip in enumerate(clips) if clip.speaker == speaker and clip.frames < _ENOUGH]
        told = [out[i] for i in short if out[i] is not None]
        for i in short:
            out[i] = float(np.median(told)) if told else None
    return out
