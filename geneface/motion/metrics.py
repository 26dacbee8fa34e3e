"""How near generated mouth motion comes to tracked motion."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..face.landmarks import LIPS_68, mouth_opening, mouth_width

CLOSED_SHARE = 0.1  # of the tracked opening's 5-95 % range: so little above its lower end the mouth counts as closed
_STILL = 1e-7  # [m] below it nothing moves: standard deviations and ranges mean nothing

Pair = tuple[np.ndarray, np.ndarray]
"""Generated and tracked canonical landmarks of a clip, [T, 68, 3] each [m], 25 fps."""


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r of two [T], or None where either does not move."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(a) < 3 or a.std() < _STILL or b.std() < _STILL:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that could be measured; None where none could."""
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept else None


def closed_and_range(openings: np.ndarray) -> tuple[float, float] | None:
    """Opening of the closed mouth (5 % quantile) and its range in speech up to the 95 % quantile [m] of a tracked
    person's openings [N]; None where the mouth does not move."""
    low, high = np.percentile(openings, [5, 95]) if len(openings) else (0.0, 0.0)
    return (float(low), float(high - low)) if high - low > _STILL else None


@dataclass(frozen=True)
class ClipFigures:
    """Figures of one clip, None where not measurable.

    Attributes:
        mouth_open_correlation, mouth_width_correlation: Pearson's r over time.
        lip_distance_mm: between the lips' landmarks, mean.
        lip_shape_mm: the same after both are centred in every frame: shape without place.
        lip_velocity_error: distance between generated and tracked movement of the lips [mm per frame].
        still_lip_velocity_error: the same for a mouth that never moves.
        jitter, tracked_jitter: lip acceleration [mm per frame^2].
    """

    mouth_open_correlation: float | None
    mouth_width_correlation: float | None
    lip_distance_mm: float | None
    lip_shape_mm: float | None
    lip_velocity_error: float | None
    still_lip_velocity_error: float | None
    jitter: float | None
    tracked_jitter: float | None

    @classmethod
    def of(cls, generated: np.ndarray, tracked: np.ndarray) -> "ClipFigures":
        """Of landmarks [T, 68, 3] [m]."""
        lips, true_lips = (1000 * x[:, LIPS_68].astype(np.float64) for x in (generated, tracked))
        move, true_move = np.diff(lips, axis=0), np.diff(true_lips, axis=0)
        shape, true_shape = (x - x.mean(1, keepdims=True) for x in (lips, true_lips))
        return cls(
            correlation(mouth_opening(generated), mouth_opening(tracked)),
            correlation(mouth_width(generated), mouth_width(tracked)),
            _length(lips - true_lips), _length(shape - true_shape), _length(move - true_move), _length(true_move),
            _length(np.diff(move, axis=0)), _length(np.diff(true_move, axis=0)))


def _length(vectors: np.ndarray) -> float | None:
    """Mean length of [N, P, 3]."""
    return float(np.linalg.norm(vectors, axis=-1).mean()) if len(vectors) else None


def mouth_metrics(pairs: Sequence[Pair]) -> dict[str, float | int | None]:
    """Figures over clips of one speaker.

    Returns:
        clips: how many; every figure of `ClipFigures`, mean over clips;
        mouth_open_variance: generated over tracked variance of the opening, all clips together;
        closure_error: where the tracked mouth is closed, the generated opening beyond the tracked one, mean, as a
        share of the tracked opening's 5-95 % range.
    """
    figures = [asdict(ClipFigures.of(*pair)) for pair in pairs]
    closure = variance = None
    if pairs:
        generated, tracked = (np.concatenate([mouth_opening(x) for x in side]) for side in zip(*pairs))
        if (found := closed_and_range(tracked)) is not None:
            low, span = found
            closed = tracked <= low + CLOSED_SHARE * span
            closure = float(np.maximum(0, generated - tracked)[closed].mean() / span)
            variance = float(generated.var() / tracked.var())
    return {"clips": len(pairs)} | {key: mean(row[key] for row in figures) for key in ClipFigures.__annotations__} | {
        "mouth_open_variance": variance, "closure_error": closure}


def seed_metrics(sampled: Sequence[Sequence[np.ndarray]], tracked: Sequence[np.ndarray]) -> dict[str, float | None]:
    """What seeds change.

    Args:
        sampled: of every clip two or more motions that differ only in their seed, [T, 68, 3] each [m].
        tracked: of every clip, [T, 68, 3] [m].

    Returns:
        seed_distance_mm: distance of the lips between the first two seeds, mean;
        sampled_open_variance: sampled over tracked variance of the mouth opening, all clips and seeds together.
    """
    if not sampled:
        return {"seed_distance_mm": None, "sampled_open_variance": None}
    distance = mean(_length(1000 * (first - second)[:, LIPS_68]) for first, second, *_ in sampled)
    openings = np.concatenate([mouth_opening(motion) for motions in sampled for motion in motions])
    true = np.concatenate([mouth_opening(motion) for motion in tracked])
    variance = float(openings.var() / true.var()) if true.std() > _STILL else None
    return {"seed_distance_mm": distance, "sampled_open_variance": variance}
