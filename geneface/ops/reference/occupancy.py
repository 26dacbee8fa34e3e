"""Definition of the occupancy bit field."""
from __future__ import annotations

import torch
from torch import Tensor


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """Bit field of the cells denser than a threshold.

    Args:
        density: [K] cell densities.
        threshold: a cell is occupied where density > threshold.

    Returns:
        [ceil(K / 8)] uint8; cell k is bit k & 7 of byte k >> 3. Not differentiable.
    """
    bits = torch.nn.functional.pad(density.detach() > threshold, (0, -len(density) % 8)).view(-1, 8)
    return (bits.to(torch.int32) << torch.arange(8, dtype=torch.int32, device=density.device)).sum(1).to(torch.uint8)
