"""Definition of the occupancy bit field."""
from __future__ import annotations

import torch
from torch import Tensor


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """Bit field of the cells denser than a threshold.

    Args:
        density: [K] cell densities.
        threshold: a cell is occupied where density > threshold.

    Returns:
        [ceil(K / 8)] uint8; cell k is bit k & 7 of byte k >> 3. Not differentiable.
    """
    bits = torch.nn.functional.pad(density.detach() > threshold, (0, -len(density) % 8)).view(-1, 8)
    return (bits.to(torch.int32) << torch.arange(8, dtype=torch.int32, device=density.device)).sum(1).to(torch.uint8)


def occupancy_record(x: Tensor, weights: Tensor, aabb: Tensor, seen: Tensor) -> None:
    """Note in each cell the largest weight of a sample there.

    Args:
        x: [M,3] positions; one outside the box counts for the nearest cell.
        weights: [M].
        aabb: [6] box the grid covers.
        seen: [G,G,G] (z, y, x), changed in place.
    """
    size = len(seen)
    cell = ((x.detach() - aabb[:3]) / (aabb[3:] - aabb[:3]) * size).clamp(0, size - 1).long()
    number = cell[:, 0] + size * (cell[:, 1] + size * cell[:, 2])
    seen.view(-1).scatter_reduce_(0, number, weights.detach(), "amax")


def occupancy_update(seen: Tensor, hull: Tensor, decay: float, threshold: float, margin: int = 0) -> Tensor:
    """Forget a little, then tell which cells are occupied.

    Args:
        seen: [G,G,G] (z, y, x) weights of cells, changed in place: multiplied by `decay`.
        hull: [G,G,G] bool, cells that may be occupied.
        decay: factor, 0 to 1.
        threshold: a cell counts where its decayed weight is greater.
        margin: occupied cells are grown by so many along each axis, diagonals included.

    Returns:
        [ceil(G^3 / 8)] uint8 bit field, as from `pack_bits`, of the grown cells within the hull.
    """
    seen.mul_(decay)
    occupied = (seen > threshold).float()[None, None]
    if margin:
        occupied = torch.nn.functional.max_pool3d(occupied, 2 * margin + 1, stride=1, padding=margin)
    return pack_bits(((occupied[0, 0] > 0) & hull).float().flatten(), 0.5)
