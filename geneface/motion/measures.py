"""Canonical landmarks as linear functions of the ARKit weights: what mouth motion is measured on."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..face.landmarks import JAW_68, LIPS_68
from ..types import EXPRESSIONS, check_array

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class MouthMeasures:
    """The face basis as the motion stage needs it: canonical landmarks, linear in the weights.

    Attributes:
        neutral: [68, 3] canonical landmarks of the neutral face [m].
        offsets: [52, 68, 3] their movement per unit of each ARKit weight [m].
    """

    neutral: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        check_array("neutral", self.neutral, (68, 3))
        check_array("offsets", self.offsets, (EXPRESSIONS, 68, 3))

    @classmethod
    def of_basis(cls) -> "MouthMeasures":
        """Of the package's own face basis, on its mean identity."""
        from ..face.basis import load_basis

        basis = load_basis()
        neutral = np.asarray(basis.landmarks68(np.zeros((1, EXPRESSIONS), np.float32)), np.float32)[0]
        unit = np.asarray(basis.landmarks68(np.eye(EXPRESSIONS, dtype=np.float32)), np.float32)
        return cls(neutral, unit - neutral)

    def landmarks(self, weights: np.ndarray) -> np.ndarray:
        """[T, 52] weights -> [T, 68, 3] canonical landmarks [m]."""
        return self.neutral + np.einsum("tk,kpc->tpc", weights, self.offsets)

    @property
    def features(self) -> torch.Tensor:
        """[52, Q] what a training loss compares: lips, jaw line (weight 1/4), inner lip distances (2), mouth width."""
        import torch

        lips = self.offsets[:, LIPS_68].reshape(EXPRESSIONS, -1)
        jaw = self.offsets[:, JAW_68].reshape(EXPRESSIONS, -1) / 4
        # Upper inner lip 61, 62, 63 against lower 67, 66, 65: whether the mouth is shut is decided here.
        opening = 2 * (self.offsets[:, [67, 66, 65]] - self.offsets[:, [61, 62, 63]]).reshape(EXPRESSIONS, -1)
        width = self.offsets[:, 54] - self.offsets[:, 48]
        return torch.from_numpy(np.concatenate([lips, jaw, opening, width], axis=1).astype(np.float32))
