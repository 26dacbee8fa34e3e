"""Argument checks of the ops: every failure is a ValueError that names the argument."""
from __future__ import annotations

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float64)


def check(name: str, value: Tensor, shape: tuple[int | None, ...], dtypes=FLOATS, like: Tensor | None = None) -> None:
    """Check type, shape (None matches any length), dtype, and, against `like`, device and dtype.

    Args:
        like: tensor whose device this one must share, and whose dtype too if both are floating point.

    Raises:
        ValueError: naming the argument, what was expected and what was given.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor, got {type(value).__name__}")
    fits = value.dim() == len(shape) and all(s is None or s == n for s, n in zip(shape, value.shape))
    if not fits:
        wanted = "[" + ",".join("*" if s is None else str(s) for s in shape) + "]"
        raise ValueError(f"{name}: expected shape {wanted}, got {list(value.shape)}")
    if value.dtype not in dtypes:
        raise ValueError(f"{name}: expected {' or '.join(str(d) for d in dtypes)}, got {value.dtype}")
    if like is not None:
        if value.device != like.device:
            raise ValueError(f"{name}: expected on {like.device}, got {value.device}")
        if value.is_floating_point() and like.is_floating_point() and value.dtype != like.dtype:
            raise ValueError(f"{name}: expected {like.dtype}, got {value.dtype}")


def check_positive(name: str, value: float) -> None:
    """Raises ValueError, naming the argument, unless `value` > 0."""
    if not value > 0:
        raise ValueError(f"{name}: must be positive, got {value}")
