"""Rays against a box and through an occupancy grid: the ops and their native kernels."""
from typing import Optional, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_changeable, check_indices, check_offsets, check_positive
from .native import F32, I32, I64, PTR, Kernel, dense, library_for

_NEAR_FAR_FROM_AABB = Kernel("near_far_from_aabb", I64, PTR, PTR, PTR, F32, PTR, PTR)
_WALK = (I64, PTR, PTR, PTR, PTR, PTR, PTR, PTR, I32, F32, I32)
_MARCH_COUNT = Kernel("march_count", *_WALK, PTR)
_MARCH_FILL = Kernel("march_fill", *_WALK, PTR, PTR)
_MARCH_ALIVE = Kernel("march_alive", I64, PTR, *_WALK[1:], PTR, PTR, PTR)
_SAMPLE_POINTS = Kernel("sample_points", I64, PTR, PTR, PTR, PTR, PTR, PTR)
_SAMPLE_POINTS_BACKWARD = Kernel("sample_points_backward", I64, PTR, PTR, PTR, PTR, PTR)


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
    jitter = _check_march(rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter)
    run = reference.march_rays if library_for(rays_o) is None else _march
    rays_o, rays_d, nears, fars, jitter = (v.detach() for v in (rays_o, rays_d, nears, fars, jitter))
    return run(rays_o, rays_d, nears, fars, occupancy, aabb, int(grid_size), float(step), int(max_samples), jitter)


def march_alive(
    alive: Tensor, steps: Tensor, rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor,
    aabb: Tensor, grid_size: int, step: float, max_samples: int, jitter: Optional[Tensor] = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.march_alive`. Raises ValueError naming a wrong argument."""
    jitter = _check_march(rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter)
    check("alive", alive, (None,), (torch.int64,), like=rays_o)
    check_indices("alive", alive, len(rays_o))
    check("steps", steps, (len(rays_o),), (torch.int32,), like=rays_o)
    check_changeable("steps", steps)
    run = reference.march_alive if library_for(rays_o) is None else _alive
    rays_o, rays_d, nears, fars, jitter = (v.detach() for v in (rays_o, rays_d, nears, fars, jitter))
    return run(
        alive, steps, rays_o, rays_d, nears, fars, occupancy, aabb, int(grid_size), float(step), int(max_samples), jitter
    )


def sample_points(rays_o: Tensor, rays_d: Tensor, t: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """See `reference.sample_points`. Raises ValueError naming a wrong argument."""
    check("rays_o", rays_o, (None, 3))
    check("rays_d", rays_d, (len(rays_o), 3), like=rays_o)
    check("t", t, (None,), like=rays_o)
    check("offsets", offsets, (len(rays_o) + 1,), (torch.int64,), like=rays_o)
    check_offsets(offsets, len(t), all_samples=True)
    run = reference.sample_points if library_for(rays_o) is None else _points
    return run(rays_o, rays_d, t.detach(), offsets)


def _check_march(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor, grid_size: int,
    step: float, max_samples: int, jitter: Optional[Tensor],
) -> Tensor:
    """Returns the jitter, which may have been left to its default."""
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
    jitter = torch.full_like(nears, 0.5) if jitter is None else jitter
    check("jitter", jitter, (count,), like=rays_o)
    return jitter


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


@custom_op("geneface::march_alive", mutates_args=("steps",))
def _alive(
    alive: Tensor, steps: Tensor, rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor,
    aabb: Tensor, grid_size: int, step: float, max_samples: int, jitter: Tensor,
) -> Tuple[Tensor, Tensor, Tensor]:
    rays_o, rays_d, nears, fars, jitter = dense(rays_o, rays_d, nears, fars, jitter)
    alive, occupancy, aabb = dense(alive, occupancy, aabb)
    counts = torch.zeros(len(alive) + 1, dtype=torch.int64, device=alive.device)
    slots = rays_o.new_empty(len(alive), max_samples)
    _MARCH_ALIVE(
        alive.device, len(alive), alive, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size, step,
        max_samples, steps, counts[1:], slots,
    )
    t = slots[torch.arange(max_samples, device=alive.device) < counts[1:, None]]
    return t, torch.full_like(t, step), counts.cumsum(0)


@_alive.register_fake
def _(alive, steps, rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter):
    samples = torch.library.get_ctx().new_dynamic_size()
    offsets = rays_o.new_empty(alive.shape[0] + 1, dtype=torch.int64)
    return rays_o.new_empty(samples), rays_o.new_empty(samples), offsets


@custom_op("geneface::sample_points", mutates_args=())
def _points(rays_o: Tensor, rays_d: Tensor, t: Tensor, offsets: Tensor) -> Tuple[Tensor, Tensor]:
    rays_o, rays_d, t, offsets = dense(rays_o, rays_d, t, offsets)
    x, ray = t.new_empty(len(t), 3), offsets.new_empty(len(t))
    _SAMPLE_POINTS(t.device, len(rays_o), rays_o, rays_d, t, offsets, x, ray)
    return x, ray


@_points.register_fake
def _(rays_o, rays_d, t, offsets):
    return t.new_empty(t.shape[0], 3), offsets.new_empty(t.shape[0])


@custom_op("geneface::sample_points_backward", mutates_args=())
def _points_backward(grad_x: Tensor, t: Tensor, offsets: Tensor) -> Tuple[Tensor, Tensor]:
    grad_x, t, offsets = dense(grad_x, t, offsets)
    grad_o, grad_d = (t.new_empty(len(offsets) - 1, 3) for _ in range(2))
    _SAMPLE_POINTS_BACKWARD(t.device, len(offsets) - 1, t, offsets, grad_x, grad_o, grad_d)
    return grad_o, grad_d


@_points_backward.register_fake
def _(grad_x, t, offsets):
    return t.new_empty(offsets.shape[0] - 1, 3), t.new_empty(offsets.shape[0] - 1, 3)


def _points_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[2:])
    ctx.mark_non_differentiable(output[1])


def _points_gradient(ctx, grad_x, _):
    return *_points_backward(grad_x, *ctx.saved_tensors), None, None


_points.register_autograd(_points_gradient, setup_context=_points_setup)
