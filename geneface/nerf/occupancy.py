"""Where in the head's box it is worth looking: an occupancy grid.

Carved from the head masks (a visual hull), narrowed to a band around the tracked face, then reduced
to the cells that samples of training rays were seen in. The usual density EMA (instant-NGP) cannot
empty the inside of a head, which no camera sees; the compositing weight can, and a ray then needs
samples only where light comes from.
"""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops

CARVE_SIZE = 64  # cells per axis when carving: coarse, since a mask edge is soft anyway


class OccupancyGrid(nn.Module):
    """Cells of the head's box that may hold something visible.

    Buffers:
        hull: [G,G,G] bool (z, y, x): cells that may ever be occupied.
        seen: [G,G,G] EMA of the largest compositing weight of a sample in the cell.
        bits: [G^3/8] uint8 bit field for `ops.march_rays`.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        if size % 2:
            raise ValueError(f"size: cells per axis must be even, got {size}")
        self.size = size
        self.register_buffer("hull", torch.ones(size, size, size, dtype=torch.bool))
        self.register_buffer("seen", torch.zeros(size, size, size))
        self.register_buffer("bits", torch.full((size**3 // 8,), 255, dtype=torch.uint8))

    def centres(self, aabb: Tensor, size: int | None = None) -> Tensor:
        """[size^3,3] cell centres [m], x fastest."""
        size = size or self.size
        steps = (torch.arange(size, device=aabb.device) + 0.5) / size
        z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
        unit = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
        return aabb[:3] + unit * (aabb[3:] - aabb[:3])

    def carve(
        self, aabb: Tensor, intrinsics: Tensor, views: Iterable[tuple[Tensor, Tensor]], keep: float = 0.9,
        face_front: "DepthBand | None" = None,
    ) -> None:
        """Start from the visual hull of head masks.

        Args:
            aabb: [6] box [m].
            intrinsics: [3,3] pinhole matrix [px].
            views: (head_to_camera [4,4], head mask [H,W] in [0,1]) of training frames. A cell that
                falls outside an image is not judged by it.
            keep: share of views that must see head at the cell (masks and poses err, and hair moves).
            face_front: band of depths in front of and behind the tracked face; None to use the hull alone.
        """
        size = min(CARVE_SIZE, self.size)
        centres = self.centres(aabb, size)
        cell = float((aabb[3:] - aabb[:3]).amax()) / size
        inside, judged = torch.zeros_like(centres[:, 0]), torch.zeros_like(centres[:, 0])
        for head_to_camera, mask in views:
            camera = centres @ head_to_camera[:3, :3].T + head_to_camera[:3, 3]
            image = camera @ intrinsics.T
            pixel = (image[:, :2] / image[:, 2:]).floor().long()
            height, width = mask.shape
            # A cell is head if any pixel of its picture is.
            reach = int(np.ceil(float(intrinsics[0, 0]) * cell / float(head_to_camera[2, 3]))) // 2 + 1
            wide = F.max_pool2d(mask[None, None].float(), 2 * reach + 1, stride=1, padding=reach)[0, 0]
            known = (pixel >= 0).all(1) & (pixel[:, 0] < width) & (pixel[:, 1] < height)
            found = wide[pixel[:, 1].clamp(0, height - 1), pixel[:, 0].clamp(0, width - 1)] > 0.5
            judged += known
            inside += known & found
        hull = (judged > 0) & (inside >= keep * judged)
        if face_front is not None:
            hull &= face_front.contains(centres)
        hull = hull.view(1, 1, size, size, size).float()
        self.hull.copy_(F.interpolate(hull, size=(self.size,) * 3, mode="nearest")[0, 0] > 0)
        self.seen.copy_(self.hull.float())
        self.refresh(0.5)

    def record(self, x: Tensor, weights: Tensor, aabb: Tensor) -> None:
        """Note the compositing weights [M] of samples at x [M,3] [m]."""
        ops.occupancy_record(x, weights, aabb, self.seen)

    def decay(self, factor: float) -> None:
        """Forget a little, so that cells which surfaces have left fall empty."""
        self.seen.mul_(factor)

    def refresh(self, threshold: float, margin: int = 0, decay: float = 1.0) -> None:
        """Rebuild the bit field: cells whose weight, after `decay`, exceeds `threshold`, grown by `margin` cells."""
        self.bits.copy_(ops.occupancy_update(self.seen, self.hull, decay, threshold, margin))

    def share(self) -> float:
        """Share of the box's cells that are occupied."""
        counts = torch.tensor([bin(i).count("1") for i in range(256)], device=self.bits.device)
        return float(counts[self.bits.long()].sum()) / self.size**3


class DepthBand:
    """Depths near the tracked head, seen from the front.

    A mask from the front does not tell how deep a head is, so a hull alone lets the field paint face and hair on a
    curtain before it, which shows when the head turns. The head basis does tell, roughly: near the face closely,
    above and beside it with room for hair.
    """

    FACE_M = 0.02, 0.03  # room before the face, for lips, glasses and beards, and behind its surface, for the mouth
    HAIR_M = 0.04, 0.05  # the same elsewhere on the head
    BESIDE_M = 0.11, 0.05  # beside the head, from its rim: a quiff stands far before it
    NEAR_M = 0.015  # vertices so near in x and y hide one another

    def __init__(self, face: np.ndarray, head: np.ndarray) -> None:
        """
        Args:
            face: [P,3] landmarks of the person in head space [m].
            head: [V,3] vertices of the whole head [m].
        """
        from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

        front = _front(head.astype(float), self.NEAR_M)
        self._face = LinearNDInterpolator(face[:, :2].astype(float), face[:, 2].astype(float))
        self._head = LinearNDInterpolator(front[:, :2], front[:, 2])
        self._rim = NearestNDInterpolator(head[:, :2].astype(float), _rim_depth(head.astype(float)))

    def contains(self, positions: Tensor) -> Tensor:
        """[M] bool for positions [M,3] [m]."""
        points = positions.double().cpu().numpy()
        inside = np.zeros(len(points), bool)
        left = np.ones(len(points), bool)
        for surface, (before, behind) in (
            (self._face, self.FACE_M), (self._head, self.HAIR_M), (self._rim, self.BESIDE_M)
        ):
            depth = np.full(len(points), np.nan)
            depth[left] = surface(points[left, :2])
            known = left & ~np.isnan(depth)
            offset = points[known, 2] - depth[known]
            inside[known] = (offset > -before) & (offset < behind)
            left &= ~known
        return torch.from_numpy(inside).to(positions.device)


def _front(head: np.ndarray, radius: float) -> np.ndarray:
    """[N,3] the vertices [V,3] that nothing within `radius` in x and y is clearly before."""
    from scipy.spatial import cKDTree

    near = cKDTree(head[:, :2]).query_ball_point(head[:, :2], radius)
    foremost = np.array([head[others, 2].min() for others in near])
    return head[head[:, 2] <= foremost + 2 * radius]


def _rim_depth(head: np.ndarray) -> np.ndarray:
    """[V] the depth at which a head is widest in the direction, from its middle, of each vertex."""
    middle = head[:, :2].mean(0)
    angle = np.arctan2(*(head[:, :2] - middle).T)
    sector = ((angle + np.pi) / (2 * np.pi) * 36).astype(int) % 36
    reach = np.linalg.norm(head[:, :2] - middle, axis=1)
    depth = np.zeros(36)
    for index in range(36):
        members = np.flatnonzero(sector == index)
        if len(members):
            outer = members[reach[members] >= np.quantile(reach[members], 0.95)]
            depth[index] = head[outer, 2].mean()
    return depth[sector]
