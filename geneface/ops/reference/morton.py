"""Definition of Morton codes."""
from __future__ import annotations

import torch
from torch import Tensor

BITS = {2: 31, 3: 21}  # bits of a coordinate, by dimensions: int32 coordinates, int64 codes


def morton_encode(coordinates: Tensor) -> Tensor:
    """Morton codes (Z-order, Morton 1966): the bits of coordinates interleaved, x lowest.

    Args:
        coordinates: [N,D] int32, not negative; below 2^21 where D = 3. D is 2 or 3.

    Returns:
        [N] int64.
    """
    dims = coordinates.shape[1]
    codes = torch.zeros(len(coordinates), dtype=torch.int64, device=coordinates.device)
    for axis, values in enumerate(coordinates.long().unbind(1)):
        for bit in range(BITS[dims]):
            codes |= (values >> bit & 1) << (dims * bit + axis)
    return codes


def morton_decode(codes: Tensor, dims: int) -> Tensor:
    """Coordinates [N,D] int32 of Morton codes [N] int64, D = `dims`, 2 or 3."""
    coordinates = torch.zeros(len(codes), dims, dtype=torch.int64, device=codes.device)
    for axis in range(dims):
        for bit in range(BITS[dims]):
            coordinates[:, axis] |= (codes >> (dims * bit + axis) & 1) << bit
    return coordinates.int()
