"""The skin that moves with the skull, as samples on the head's mesh."""
from __future__ import annotations

import numpy as np
import torch

from geneface import ops
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import FaceBasis

_BELOW_NOSE = 2  # MediaPipe's landmark where the nose meets the upper lip


class Skin:
    """Samples of the skin that moves with the skull, on the grid of a cylinder around the head.

    Forehead, temples, nose and the cheeks beside it; eyelids, brows, mouth, hair, ears and neck are left out.

    Attributes:
        grid: [h,w] number of the sample at each cell of the unwrapped skin, -1 where there is none.
        mean: [S,3] samples of the neutral head; expression: [52,S,3] their displacements at weight 1 [m].
        normals: [S,3] outward units.
        head: [V,3] and triangles: [F,3] what may hide samples.
    """

    _LIDS, _MOUTH, _BROWS = 0.002, 0.007, 0.0075  # what these move further than this is not rigid [m]
    _RADIUS = 0.09  # of the cylinder: there its cells are square [m]
    _REACH = 1.4  # angle from straight ahead [rad]

    def __init__(self, basis: FaceBasis, identity: np.ndarray, spacing: float) -> None:
        self.head = np.asarray(basis.vertices(identity), np.float32)
        self.triangles = basis.faces_of("skin").astype(np.int32)
        angle = np.arctan2(self.head[:, 0], -self.head[:, 2])
        rigid = np.abs(angle) < self._REACH
        reach = np.linalg.norm(basis.expression, axis=-1)  # [52,V]
        for names, limit in ((("eye",), self._LIDS), (("jaw", "mouth"), self._MOUTH), (("brow",), self._BROWS)):
            rigid &= reach[[name.startswith(names) for name in ARKIT_NAMES]].max(0) <= limit
        for region in ("lips", "brows", "scalp", "ears", "neck"):
            rigid[basis.regions[region]] = False
        rigid &= self.head[:, 1] < basis.landmarks478(identity)[_BELOW_NOSE, 1]
        front = self.triangles[rigid[self.triangles].all(1)]
        flat = np.stack([angle * self._RADIUS / spacing, self.head[:, 1] / spacing,
                         1 - np.hypot(self.head[:, 0], self.head[:, 2])], 1)
        flat[:, :2] -= flat[front.ravel(), :2].min(0)
        width, height = np.ceil(flat[front.ravel(), :2].max(0)).astype(int)
        number, weights, _ = ops.rasterize(
            torch.from_numpy(flat.astype(np.float32)), torch.from_numpy(front), int(height), int(width))
        used = number.numpy() >= 0
        corners, weights = front[number.numpy()[used]], weights.numpy()[used][..., None]
        self.grid = np.where(used, np.cumsum(used).reshape(used.shape) - 1, -1)
        self.mean, self.expression = (
            (part[..., corners, :] * weights).sum(-2).astype(np.float32) for part in (self.head, basis.expression))
        a, b, c = (self.head[corners[:, k]] for k in range(3))
        normals = np.cross(b - a, c - a)
        normals *= np.sign((normals * self.mean).sum())
        self.normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self.mean)

    def keep(self, chosen: np.ndarray) -> None:
        """Leave out all samples but the `chosen` [S] bool."""
        self.grid = np.where((self.grid >= 0) & chosen[self.grid], (np.cumsum(chosen) - 1)[self.grid], -1)
        self.mean, self.normals = self.mean[chosen], self.normals[chosen]
        self.expression = np.ascontiguousarray(self.expression[:, chosen])

    def points(self, expression: np.ndarray) -> np.ndarray:
        """[S,3] in head space for weights [52]."""
        shift = expression.astype(np.float32) @ self.expression.reshape(len(self.expression), -1)
        return self.mean + shift.reshape(-1, 3)
