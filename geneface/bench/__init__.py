"""How fast the kernels are here, beside what this machine can do at best and beside plain PyTorch."""
from __future__ import annotations

from .run import bench

__all__ = ["bench"]
