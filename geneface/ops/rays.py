"""Rays against a box and through an occupancy grid: the ops and their native kernels."""
from typing import Optional, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_positive
from .native import F32, I32, I64, PTR, Kernel, dense, library_for

_NEAR_FAR_FROM_AABB = Kernel("near_far_from_aabb", I64, PTR, PTR, PTR, F32, PTR, PTR)
_WALK = (I64, PTR, PTR, PTR, PTR, PTR, PTR, PTR, I32, F32, I32)
_MARCH_COUNT = Kernel("march_count", *_WALK, PTR)
_MARCH_FILL = Kernel("march_fill", *_WALK, PTR, PTR)


def near_far_from_aabb(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> tuple[Tensor, Tensor]:
    """See `reference.near_far_from_aabb`. Raises ValueError naming a wrong argument."""
    check("rays_o", rays_o, (None, 3))
    check("rays_d", rays_d, (len(rays_o), 3), like=rays_o)
    check("aabb", aabb, (6,), like=rays_o)
    run = reference.near_far_from_aabb if library_for(rays_o) is None else _near_far
    return run(rays_o.detach(), rays_d.detach(), aabb, float(min_near))


def march_rays(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor,
    grid_size: int, step: float, max_samples: int, jitter: Optional[Tensor] = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.march_rays`. Raises ValueError naming a wrong argument."""
    check("rays_o", rays_o, (None, 3))
    count = len(rays_o)
    check("rays_d", rays_d, (count, 3), like=rays_o)
    check("nears", nears, (count,), like=rays_o)
    check("fars", fars, (count,), like=rays_o)
    check_positive("grid_size", grid_size)
    check("occupancy", occupancy, ((grid_size**3 + 7) // 8,), (torch.uint8,), like=rays_o)
    check("aabb", aabb, (6,), like=rays_o)
    check_positive("step", step)
    check_positive("max_samples", max_samples)
    if jitter is None:
        jitter = torch.full_like(nears, 0.5)
    check("jitter", jitter, (count,), like=rays_o)
    run = reference.march_rays if library_for(rays_o) is None else _march
    rays_o, rays_d, nears, fars, jitter = (v.detach() for v in (rays_o, rays_d, nears, fars, jitter))
    return run(rays_o, rays_d, nears, fars, occupancy, aabb, int(grid_size), float(step), int(max_samples), jitter)


@custom_op("geneface::near_far_from_aabb", mutates_args=())
def _near_far(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> Tuple[Tensor, Tensor]:
    rays_o, rays_d, aabb = dense(rays_o, rays_d, aabb)
    nears, fars = rays_o.new_empty(len(rays_o)), rays_o.new_empty(len(rays_o))
    _NEAR_FAR_FROM_AABB(rays_o.device, len(rays_o), rays_o, rays_d, aabb, min_near, nears, fars)
    return nears, fars


@_near_far.register_fake
def _(rays_o, rays_d, aabb, min_near):
    return rays_o.new_empty(rays_o.shape[0]), rays_o.new_empty(rays_o.shape[0])


@custom_op("geneface::march_rays", mutates_args=())
def _march(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor, grid_size: int,
    step: float, max_samples: int, jitter: Tensor,
) -> Tuple[Tensor, Tensor, Tensor]:
    rays_o, rays_d, nears, fars, jitter = dense(rays_o, rays_d, nears, fars, jitter)
    occupancy, aabb = dense(occupancy, aabb)
    rays, device = len(rays_o), rays_o.device
    walk = (rays, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size, step, max_samples)
    offsets = torch.zeros(rays + 1, dtype=torch.int64, device=device)
    _MARCH_COUNT(device, *walk, offsets[1:])
    offsets = offsets.cumsum(0)
    t = rays_o.new_empty(int(offsets[-1]))
    _MARCH_FILL(device, *walk, offsets, t)
    return t, torch.full_like(t, step), offsets


@_march.register_fake
def _(rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter):
    samples = torch.library.get_ctx().new_dynamic_size()
    offsets = rays_o.new_empty(rays_o.shape[0] + 1, dtype=torch.int64)
    return rays_o.new_empty(samples), rays_o.new_empty(samples), offsets
