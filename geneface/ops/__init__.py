"""Per-sample maths of the renderer: one function per op, the same on every back end.

`geneface.ops.reference` defines each op in plain PyTorch and documents it. The functions here check
their arguments and run the native kernels (`cuda_ext`, CPU or CUDA) for float32 tensors where they
are built, the reference otherwise.
"""
from __future__ import annotations

import torch
from torch import Tensor

from . import library, native, reference
from .checks import check, check_indices, check_offsets, check_positive
from .grid_spec import GridSpec
from .native import reuse_memory

__all__ = [
    "GridSpec", "backend", "composite", "grid_encode", "march_rays", "near_far_from_aabb", "pack_bits",
    "rasterize", "reference", "reuse_memory", "set_threads", "spherical_harmonics",
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


def grid_encode(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """See `reference.grid_encode`. Raises ValueError naming a wrong argument."""
    check("x", x, (None, spec.dims))
    check("table", table, (spec.rows, spec.features), like=x)
    if native.library_for(x) is None:
        return reference.grid_encode(x, table, spec)
    return library.grid_encode(x, table, spec.offsets, spec.resolutions, spec.log2_table_size, spec.hashed)


def spherical_harmonics(dirs: Tensor, degree: int = 4) -> Tensor:
    """See `reference.spherical_harmonics`. Raises ValueError naming a wrong argument."""
    check("dirs", dirs, (None, 3))
    if degree not in (1, 2, 3, 4):
        raise ValueError(f"degree: must be 1 to 4, got {degree}")
    if native.library_for(dirs) is None:
        return reference.spherical_harmonics(dirs, degree)
    return library.spherical_harmonics(dirs, degree)


def near_far_from_aabb(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> tuple[Tensor, Tensor]:
    """See `reference.near_far_from_aabb`. Raises ValueError naming a wrong argument."""
    check("rays_o", rays_o, (None, 3))
    check("rays_d", rays_d, (len(rays_o), 3), like=rays_o)
    check("aabb", aabb, (6,), like=rays_o)
    back_end = reference if native.library_for(rays_o) is None else library
    return back_end.near_far_from_aabb(rays_o.detach(), rays_d.detach(), aabb, float(min_near))


def march_rays(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor,
    grid_size: int, step: float, max_samples: int, jitter: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.march_rays`. Raises ValueError naming a wrong argument."""
    check("rays_o", rays_o, (None, 3))
    count = len(rays_o)
    check("rays_d", rays_d, (count, 3), like=rays_o)
    check("nears", nears, (count,), like=rays_o)
    check("fars", fars, (count,), like=rays_o)
    check_positive("grid_size", grid_size)
    check("occupancy", occupancy, ((grid_size**3 + 7) // 8,), (torch.uint8,), like=rays_o)
    check("aabb", aabb, (6,), like=rays_o)
    check_positive("step", step)
    check_positive("max_samples", max_samples)
    if jitter is None:
        jitter = torch.full_like(nears, 0.5)
    check("jitter", jitter, (count,), like=rays_o)
    back_end = reference if native.library_for(rays_o) is None else library
    rays_o, rays_d, nears, fars, jitter = (v.detach() for v in (rays_o, rays_d, nears, fars, jitter))
    return back_end.march_rays(
        rays_o, rays_d, nears, fars, occupancy, aabb, int(grid_size), float(step), int(max_samples), jitter
    )


def composite(
    sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, early_stop: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.composite`. Raises ValueError naming a wrong argument."""
    check("sigma", sigma, (None,))
    count = len(sigma)
    check("rgb", rgb, (count, None), like=sigma)
    check("t", t, (count,), like=sigma)
    check("dt", dt, (count,), like=sigma)
    check("offsets", offsets, (None,), (torch.int64,), like=sigma)
    check_offsets(offsets, count)
    back_end = reference if native.library_for(sigma) is None else library
    return back_end.composite(sigma, rgb, t, dt, offsets, float(early_stop))


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """See `reference.pack_bits`. Raises ValueError naming a wrong argument."""
    check("density", density, (None,))
    back_end = reference if native.library_for(density) is None else library
    return back_end.pack_bits(density.detach(), float(threshold))


def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.rasterize`. Raises ValueError naming a wrong argument."""
    check("vertices", vertices, (None, 3))
    check("triangles", triangles, (None, 3), (torch.int32,), like=vertices)
    check_indices("triangles", triangles, len(vertices))
    check_positive("height", height)
    check_positive("width", width)
    back_end = reference if native.library_for(vertices) is None else library
    return back_end.rasterize(vertices.detach(), triangles, int(height), int(width))
