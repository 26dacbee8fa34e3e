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


def readable(value: Tensor) -> bool:
    """True where checking `value`'s contents costs no wait for a device and no graph break."""
    return value.device.type == "cpu" and not torch.compiler.is_compiling()


def check_offsets(offsets: Tensor, samples: int, all_samples: bool = False) -> None:
    """Raises ValueError unless `offsets` never falls and stays within 0 to `samples` (CPU tensors only).

    Args:
        all_samples: every sample must belong to a ray: the offsets go from 0 to `samples`.
    """
    if len(offsets) < 1:
        raise ValueError("offsets: expected at least one value, got none")
    if not readable(offsets):
        return
    first, last = int(offsets[0]), int(offsets[-1])
    if first < 0 or last > samples or bool((offsets.diff() < 0).any()):
        raise ValueError(f"offsets: must rise from 0 or more to at most the {samples} samples")
    if all_samples and (first, last) != (0, samples):
        raise ValueError(f"offsets: must go from 0 to the {samples} samples, got {first} to {last}")


def check_indices(name: str, value: Tensor, count: int) -> None:
    """Raises ValueError, naming the argument, unless all of `value` is in 0 to count - 1 (CPU tensors only)."""
    if readable(value) and value.numel() and not 0 <= int(value.min()) <= int(value.max()) < count:
        raise ValueError(f"{name}: indices must be 0 to {count - 1}, got {int(value.min())} to {int(value.max())}")


def check_changeable(name: str, value: Tensor) -> None:
    """Raises ValueError, naming the argument, unless an op can change `value` in place: dense, no gradient."""
    if not value.is_contiguous():
        raise ValueError(f"{name}: is changed in place and must be contiguous")
    if value.requires_grad:
        raise ValueError(f"{name}: is changed in place and must not require a gradient")
