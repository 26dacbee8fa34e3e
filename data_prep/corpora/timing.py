"""How far sound and picture of a corpus' clips are apart.

Even clips of one studio and day are not all alike: GRID's, by the sync expert, scatter by half a frame. A clip that
cannot tell (shorter than 2 s, or mostly silent) takes the median of its speaker's in the shard.
"""
from __future__ import annotations

import numpy as np

from data_prep.timing import sound_timing
from geneface.corpus import Rendering

from .clips import Recording


def offsets(clips: list[Recording], heard: list[Rendering], expressions: list[np.ndarray]) -> list[float | None]:
    """Lag of every clip's sound behind its picture [frames], None where it cannot be told.

    Args:
        heard: features of the clips' sound as recorded.
        expressions: [T, 52] tracked weights of each.
    """
    out = [sound_timing(sound.content, sound.melody, weights).offset for sound, weights in zip(heard, expressions)]
    for speaker in {clip.speaker for clip in clips}:
        own = [i for i, clip in enumerate(clips) if clip.speaker == speaker]
        told = [out[i] for i in own if out[i] is not None]
        for i in own:
            if out[i] is None and told:
                out[i] = float(np.median(told))
    return out
