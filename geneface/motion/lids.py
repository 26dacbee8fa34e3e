"""How far the eyelids are open, whichever weights open or close them, relative to a person's own open and shut eyes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..face.arkit import index
from .measures import MouthMeasures

# Of either eye: the weight that closes it, and the lids' landmarks above and below (68 points).
_EYES = (("eyeBlinkRight", (37, 38), (41, 40)), ("eyeBlinkLeft", (43, 44), (47, 46)))
CLOSING = [index(name) for name, _, _ in _EYES]  # places of these weights
_SHUT = 0.005  # quantile of the lids' distance
_SHUT_SHARE = 0.1, 0.4  # of the open eye: where nobody blinked, the lids never came near each other


@dataclass(frozen=True)
class Lids:
    """A person's eyelids; the right eye first.

    Attributes:
        travel: [52,2] how far a unit of each ARKit weight moves the lids apart [m].
        neutral: [2] their distance at no weights [m].
        open, shut: [2] their distance in the person's open and shut eyes [m].
    """

    travel: np.ndarray
    neutral: np.ndarray
    open: np.ndarray
    shut: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, rest: np.ndarray, measures: MouthMeasures) -> "Lids":
        """Of somebody whose frames have `weights` [T,52], and who rests with `rest` [52]."""
        def apart(points: np.ndarray) -> np.ndarray:
            """[...,2] of points [...,68,3]."""
            return np.stack([points[..., below, 1].mean(-1) - points[..., above, 1].mean(-1)
                             for _, above, below in _EYES], axis=-1)

        travel, neutral = apart(measures.offsets), apart(measures.neutral)
        wide = np.maximum(neutral + rest @ travel, 1e-4)
        low, high = _SHUT_SHARE
        shut = np.clip(np.quantile(neutral + weights @ travel, _SHUT, axis=0), low * wide, high * wide)
        return cls(travel, neutral, wide, shut)

    def closure(self, weights: np.ndarray) -> np.ndarray:
        """[T,2] in [0,1]: how far weights [T,52] shut the eyes, 1 as far as the person shuts them."""
        distance = self.neutral + weights @ self.travel
        return np.clip((self.open - distance) / (self.open - self.shut), 0, 1)

    def closing(self, weights: np.ndarray, closure: np.ndarray) -> np.ndarray:
        """[T,2] the weights `CLOSING` that shut the eyes by `closure` [T,2] while the others are as in `weights`."""
        others = weights.copy()
        others[:, CLOSING] = 0
        wanted = self.open - closure * (self.open - self.shut)
        travel = np.minimum(self.travel[CLOSING, [0, 1]], -1e-4)
        return np.clip((wanted - self.neutral - others @ self.travel) / travel, 0, 1)
