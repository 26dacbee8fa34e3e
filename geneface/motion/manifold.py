"""Fit generic motion to the person: onto the manifold of their own recorded frames, within their own range.

Locally linear embedding as GeneFace++ uses it (Ye et al. 2023, arXiv:2305.00787): a generated frame x is rebuilt from
its K nearest frames of the person with weights that sum to one and minimise the squared distance (Saul and Roweis
2000), then blended, x' = (1 - p) x + p sum w_i x_i. Every landmark is linear in the expression weights, so the same
weights rebuild both.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..face.landmarks import JAW_68, LIPS_68, mouth_opening
from ..types import EXPRESSIONS, check_array, require

REFERENCES = 2000  # recorded frames that suffice: more are slower to search and hardly nearer
_COMPARED = np.concatenate([JAW_68[4:13], LIPS_68])  # what speech moves: chin and lips
_REGULARISATION = 1e-3  # of the local Gram matrix' trace: keeps weights small where neighbours nearly coincide
_CHUNK = 512  # frames rebuilt at once: bounds memory
_SMOOTHING = 1.0  # [frames] standard deviation, of the correction only: neighbours change, speech stays sharp


def local_weights(queries: torch.Tensor, references: torch.Tensor,
                  neighbours: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest references of every query and the weights that rebuild it.

    Args:
        queries: [T, D].
        references: [R, D].
        neighbours: K, at most R.

    Returns:
        indices [T, K] and weights [T, K], each row of which sums to one.
    """
    indices = torch.cdist(queries, references).topk(neighbours, dim=1, largest=False).indices
    away = references[indices] - queries[:, None]  # [T, K, D]
    gram = away @ away.transpose(1, 2)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    ridge = (_REGULARISATION * trace / neighbours).clamp(min=1e-12)
    gram = gram + ridge[:, None, None] * torch.eye(neighbours, dtype=gram.dtype)
    weights = torch.linalg.solve(gram, torch.ones(len(queries), neighbours, 1, dtype=gram.dtype))[..., 0]
    return indices, weights / weights.sum(1, keepdim=True)


def _smooth(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing along the first axis, ends repeated."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(x, sigma, axis=0, mode="nearest") if len(x) > 1 else x


def _compared(landmarks: np.ndarray) -> torch.Tensor:
    """[T, 68, 3] -> [T, D] what frames are compared by."""
    return torch.from_numpy(landmarks[:, _COMPARED].reshape(len(landmarks), -1)).double()


@dataclass(frozen=True)
class PersonSpace:
    """The person's recorded motion.

    Attributes:
        landmarks: [R, 68, 3] canonical landmarks of their training frames [m].
        expression: [R, 52] expression weights of the same frames.
    """

    landmarks: np.ndarray
    expression: np.ndarray

    def __post_init__(self) -> None:
        check_array("landmarks", self.landmarks, (None, 68, 3))
        check_array("expression", self.expression, (len(self.landmarks), EXPRESSIONS))
        require(len(self.landmarks) > 0, "landmarks: the person has no recorded frame")

    @cached_property
    def rest(self) -> np.ndarray:
        """[52] median weights of the tenth of the frames whose mouth is most closed."""
        opening = mouth_opening(self.landmarks)
        return np.median(self.expression[opening <= np.quantile(opening, 0.1)], axis=0)

    @cached_property
    def open_eyes(self) -> np.ndarray:
        """[52] median weights over all frames: brows, lids and gaze as they usually are."""
        return np.median(self.expression, axis=0)

    def project(self, weights: np.ndarray, landmarks: np.ndarray, neighbours: int, strength: float) -> np.ndarray:
        """Locally linear embedding.

        Args:
            weights: [T, 52] generated expression weights.
            landmarks: [T, 68, 3] their canonical landmarks [m].
            neighbours: K.
            strength: p, 0 leaves the weights alone.

        Returns:
            [T, 52] weights (not clamped).
        """
        if strength <= 0 or not len(weights):
            return weights
        queries = _compared(landmarks)
        count = min(neighbours, len(self._references))
        rebuilt = np.empty_like(weights)
        for first in range(0, len(weights), _CHUNK):
            part = slice(first, first + _CHUNK)
            indices, mixture = local_weights(queries[part], self._references, count)
            rebuilt[part] = np.einsum("tk,tke->te", mixture.numpy(), self.expression[indices.numpy()])
        return weights + strength * _smooth(rebuilt - weights, _SMOOTHING)

    def clamp(self, weights: np.ndarray, quantile: float) -> np.ndarray:
        """Weights [T, 52] kept between the person's `quantile` and 1 - `quantile`; their rest stays reachable."""
        low, high = (self._quantile(share) for share in (quantile, 1 - quantile))
        return np.clip(weights, np.minimum(low, self.rest), np.maximum(high, self.rest)).astype(np.float32)

    # Kept, for a stream asks for every frame.
    @cached_property
    def _references(self) -> torch.Tensor:
        return _compared(self.landmarks)

    @cached_property
    def _sorted(self) -> np.ndarray:
        """[R, 52] every weight in ascending order."""
        return np.sort(self.expression, axis=0)

    def _quantile(self, share: float) -> np.ndarray:
        """[52] linear between the recorded values, as `numpy.quantile`."""
        place = share * (len(self._sorted) - 1)
        below = int(place)
        above = min(below + 1, len(self._sorted) - 1)
        return self._sorted[below] + (place - below) * (self._sorted[above] - self._sorted[below])
