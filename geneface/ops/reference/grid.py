"""Definition of the multiresolution grid encoding."""
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
        table: [P,C] feature rows, P = spec.rows, C = spec.features.
        spec: layout of the table.

    Returns:
        [N,L*C] features, level by level. Differentiable with respect to `x` (zero gradient where
        clamped) and `table`.
    """
    x = x.clamp(0, 1)
    corners = torch.cartesian_prod(*[torch.arange(2, device=x.device)] * spec.dims)  # [2^D,D]
    sizes = [b - a for a, b in zip(spec.offsets, spec.offsets[1:])]
    encoded = []
    for level, rows in enumerate(table.split(sizes)):
        resolution = spec.resolutions[level]
        position = x * resolution
        cell = position.detach().floor().clamp(max=resolution - 1)
        fraction = (position - cell)[:, None]  # [N,1,D]
        weights = torch.where(corners.bool(), fraction, 1 - fraction).prod(-1)  # [N,2^D]
        index = _row(cell.long()[:, None] + corners, level, spec)
        features = torch.nn.functional.embedding(index, rows)  # [N,2^D,C]
        encoded.append((weights[..., None] * features).sum(1))
    return torch.cat(encoded, dim=1)


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
