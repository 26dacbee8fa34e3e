"""The ways in which a person's face moves: principal components of recorded landmarks, and the weights beside them."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .measures import MouthMeasures

_SHARE = 0.995  # of the variance of the recorded movement: what is left is mostly tracking noise
_LEAST_DEVIATION_M = 4e-4  # of a landmark, as for the field (`nerf.condition`)
_SEEN = 0.99  # quantile of the recorded movement that stands for all of it


@dataclass(frozen=True)
class Modes:
    """Movement of some landmarks by some weights, as a person makes it.

    Attributes:
        columns: [C] places of the weights.
        respond: [C,K] what a unit of each weight, moved by anybody, makes of the modes.
        weights: [K,C] what a unit of each mode makes of the weights, on this person.
        seen: [K] how far the person was seen to take each mode.
        size: how far they usually went, as `extent` has it.
    """

    columns: np.ndarray
    respond: np.ndarray
    weights: np.ndarray
    seen: np.ndarray
    size: float

    @classmethod
    def of(cls, own: np.ndarray, columns: list[int], points: np.ndarray, measures: MouthMeasures) -> "Modes":
        """Of recorded weights [R,52] relative to rest: those in `columns`, as they move the landmarks `points`."""
        moved = own[:, columns]
        offsets = measures.offsets[np.ix_(columns, points)]
        shift = np.einsum("rc,cpx->rpx", moved, offsets)
        # In deviations, as the field sees them: where the person hardly moves, it shows little.
        unit = np.maximum(shift.std(0), _LEAST_DEVIATION_M)
        _, strength, directions = np.linalg.svd((shift / unit).reshape(len(own), -1), full_matrices=False)
        variance = np.cumsum(strength**2)
        count = 1 + int(np.searchsorted(variance, _SHARE * variance[-1])) if variance[-1] > 0 else 0
        respond = (offsets / unit).reshape(len(columns), -1) @ directions[:count].T
        seen = moved @ respond
        weights = np.linalg.lstsq(seen, moved, rcond=None)[0]
        limits = np.quantile(np.abs(seen), _SEEN, axis=0)
        return cls(np.array(columns), respond, weights, limits, extent(seen))

    def read(self, moved: np.ndarray) -> np.ndarray:
        """[T,K] the modes in somebody's weights [T,52], relative to their rest."""
        return moved[:, self.columns] @ self.respond

    def write(self, modes: np.ndarray) -> np.ndarray:
        """[T,C] the person's weights for modes [T,K], relative to their rest."""
        return modes @ self.weights


def extent(modes: np.ndarray) -> float:
    """How far modes [T,K] go: nearly the farthest frame, since one may be a mistake of the tracker's."""
    return float(np.quantile(np.linalg.norm(modes, axis=1), 0.98)) if len(modes) else 0.0
