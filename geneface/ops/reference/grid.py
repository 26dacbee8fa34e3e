"""Definitions of the multiresolution grid encoding and of its smoothness."""
from __future__ import annotations

import torch
from torch import Tensor

from ..grid_spec import GridSpec

# Primes of the spatial hash (Teschner et al. 2003; first axis unmultiplied as in Müller et al. 2022).
HASH_PRIMES = (1, 2654435761, 805459861)


def grid_encode(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """Multiresolution grid features at positions, by bilinear or trilinear interpolation.

    Args:
        x: [N,D] positions in the unit square or cube; values outside are clamped.
        table: [P,C] feature rows, P = spec.rows, C = spec.features; of x's dtype, or bfloat16 for
            inference (half the memory to read; numbers are widened and summed in x's dtype).
        spec: layout of the table.

    Returns:
        [N,L*C] features in x's dtype, level by level. Differentiable with respect to `x` (zero gradient
        where clamped) and to `table` unless that is bfloat16.
    """
    if table.dtype == torch.bfloat16:
        table = table.detach().to(x.dtype)
    x = x.clamp(0, 1)
    corners = torch.cartesian_prod(*[torch.arange(2, device=x.device)] * spec.dims)  # [2^D,D]
    encoded = []
    for level, rows in enumerate(_levels(table, spec)):
        cell = _cell(x, level, spec)
        fraction = (x * spec.resolutions[level] - cell)[:, None]  # [N,1,D]
        weights = torch.where(corners.bool(), fraction, 1 - fraction).prod(-1)  # [N,2^D]
        index = _row(cell.long()[:, None] + corners, level, spec)
        features = torch.nn.functional.embedding(index, rows)  # [N,2^D,C]
        encoded.append((weights[..., None] * features).sum(1))
    return torch.cat(encoded, dim=1)


def grid_total_variation(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """How much a grid's features differ between neighbouring vertices, near positions: a smoothness penalty.

    At each level, the squared differences between the features at the lowest vertex of the position's
    cell and at the next vertex along each axis, summed over features, axes and levels (total variation
    of grids as in Fridovich-Keil et al. 2022, Plenoxels, there with a root).

    Args:
        x: [N,D] positions in the unit square or cube; values outside are clamped.
        table: [P,C] feature rows, P = spec.rows, C = spec.features.
        spec: layout of the table.

    Returns:
        [N]. Differentiable with respect to `table`.
    """
    x = x.detach().clamp(0, 1)
    steps = torch.eye(spec.dims, dtype=torch.int64, device=x.device)
    total = x.new_zeros(len(x))
    for level, rows in enumerate(_levels(table, spec)):
        vertex = _cell(x, level, spec).long()
        here = torch.nn.functional.embedding(_row(vertex, level, spec), rows)[:, None]  # [N,1,C]
        there = torch.nn.functional.embedding(_row(vertex[:, None] + steps, level, spec), rows)  # [N,D,C]
        total = total + (there - here).square().sum((1, 2))
    return total


def _levels(table: Tensor, spec: GridSpec) -> tuple[Tensor, ...]:
    """The table's rows, level by level."""
    return table.split([b - a for a, b in zip(spec.offsets, spec.offsets[1:])])


def _cell(x: Tensor, level: int, spec: GridSpec) -> Tensor:
    """Whole coordinates [N,D] of the lowest vertex of the cells that positions in [0,1] lie in."""
    resolution = spec.resolutions[level]
    return (x.detach() * resolution).floor().clamp(max=resolution - 1)


def _row(vertex: Tensor, level: int, spec: GridSpec) -> Tensor:
    """Table row, within its level, of integer vertices [...,D]."""
    if spec.dense(level) or not spec.hashed:
        side = spec.resolutions[level] + 1
        strides = torch.tensor([side**d for d in range(spec.dims)], device=vertex.device)
        index = (vertex * strides).sum(-1)
    else:
        index = vertex[..., 0] * HASH_PRIMES[0]
        for d in range(1, spec.dims):
            index = index ^ (vertex[..., d] * HASH_PRIMES[d] & 0xFFFFFFFF)
    return index if spec.dense(level) else index & ((1 << spec.log2_table_size) - 1)
