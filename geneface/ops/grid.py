"""Multiresolution grid encoding: the op, its native kernels and its gradients."""
import ctypes
from typing import Sequence, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import FLOATS, check
from .grid_layout import Grid, grid_layout
from .grid_spec import GridSpec
from .native import I64, PTR, Kernel, dense, library_for, scratch

_GRID = ctypes.POINTER(Grid)
_GRID_ENCODE = Kernel("grid_encode", _GRID, I64, PTR, PTR, PTR)
_GRID_ENCODE_BF16 = Kernel("grid_encode_bf16", _GRID, I64, PTR, PTR, PTR)
_GRID_ENCODE_BACKWARD = Kernel("grid_encode_backward", _GRID, I64, PTR, PTR, PTR, PTR, PTR, PTR)


def grid_encode(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """See `reference.grid_encode`. Raises ValueError naming a wrong argument."""
    check("x", x, (None, spec.dims))
    small = isinstance(table, Tensor) and table.dtype == torch.bfloat16
    check("table", table, (spec.rows, spec.features), (*FLOATS, torch.bfloat16), like=None if small else x)
    if small and table.device != x.device:
        raise ValueError(f"table: expected on {x.device}, got {table.device}")
    if library_for(x) is None:
        return reference.grid_encode(x, table, spec)
    table = table.detach() if small else table
    return _encode(x, table, spec.offsets, spec.resolutions, spec.log2_table_size, spec.hashed)


@custom_op("geneface::grid_encode", mutates_args=())
def _encode(
    x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int, hashed: bool
) -> Tensor:
    x, table = dense(x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, offsets, resolutions)
    out = x.new_empty(len(x), len(resolutions) * table.shape[1])
    kernel = _GRID_ENCODE if table.dtype == torch.float32 else _GRID_ENCODE_BF16
    kernel(x.device, layout, len(x), x, table, out)
    return out


@_encode.register_fake
def _(x, table, offsets, resolutions, log2_table_size, hashed):
    return x.new_empty(x.shape[0], len(resolutions) * table.shape[1])


@custom_op("geneface::grid_encode_backward", mutates_args=())
def _encode_backward(
    grad: Tensor, x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int,
    hashed: bool, need_x: bool, need_table: bool,
) -> Tuple[Tensor, Tensor]:
    """Gradients of positions and table; one that is not needed comes empty."""
    grad, x, table = dense(grad, x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, offsets, resolutions)
    grad_x = torch.empty_like(x) if need_x else x.new_empty(0)
    grad_table = torch.empty_like(table) if need_table else x.new_empty(0)
    sums = scratch(x.device, table.numel() + len(resolutions)) if need_table else None
    _GRID_ENCODE_BACKWARD(
        x.device, layout, len(x), x, table, grad, grad_x if need_x else None, grad_table if need_table else None, sums
    )
    return grad_x, grad_table


@_encode_backward.register_fake
def _(grad, x, table, offsets, resolutions, log2_table_size, hashed, need_x, need_table):
    return x.new_empty(x.shape if need_x else 0), x.new_empty(table.shape if need_table else 0)


def _grid_setup(ctx, inputs, output):
    x, table, *ctx.layout = inputs
    ctx.save_for_backward(x, table)


def _grid_backward(ctx, grad):
    x, table = ctx.saved_tensors
    table = table.float()  # a bfloat16 table has no gradient of its own, but positions may have one
    need_x, need_table = ctx.needs_input_grad[:2]
    grad_x, grad_table = _encode_backward(grad, x, table, *ctx.layout, need_x, need_table)
    return grad_x if need_x else None, grad_table if need_table else None, None, None, None, None


_encode.register_autograd(_grid_backward, setup_context=_grid_setup)
