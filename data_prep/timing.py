"""How late a clip's sound is, told from speech and tracked lips by the sync expert."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from geneface.face.landmarks import LIPS_68
from geneface.motion.measures import MouthMeasures
from geneface.motion.sync import CONFIDENT, SyncExpert
from geneface.speech.melody import QUIET

_FPS = 25.0  # of the expert's lips
_PIECE = 250  # frames measured at once
_LEAST = 50  # frames: two seconds of speech
_SPOKEN = 0.3  # least share of a piece in which somebody does
_WORTH = 0.5  # smallest offset that is corrected [frames]
_AGREE = 1.0  # how far most pieces may lie from their median where it is corrected [frames]


@dataclass(frozen=True)
class Timing:
    """Attributes:
        offset: how much later the sound is than the picture [frames], None where it cannot be told.
        shift: how much of that is safe to take away, 0 where it had better be left alone [frames].
        drift: by how much later the sound is in the last third than in the first [frames], None where it cannot be
            told in both: it runs at another speed.
    """

    offset: float | None = None
    shift: float = 0.0
    drift: float | None = None


def sound_timing(content: np.ndarray, melody: np.ndarray, expression: np.ndarray, fps: float = _FPS,
                 expert: SyncExpert | None = None) -> Timing:
    """Timing of one clip.

    Args:
        content: [N, 512] content features of its sound at 50 Hz, starting with the first frame.
        melody: [N, 3] of `speech.melody.melody`.
        expression: [T, 52] tracked expression weights.
        fps: of those; all results are in frames of this length.
        expert: by default the one shipped with the package.
    """
    expert = expert or SyncExpert.load()
    frames = min(int(len(expression) * _FPS / fps), len(content) // 2)
    if frames < _LEAST:
        return Timing()
    lips = MouthMeasures.of_basis().landmarks(expression)[:, LIPS_68]
    at = np.clip((np.arange(frames) + 0.5) * fps / _FPS - 0.5, 0, len(lips) - 1)
    below = np.minimum(at.astype(int), len(lips) - 1)
    share = (at - below)[:, None, None]
    lips = (1 - share) * lips[below] + share * lips[np.minimum(below + 1, len(lips) - 1)]
    mouth = torch.from_numpy(lips.astype(np.float32))
    speech, tune = (torch.from_numpy(np.asarray(x, np.float32).T) for x in (content, melody))
    found: list[tuple[float, float]] = []  # middle [frame], lag of the sound [frames]
    pieces = 0
    for first, end in _pieces(frames):
        heard = slice(2 * first, 2 * end)
        if (melody[heard, 1] > QUIET).mean() < _SPOKEN:
            continue
        pieces += 1
        result = expert.offset(speech[:, heard], tune[:, heard], mouth[first:end])
        if result.confidence >= CONFIDENT:
            found.append(((first + end) / 2, -result.frames * fps / _FPS))
    if not found or len(found) < pieces / 2:
        return Timing()
    lags = np.array([lag for _, lag in found])
    offset = float(np.median(lags))
    agreed = float(np.median(np.abs(lags - offset))) <= _AGREE
    early = [lag for middle, lag in found if middle < frames / 3]
    late = [lag for middle, lag in found if middle >= frames * 2 / 3]
    drift = float(np.median(late) - np.median(early)) if early and late else None
    return Timing(offset, offset if agreed and abs(offset) >= _WORTH else 0.0, drift)


def _pieces(frames: int) -> list[tuple[int, int]]:
    """First and past the last frame of equal parts of a clip, none shorter than it must be."""
    count = max(1, frames // _PIECE)
    edges = np.linspace(0, frames, count + 1).round().astype(int)
    return [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:])]
