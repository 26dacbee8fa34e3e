"""Smoothness of a multiresolution grid: the op, its native kernels and its gradient."""
import ctypes
from typing import Sequence

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check
from .grid_layout import Grid, grid_layout
from .grid_spec import GridSpec
from .native import I64, PTR, Kernel, dense, library_for, scratch

_GRID = ctypes.POINTER(Grid)
_VARIATION = Kernel("grid_total_variation", _GRID, I64, PTR, PTR, PTR)
_VARIATION_BACKWARD = Kernel("grid_total_variation_backward", _GRID, I64, PTR, PTR, PTR, PTR, PTR)


def grid_total_variation(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """See `reference.grid_total_variation`. Raises ValueError naming a wrong argument."""
    check("x", x, (None, spec.dims))
    check("table", table, (spec.rows, spec.features), like=x)
    if library_for(x) is None:
        return reference.grid_total_variation(x, table, spec)
    return _variation(x.detach(), table, spec.offsets, spec.resolutions, spec.log2_table_size, spec.hashed)


@custom_op("geneface::grid_total_variation", mutates_args=())
def _variation(
    x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int, hashed: bool
) -> Tensor:
    x, table = dense(x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, offsets, resolutions)
    out = x.new_empty(len(x))
    _VARIATION(x.device, layout, len(x), x, table, out)
    return out


@_variation.register_fake
def _(x, table, offsets, resolutions, log2_table_size, hashed):
    return x.new_empty(x.shape[0])


@custom_op("geneface::grid_total_variation_backward", mutates_args=())
def _variation_backward(
    grad: Tensor, x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int,
    hashed: bool,
) -> Tensor:
    """Gradient of the table."""
    grad, x, table = dense(grad, x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, offsets, resolutions)
    grad_table = torch.empty_like(table)
    sums = scratch(x.device, table.numel() + len(resolutions))
    _VARIATION_BACKWARD(x.device, layout, len(x), x, table, grad, grad_table, sums)
    return grad_table


@_variation_backward.register_fake
def _(grad, x, table, offsets, resolutions, log2_table_size, hashed):
    return torch.empty_like(table)


def _setup(ctx, inputs, output):
    x, table, *ctx.layout = inputs
    ctx.save_for_backward(x, table)


def _backward(ctx, grad):
    needed = ctx.needs_input_grad[1]
    return None, _variation_backward(grad, *ctx.saved_tensors, *ctx.layout) if needed else None, None, None, None, None


_variation.register_autograd(_backward, setup_context=_setup)
