"""Occupancy grids and their bit fields: the ops and their native kernels."""
import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_changeable, check_positive
from .native import F32, I32, I64, PTR, Kernel, dense, library_for

_PACK_BITS = Kernel("pack_bits", I64, PTR, F32, PTR)
_OCCUPANCY_RECORD = Kernel("occupancy_record", I64, PTR, PTR, PTR, I32, PTR)
_OCCUPANCY_UPDATE = Kernel("occupancy_update", I32, PTR, PTR, F32, F32, I32, PTR, PTR)


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """See `reference.pack_bits`. Raises ValueError naming a wrong argument."""
    check("density", density, (None,))
    run = reference.pack_bits if library_for(density) is None else _pack_bits
    return run(density.detach(), float(threshold))


def occupancy_record(x: Tensor, weights: Tensor, aabb: Tensor, seen: Tensor) -> None:
    """See `reference.occupancy_record`. Raises ValueError naming a wrong argument."""
    check("x", x, (None, 3))
    check("weights", weights, (len(x),), like=x)
    check("aabb", aabb, (6,), like=x)
    _check_cells("seen", seen, (x.dtype,), like=x)
    check_changeable("seen", seen)
    run = reference.occupancy_record if library_for(x) is None else _record
    run(x.detach(), weights.detach(), aabb, seen)


def occupancy_update(seen: Tensor, hull: Tensor, decay: float, threshold: float, margin: int = 0) -> Tensor:
    """See `reference.occupancy_update`. Raises ValueError naming a wrong argument."""
    _check_cells("seen", seen, (torch.float32, torch.float64))
    check_changeable("seen", seen)
    check("hull", hull, tuple(seen.shape), (torch.bool,), like=seen)
    if not 0 <= decay <= 1:
        raise ValueError(f"decay: must be 0 to 1, got {decay}")
    if margin < 0:
        raise ValueError(f"margin: must not be negative, got {margin}")
    run = reference.occupancy_update if library_for(seen) is None else _update
    return run(seen, hull, float(decay), float(threshold), int(margin))


def _check_cells(name: str, cells: Tensor, dtypes: tuple[torch.dtype, ...], like: Tensor | None = None) -> None:
    check(name, cells, (None, None, None), dtypes, like=like)
    check_positive(f"{name}: cells per axis", len(cells))
    check(name, cells, (len(cells),) * 3, dtypes)


@custom_op("geneface::occupancy_record", mutates_args=("seen",))
def _record(x: Tensor, weights: Tensor, aabb: Tensor, seen: Tensor) -> None:
    x, weights, aabb = dense(x, weights, aabb)
    _OCCUPANCY_RECORD(x.device, len(x), x, weights, aabb, len(seen), seen)


@_record.register_fake
def _(x, weights, aabb, seen):
    return None


@custom_op("geneface::occupancy_update", mutates_args=("seen",))
def _update(seen: Tensor, hull: Tensor, decay: float, threshold: float, margin: int) -> Tensor:
    (hull,) = dense(hull)
    bits = torch.empty((seen.numel() + 7) // 8, dtype=torch.uint8, device=seen.device)
    scratch = torch.empty(seen.numel(), dtype=torch.uint8, device=seen.device)
    _OCCUPANCY_UPDATE(seen.device, len(seen), seen, hull, decay, threshold, margin, bits, scratch)
    return bits


@_update.register_fake
def _(seen, hull, decay, threshold, margin):
    return seen.new_empty((seen.numel() + 7) // 8, dtype=torch.uint8)


@custom_op("geneface::pack_bits", mutates_args=())
def _pack_bits(density: Tensor, threshold: float) -> Tensor:
    (density,) = dense(density)
    bits = torch.empty((len(density) + 7) // 8, dtype=torch.uint8, device=density.device)
    _PACK_BITS(density.device, len(density), density, threshold, bits)
    return bits


@_pack_bits.register_fake
def _(density, threshold):
    return density.new_empty((density.shape[0] + 7) // 8, dtype=torch.uint8)
