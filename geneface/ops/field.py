"""Rays through a whole head field in one op, for inference."""
import ctypes
from typing import Sequence, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_positive
from .grid_layout import Grid, grid_layout
from .grid_spec import GridSpec
from .moving_field import MovingField
from .native import F32, I32, I64, PTR, Kernel, dense, library_for, scratch

_SCRATCH = 16  # int64 values that the CUDA kernel needs


class _Field(ctypes.Structure):
    """`geneface_field` of geneface_ops.h."""

    _fields_ = [
        ("position_grid", ctypes.POINTER(Grid)), ("motion_grid", ctypes.POINTER(Grid)), ("position_table", PTR),
        ("motion_table", PTR), ("motion_weights", PTR), ("density_weights", PTR), ("colour_weights", PTR),
        ("motion_bias", PTR), ("colour_bias", PTR), ("condition", PTR), ("aabb", PTR), ("occupancy", PTR),
        ("grid_size", I32), ("hidden", I32), ("layers", I32), ("condition_size", I32), ("geometry", I32),
        ("bf16", I32), ("reach", F32), ("density_scale", F32), ("density_limit", F32),
    ]


_RENDER_RAYS = Kernel(
    "render_rays", ctypes.POINTER(_Field), I64, PTR, PTR, F32, F32, I32, F32, PTR, PTR, PTR, PTR, PTR
)


def render_rays(
    rays_o: Tensor, rays_d: Tensor, field: MovingField, condition: Tensor, motion_bias: Tensor, colour_bias: Tensor,
    occupancy: Tensor, grid_size: int, step: float, max_samples: int = 64, min_near: float = 0.05,
    early_stop: float = 1e-4,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.render_rays`. Raises ValueError naming a wrong argument."""
    _check(rays_o, rays_d, field, condition, motion_bias, colour_bias, occupancy, grid_size, step, max_samples)
    frame = [v.detach() for v in (rays_o, rays_d, condition, motion_bias, colour_bias)]
    rays_o, rays_d, condition, motion_bias, colour_bias = frame
    if library_for(rays_o) is None:
        return reference.render_rays(
            rays_o, rays_d, field, condition, motion_bias, colour_bias, occupancy, grid_size, step, max_samples,
            min_near, early_stop,
        )
    return _render(
        rays_o, rays_d, *_tensors(field), condition, motion_bias, colour_bias, occupancy, *_layout(field), grid_size,
        step, max_samples, min_near, early_stop,
    )[:3]


def count_samples(
    rays_o: Tensor, rays_d: Tensor, field: MovingField, condition: Tensor, motion_bias: Tensor, colour_bias: Tensor,
    occupancy: Tensor, grid_size: int, step: float, max_samples: int = 64, min_near: float = 0.05,
    early_stop: float = 1e-4,
) -> Tensor:
    """[N] int32 samples that `render_rays` evaluates on each ray (native kernels only). Arguments are the same.

    Raises:
        ValueError: naming a wrong argument.
        RuntimeError: there are no native kernels for the device.
    """
    _check(rays_o, rays_d, field, condition, motion_bias, colour_bias, occupancy, grid_size, step, max_samples)
    return _render(
        rays_o, rays_d, *_tensors(field), condition, motion_bias, colour_bias, occupancy, *_layout(field), grid_size,
        step, max_samples, min_near, early_stop,
    )[3]


def _check(
    rays_o: Tensor, rays_d: Tensor, field: MovingField, condition: Tensor, motion_bias: Tensor, colour_bias: Tensor,
    occupancy: Tensor, grid_size: int, step: float, max_samples: int,
) -> None:
    check("rays_o", rays_o, (None, 3))
    check("rays_d", rays_d, (len(rays_o), 3), like=rays_o)
    if not isinstance(field, MovingField):
        raise ValueError(f"field: expected a MovingField, got {type(field).__name__}")
    check("field.aabb", field.aabb, (6,), like=rays_o)
    check("condition", condition, (field.condition,), like=rays_o)
    check("motion_bias", motion_bias, (field.hidden,), like=rays_o)
    check("colour_bias", colour_bias, (field.hidden,), like=rays_o)
    check_positive("grid_size", grid_size)
    check("occupancy", occupancy, ((grid_size**3 + 7) // 8,), (torch.uint8,), like=rays_o)
    check_positive("step", step)
    check_positive("max_samples", max_samples)


def _tensors(field: MovingField) -> tuple:
    nets = (list(field.motion_net), list(field.density_net), list(field.colour_net))
    return field.position_table, field.motion_table, *nets, field.aabb


def _layout(field: MovingField) -> tuple:
    grids = *_numbers(field.position_spec), *_numbers(field.motion_spec)
    return *grids, field.reach, field.density_scale, field.density_limit


def _numbers(spec: GridSpec) -> tuple:
    return spec.offsets, spec.resolutions, spec.log2_table_size, spec.hashed


def _flat(weights: Sequence[Tensor]) -> Tensor:
    return torch.cat([w.detach().reshape(-1) for w in weights])


@custom_op("geneface::render_rays", mutates_args=())
def _render(
    rays_o: Tensor, rays_d: Tensor, position_table: Tensor, motion_table: Tensor, motion_net: Sequence[Tensor],
    density_net: Sequence[Tensor], colour_net: Sequence[Tensor], aabb: Tensor, condition: Tensor, motion_bias: Tensor,
    colour_bias: Tensor, occupancy: Tensor, position_offsets: Sequence[int], position_resolutions: Sequence[int],
    position_log2_table_size: int, position_hashed: bool, motion_offsets: Sequence[int],
    motion_resolutions: Sequence[int], motion_log2_table_size: int, motion_hashed: bool, reach: float,
    density_scale: float, density_limit: float, grid_size: int, step: float, max_samples: int, min_near: float,
    early_stop: float,
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    rays_o, rays_d, aabb, condition, motion_bias, colour_bias = dense(
        rays_o, rays_d, aabb, condition, motion_bias, colour_bias
    )
    position_table, motion_table, occupancy = dense(position_table, motion_table, occupancy)
    # Kept alive, as the tensors above, until the kernel has read them.
    nets = [_flat(net) for net in (motion_net, density_net, colour_net)]
    grids = (
        grid_layout(3, 2, position_log2_table_size, position_hashed, position_offsets, position_resolutions),
        grid_layout(3, 2, motion_log2_table_size, motion_hashed, motion_offsets, motion_resolutions),
    )
    pointers = (position_table, motion_table, *nets, motion_bias, colour_bias, condition, aabb, occupancy)
    field = _Field(
        *(ctypes.pointer(grid) for grid in grids), *(t.data_ptr() for t in pointers), grid_size, len(motion_net[0]),
        len(motion_net) - 1, len(condition), len(density_net[-1]) - 1, position_table.dtype == torch.bfloat16,
        reach, density_scale, density_limit,
    )
    count = len(rays_o)
    image, alpha, depth = rays_o.new_empty(count, 3), rays_o.new_empty(count), rays_o.new_empty(count)
    samples = rays_o.new_empty(count, dtype=torch.int32)
    _RENDER_RAYS(
        rays_o.device, field, count, rays_o, rays_d, min_near, step, max_samples, early_stop, image, alpha, depth,
        samples, scratch(rays_o.device, _SCRATCH),
    )
    return image, alpha, depth, samples


@_render.register_fake
def _(rays_o, *_arguments):
    count = rays_o.shape[0]
    shapes = rays_o.new_empty(count, 3), rays_o.new_empty(count), rays_o.new_empty(count)
    return *shapes, rays_o.new_empty(count, dtype=torch.int32)
