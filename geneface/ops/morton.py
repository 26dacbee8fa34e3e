"""Morton codes: the ops and their native kernels."""
import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, readable
from .native import I32, I64, PTR, Kernel, dense, loaded_or_none

_MORTON_ENCODE = Kernel("morton_encode", I64, I32, PTR, PTR)
_MORTON_DECODE = Kernel("morton_decode", I64, I32, PTR, PTR)


def morton_encode(coordinates: Tensor) -> Tensor:
    """See `reference.morton_encode`. Raises ValueError naming a wrong argument."""
    check("coordinates", coordinates, (None, None), (torch.int32,))
    dims = coordinates.shape[1]
    _check_dims("coordinates", dims)
    if readable(coordinates) and coordinates.numel():
        limit = 2 ** reference.morton.BITS[dims]
        if not 0 <= int(coordinates.min()) <= int(coordinates.max()) < limit:
            raise ValueError(f"coordinates: must be 0 to {limit - 1}")
    run = reference.morton_encode if loaded_or_none(coordinates.device) is None else _encode
    return run(coordinates)


def morton_decode(codes: Tensor, dims: int) -> Tensor:
    """See `reference.morton_decode`. Raises ValueError naming a wrong argument."""
    check("codes", codes, (None,), (torch.int64,))
    _check_dims("dims", dims)
    run = reference.morton_decode if loaded_or_none(codes.device) is None else _decode
    return run(codes, int(dims))


def morton_order(coordinates: Tensor) -> Tensor:
    """Order in which neighbours in space follow each other, as caches and ray packets like it.

    Args:
        coordinates: as for `morton_encode`, [N,D] int32 pixels or cells.

    Returns:
        [N] int64 permutation: `coordinates[morton_order(coordinates)]` is sorted along the Z-curve.
    """
    return morton_encode(coordinates).argsort(stable=True)


def _check_dims(name: str, dims: int) -> None:
    if dims not in (2, 3):
        raise ValueError(f"{name}: dimensions must be 2 or 3, got {dims}")


@custom_op("geneface::morton_encode", mutates_args=())
def _encode(coordinates: Tensor) -> Tensor:
    (coordinates,) = dense(coordinates)
    codes = torch.empty(len(coordinates), dtype=torch.int64, device=coordinates.device)
    _MORTON_ENCODE(coordinates.device, len(coordinates), coordinates.shape[1], coordinates, codes)
    return codes


@_encode.register_fake
def _(coordinates):
    return coordinates.new_empty(coordinates.shape[0], dtype=torch.int64)


@custom_op("geneface::morton_decode", mutates_args=())
def _decode(codes: Tensor, dims: int) -> Tensor:
    (codes,) = dense(codes)
    coordinates = torch.empty(len(codes), dims, dtype=torch.int32, device=codes.device)
    _MORTON_DECODE(codes.device, len(codes), dims, codes, coordinates)
    return coordinates


@_decode.register_fake
def _(codes, dims):
    return codes.new_empty(codes.shape[0], dims, dtype=torch.int32)
