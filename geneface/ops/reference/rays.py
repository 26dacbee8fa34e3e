"""Definition of ray marching through an occupancy grid."""
from __future__ import annotations

import torch
from torch import Tensor


def near_far_from_aabb(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave an axis-aligned box.

    Args:
        rays_o, rays_d: [N,3] origins and directions; a depth is in units of the direction's length.
        aabb: [6] minimum corner, then maximum corner.
        min_near: least depth.

    Returns:
        nears [N], fars [N]; both +inf for a ray that misses. Not differentiable.
    """
    rays_o, rays_d = rays_o.detach(), rays_d.detach()
    low, high = aabb[:3], aabb[3:]
    parallel = rays_d == 0
    inside = (rays_o >= low) & (rays_o <= high)
    a, b = (low - rays_o) / rays_d, (high - rays_o) / rays_d
    infinity = torch.tensor(float("inf"), dtype=rays_o.dtype, device=rays_o.device)
    enter = torch.where(parallel, torch.where(inside, -infinity, infinity), torch.minimum(a, b)).amax(-1)
    leave = torch.where(parallel, torch.where(inside, infinity, -infinity), torch.maximum(a, b)).amin(-1)
    enter = enter.clamp(min=min_near)
    hit = leave > enter
    return torch.where(hit, enter, infinity), torch.where(hit, leave, infinity)


def march_rays(
    rays_o: Tensor,
    rays_d: Tensor,
    nears: Tensor,
    fars: Tensor,
    occupancy: Tensor,
    aabb: Tensor,
    grid_size: int,
    step: float,
    max_samples: int,
    jitter: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of rays in the occupied cells of a grid.

    Ray n is sampled at depths t_k = nears[n] + (k + jitter[n]) * step, k = 0, 1, ..., while
    t_k < fars[n]. Samples in empty cells, or outside the box, are left out; the first `max_samples`
    others are kept.

    Args:
        rays_o, rays_d: [N,3] origins and directions.
        nears, fars: [N] depths; far <= near, or not finite, means no samples.
        occupancy: [ceil(G^3 / 8)] uint8 bit field, cell number x + G * (y + G * z), bit = number & 7.
        aabb: [6] box the grid covers.
        grid_size: G, cells per axis.
        step: sample distance, in units of the direction's length.
        max_samples: most samples per ray.
        jitter: [N] in [0,1), the samples' place in their step. None means 0.5 (midpoints).

    Returns:
        t: [M] sample depths, the middle of their intervals.
        dt: [M] interval lengths.
        offsets: [N+1] int64: samples of ray n are offsets[n] to offsets[n + 1], by increasing depth.
        Not differentiable: positions o + t d are computed by the caller, so that gradients reach
        the rays.
    """
    rays_o, rays_d, nears, fars = (v.detach() for v in (rays_o, rays_d, nears, fars))
    jitter = torch.full_like(nears, 0.5) if jitter is None else jitter.detach()
    low = aabb[:3]
    scale = grid_size / (aabb[3:] - low)
    spans = torch.where(nears.isfinite() & (fars > nears), fars - nears, torch.zeros_like(nears))
    step = torch.tensor(step, dtype=nears.dtype, device=nears.device)
    depths, counts = [], []
    for part in torch.arange(len(nears), device=nears.device).split(4096):
        steps = int((spans[part] / step).ceil().amax()) + 1 if len(part) else 0
        k = torch.arange(steps, dtype=nears.dtype, device=nears.device)
        t = nears[part, None] + (k + jitter[part, None]) * step  # [n,K]
        cell = ((rays_o[part] - low) * scale)[:, None] + t[..., None] * (rays_d[part] * scale)[:, None]
        cell = cell.floor()
        inside = ((cell >= 0) & (cell < grid_size)).all(-1) & (t < fars[part, None]) & (spans[part, None] > 0)
        x, y, z = cell.masked_fill(~inside[..., None], 0).long().unbind(-1)
        number = x + grid_size * (y + grid_size * z)
        kept = inside & ((occupancy[number >> 3].long() >> (number & 7)) & 1).bool()
        kept &= kept.cumsum(1) <= max_samples
        depths.append(t[kept])
        counts.append(kept.sum(1))
    t = torch.cat(depths) if depths else nears.new_empty(0)
    offsets = torch.zeros(len(nears) + 1, dtype=torch.int64, device=nears.device)
    if counts:
        offsets[1:] = torch.cat(counts).cumsum(0)
    return t, step.expand_as(t).clone(), offsets
