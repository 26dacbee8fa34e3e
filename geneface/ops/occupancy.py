"""Bit fields of occupied cells: the op and its native kernel."""
import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check
from .native import F32, I64, PTR, Kernel, dense, library_for

_PACK_BITS = Kernel("pack_bits", I64, PTR, F32, PTR)


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """See `reference.pack_bits`. Raises ValueError naming a wrong argument."""
    check("density", density, (None,))
    run = reference.pack_bits if library_for(density) is None else _pack_bits
    return run(density.detach(), float(threshold))


@custom_op("geneface::pack_bits", mutates_args=())
def _pack_bits(density: Tensor, threshold: float) -> Tensor:
    (density,) = dense(density)
    bits = torch.empty((len(density) + 7) // 8, dtype=torch.uint8, device=density.device)
    _PACK_BITS(density.device, len(density), density, threshold, bits)
    return bits


@_pack_bits.register_fake
def _(density, threshold):
    return density.new_empty((density.shape[0] + 7) // 8, dtype=torch.uint8)
