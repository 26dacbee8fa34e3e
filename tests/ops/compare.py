"""Sizes and tolerances of the comparisons with the reference."""
from __future__ import annotations

import torch
from torch import Tensor

SIZES = (0, 1, 31, 32, 33, 1000)  # around the widths of vectors, warps and blocks
VALUE = 1e-5  # relative tolerance of values
GRADIENT = 1e-4  # relative tolerance of gradients
HALF = 2e-2  # relative tolerance of values where numbers are bfloat16


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Largest difference at most `tolerance` times the largest expected magnitude; same shape and dtype."""
    actual, expected = actual.detach().cpu(), expected.detach().cpu()
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = float(expected.abs().max()) if expected.numel() else 1.0
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * max(scale, 1e-12))
