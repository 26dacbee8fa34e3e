"""Per-sample maths of the renderer: one function per op, the same on every back end.

`geneface.ops.reference` defines each op in plain PyTorch and documents it. The functions check
their arguments and run the native kernels (`cuda_ext`, CPU or CUDA) for float32 tensors where they
are built, the reference otherwise.
"""
from __future__ import annotations

from . import native, reference
from .adam import adam_step
from .field import render_rays
from .grid import grid_encode
from .grid_spec import GridSpec
from .grid_variation import grid_total_variation
from .harmonics import spherical_harmonics
from .mlp import mlp
from .morton import morton_decode, morton_encode, morton_order
from .moving_field import MovingField
from .native import reuse_memory
from .occupancy import occupancy_record, occupancy_update, pack_bits
from .raster import rasterize
from .rays import march_alive, march_rays, near_far_from_aabb, sample_points
from .volume import composite, composite_alive, composite_weights

__all__ = [
    "GridSpec", "MovingField", "adam_step", "backend", "composite", "composite_alive", "composite_weights",
    "grid_encode", "grid_total_variation", "march_alive", "march_rays", "mlp", "morton_decode", "morton_encode",
    "morton_order", "near_far_from_aabb", "occupancy_record", "occupancy_update", "pack_bits", "rasterize",
    "reference", "render_rays", "reuse_memory", "sample_points", "set_threads", "spherical_harmonics",
]


def backend(device: str = "cpu") -> str:
    """Back end that float32 tensors of a device ("cpu" or "cuda") take: "native" or "reference"."""
    built = {"cpu": native.cpu, "cuda": native.cuda}.get(device)
    if built is None:
        raise ValueError(f"device: must be 'cpu' or 'cuda', got {device!r}")
    return "native" if built() is not None else "reference"


def set_threads(count: int | None) -> None:
    """Number of threads of the native CPU kernels; None, the default, follows `torch.set_num_threads`."""
    native.set_threads(count)
