"""Definition of ray marching through an occupancy grid."""
from __future__ import annotations

import torch
from torch import Tensor

MAX_STEPS = 1 << 24  # numbers of steps must be exact as float32


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
        Not differentiable: gradients reach the rays through the positions o + t d (`sample_points`).
    """
    first = torch.zeros(len(nears), dtype=torch.int32, device=nears.device)
    t, counts, _ = _walk(rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter, first)
    return t, torch.full_like(t, step), _offsets(counts)


def march_alive(
    alive: Tensor, steps: Tensor, rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor,
    aabb: Tensor, grid_size: int, step: float, max_samples: int, jitter: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The next few samples of the rays that are not finished: one round of marching in rounds.

    Between rounds `composite_alive` drops the rays that have become opaque or left the grid, so that a
    field is evaluated at few samples that nobody sees (the compaction of instant-NGP):

    ```
    alive, steps = torch.arange(rays), torch.zeros(rays, dtype=torch.int32)
    while len(alive):
        t, dt, offsets = march_alive(alive, steps, rays_o, rays_d, ..., max_samples=8)
        x, ray = sample_points(rays_o[alive], rays_d[alive], t, offsets)
        sigma, rgb = field(x)
        alive = composite_alive(alive, sigma, rgb, t, dt, offsets, transmittance, image, alpha, depth, 8)
    ```

    Args:
        alive: [A] int64 numbers of the rays to go on with, each at most once.
        steps: [N] int32, changed in place: the first step k to look at becomes the one after the ray's last
            sample, or 2^24 where there were fewer than `max_samples` (steps end there in any case).
        max_samples: most samples per ray in this round.
        Others: as for `march_rays`, of all N rays.

    Returns:
        t, dt [M] and offsets [A+1] int64, as from `march_rays`, for the rays `alive`. Not differentiable.
    """
    jitter = torch.full_like(nears, 0.5) if jitter is None else jitter
    t, counts, after = _walk(
        rays_o[alive], rays_d[alive], nears[alive], fars[alive], occupancy, aabb, grid_size, step, max_samples,
        jitter[alive], steps[alive],
    )
    steps[alive] = after
    return t, torch.full_like(t, step), _offsets(counts)


def sample_points(rays_o: Tensor, rays_d: Tensor, t: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the samples of rays.

    Args:
        rays_o, rays_d: [N,3] origins and directions.
        t: [M] sample depths.
        offsets: [N+1] int64 samples of each ray, from 0 to M.

    Returns:
        x: [M,3] = o + t d. Differentiable with respect to `rays_o` and `rays_d`.
        ray: [M] int64, the ray of each sample.
    """
    ray = torch.repeat_interleave(offsets.diff())
    return rays_o[ray] + t.detach()[:, None] * rays_d[ray], ray


def _offsets(counts: Tensor) -> Tensor:
    return torch.nn.functional.pad(counts.cumsum(0), (1, 0))


def _walk(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor, grid_size: int,
    step: float, max_samples: int, jitter: Tensor | None, first: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Depths [M] and counts [N] of the samples from step `first` [N] on, and the step after the last [N]."""
    rays_o, rays_d, nears, fars = (v.detach() for v in (rays_o, rays_d, nears, fars))
    jitter = torch.full_like(nears, 0.5) if jitter is None else jitter.detach()
    low = aabb[:3]
    scale = grid_size / (aabb[3:] - low)
    spans = torch.where(nears.isfinite() & (fars > nears), fars - nears, torch.zeros_like(nears))
    step = torch.tensor(step, dtype=nears.dtype, device=nears.device)
    depths = [nears.new_empty(0)]
    counts = torch.zeros(len(nears), dtype=torch.int64, device=nears.device)
    after = torch.full_like(first, MAX_STEPS)
    for part in torch.arange(len(nears), device=nears.device).split(4096):
        number_of_steps = int((spans[part] / step).ceil().amax()) + 1 if len(part) else 0
        k = torch.arange(number_of_steps, dtype=nears.dtype, device=nears.device)
        t = nears[part, None] + (k + jitter[part, None]) * step  # [n,K]
        cell = ((rays_o[part] - low) * scale)[:, None] + t[..., None] * (rays_d[part] * scale)[:, None]
        cell = cell.floor()
        inside = ((cell >= 0) & (cell < grid_size)).all(-1) & (t < fars[part, None]) & (spans[part, None] > 0)
        x, y, z = cell.masked_fill(~inside[..., None], 0).long().unbind(-1)
        number = x + grid_size * (y + grid_size * z)
        kept = inside & ((occupancy[number >> 3].long() >> (number & 7)) & 1).bool() & (k >= first[part, None])
        kept &= kept.cumsum(1) <= max_samples
        depths.append(t[kept])
        counts[part] = kept.sum(1)
        if number_of_steps:
            last = torch.where(kept, k, -1).amax(1).to(after.dtype)
            after[part] = torch.where(counts[part] == max_samples, last + 1, MAX_STEPS)
    return torch.cat(depths), counts, after
