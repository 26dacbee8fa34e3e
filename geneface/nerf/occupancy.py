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
        self, aabb: Tensor, intrinsics: Tensor, views: Iterable[tuple[Tensor, Tensor]], keep: float = 0.97,
        face_front: "DepthBand | None" = None,
    ) -> None:
        """Start from the visual hull of head masks.

        Args:
            aabb: [6] box [m].
            intrinsics: [3,3] pinhole matrix [px].
            views: (head_to_camera [4,4], head mask [H,W] in [0,1]) of training frames. A cell that
                falls outside an image is not judged by it.
            keep: share of views that must see head at the cell (masks err, and hair moves).
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
    """Depths near the tracked face, over the part of the x-y plane of head space that the face covers.

    A mask from the front does not tell how deep a head is, so a hull alone lets the field paint the
    face on a curtain before it. The tracked landmarks do tell, roughly.
    """

    FRONT_M, BACK_M = 0.02, 0.03  # room for lips, glasses and beards before, and for the mouth behind

    def __init__(self, points: np.ndarray) -> None:
        """Args: points: [P,3] landmarks of the person in head space [m]."""
        from scipy.interpolate import LinearNDInterpolator

        self._depth = LinearNDInterpolator(points[:, :2].astype(float), points[:, 2].astype(float))

    def contains(self, positions: Tensor) -> Tensor:
        """[M] bool: within the band, or beside the face where the band has no say."""
        depth = torch.from_numpy(self._depth(positions[:, :2].double().cpu().numpy())).to(positions.device)
        behind = positions[:, 2] - depth
        return depth.isnan() | ((behind > -self.FRONT_M) & (behind < self.BACK_M))
