"""What the sync expert and the lip-reading judge say of generated and of tracked motion."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..face.landmarks import LIPS_68
from .comparison import Comparison
from .lipreader import LipReader, word_error_rate
from .metrics import mean
from .sync import CONFIDENT, SyncExpert, SyncResult

_IN_SYNC = 1.0  # frames


def sync_metrics(comparisons: Sequence[Comparison], expert: SyncExpert) -> dict[str, float | None]:
    """Whether lips go with the sound.

    Returns:
        sync_within_1, tracked_sync_within_1: share of clips whose lips come within one frame of the sound and go with
        it so clearly that the expert is sure (`sync.CONFIDENT`): lips that hardly move are in time with nothing;
        sync_offset: frames by which generated lips are late, mean;
        sync_confidence, tracked_sync_confidence: mean (see `SyncResult`).
    """
    def heard(side: str) -> list[SyncResult]:
        return [expert.offset(torch.from_numpy(one.content.T), torch.from_numpy(one.melody.T), lips(getattr(one, side)))
                for one in comparisons if len(one.tracked) > 1]

    generated, tracked = heard("generated"), heard("tracked")
    return {
        "sync_within_1": mean(map(_in_sync, generated)),
        "tracked_sync_within_1": mean(map(_in_sync, tracked)),
        "sync_offset": mean(one.frames for one in generated),
        "sync_confidence": mean(one.confidence for one in generated),
        "tracked_sync_confidence": mean(one.confidence for one in tracked),
    }


def _in_sync(found: SyncResult) -> bool:
    return found.confidence >= CONFIDENT and abs(found.frames) <= _IN_SYNC


def reading_metrics(comparisons: Sequence[Comparison], judge: LipReader) -> dict[str, float | None]:
    """wer_real, wer_generated: word error rate of the judge on tracked and on generated lips, over the clips whose
    words it knows; None where there are none."""
    spoken = [(one, [word for *_, word in one.words]) for one in comparisons if one.words]
    spoken = [(one, words) for one, words in spoken if judge.knows(words)]
    if not spoken:
        return {"wer_real": None, "wer_generated": None}
    return {key: word_error_rate((words, judge.read(lips(getattr(one, side)))) for one, words in spoken)
            for key, side in (("wer_real", "tracked"), ("wer_generated", "generated"))}


def lips(landmarks: np.ndarray) -> torch.Tensor:
    """[T, 68, 3] -> [T, 20, 3], the mouth as experts see it."""
    return torch.from_numpy(np.ascontiguousarray(landmarks[:, LIPS_68], np.float32))
