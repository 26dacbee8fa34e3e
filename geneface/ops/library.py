"""The native kernels as `torch.library` custom ops, with shape (fake) functions and gradients.

So `torch.compile`, `opcheck` and CUDA graphs see them as they see PyTorch's own. All take dense float32
tensors of one device, which `geneface.ops` provides; meaning and shapes are those of
`geneface.ops.reference`.
"""
from typing import Sequence, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from .native import as_tuple, grid_layout, loaded


def _dense(*tensors: Tensor) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


# -- grid_encode --------------------------------------------------------------------------------------


@custom_op("geneface::grid_encode", mutates_args=())
def grid_encode(
    x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int, hashed: bool
) -> Tensor:
    x, table = _dense(x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, as_tuple(offsets), as_tuple(resolutions))
    out = x.new_empty(len(x), len(resolutions) * table.shape[1])
    loaded(x.device).call("grid_encode", x.device, layout, len(x), x, table, out)
    return out


@grid_encode.register_fake
def _(x, table, offsets, resolutions, log2_table_size, hashed):
    return x.new_empty(x.shape[0], len(resolutions) * table.shape[1])


@custom_op("geneface::grid_encode_backward", mutates_args=())
def grid_encode_backward(
    grad: Tensor, x: Tensor, table: Tensor, offsets: Sequence[int], resolutions: Sequence[int], log2_table_size: int,
    hashed: bool, need_x: bool, need_table: bool,
) -> Tuple[Tensor, Tensor]:
    """Gradients of positions and table; one that is not needed comes empty."""
    grad, x, table = _dense(grad, x, table)
    layout = grid_layout(x.shape[1], table.shape[1], log2_table_size, hashed, as_tuple(offsets), as_tuple(resolutions))
    grad_x = torch.empty_like(x) if need_x else x.new_empty(0)
    grad_table = torch.empty_like(table) if need_table else x.new_empty(0)
    scratch = None
    if need_table and x.device.type == "cuda":
        scratch = torch.empty(table.numel() + len(resolutions), dtype=torch.int64, device=x.device)
    loaded(x.device).call(
        "grid_encode_backward", x.device, layout, len(x), x, table, grad,
        grad_x if need_x else None, grad_table if need_table else None, scratch,
    )
    return grad_x, grad_table


@grid_encode_backward.register_fake
def _(grad, x, table, offsets, resolutions, log2_table_size, hashed, need_x, need_table):
    return x.new_empty(x.shape if need_x else 0), x.new_empty(table.shape if need_table else 0)


def _grid_setup(ctx, inputs, output):
    x, table, *ctx.layout = inputs
    ctx.save_for_backward(x, table)


def _grid_backward(ctx, grad):
    x, table = ctx.saved_tensors
    need_x, need_table = ctx.needs_input_grad[:2]
    grad_x, grad_table = grid_encode_backward(grad, x, table, *ctx.layout, need_x, need_table)
    return grad_x if need_x else None, grad_table if need_table else None, None, None, None, None


grid_encode.register_autograd(_grid_backward, setup_context=_grid_setup)


# -- spherical_harmonics ------------------------------------------------------------------------------


@custom_op("geneface::spherical_harmonics", mutates_args=())
def spherical_harmonics(dirs: Tensor, degree: int) -> Tensor:
    (dirs,) = _dense(dirs)
    out = dirs.new_empty(len(dirs), degree * degree)
    loaded(dirs.device).call("spherical_harmonics", dirs.device, len(dirs), degree, dirs, out)
    return out


@spherical_harmonics.register_fake
def _(dirs, degree):
    return dirs.new_empty(dirs.shape[0], degree * degree)


@custom_op("geneface::spherical_harmonics_backward", mutates_args=())
def spherical_harmonics_backward(grad: Tensor, dirs: Tensor, degree: int) -> Tensor:
    grad, dirs = _dense(grad, dirs)
    out = torch.empty_like(dirs)
    loaded(dirs.device).call("spherical_harmonics_backward", dirs.device, len(dirs), degree, dirs, grad, out)
    return out


@spherical_harmonics_backward.register_fake
def _(grad, dirs, degree):
    return dirs.new_empty(dirs.shape)


def _sh_setup(ctx, inputs, output):
    dirs, ctx.degree = inputs
    ctx.save_for_backward(dirs)


def _sh_backward(ctx, grad):
    return spherical_harmonics_backward(grad, ctx.saved_tensors[0], ctx.degree), None


spherical_harmonics.register_autograd(_sh_backward, setup_context=_sh_setup)


# -- rays ---------------------------------------------------------------------------------------------


@custom_op("geneface::near_far_from_aabb", mutates_args=())
def near_far_from_aabb(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> Tuple[Tensor, Tensor]:
    rays_o, rays_d, aabb = _dense(rays_o, rays_d, aabb)
    nears, fars = rays_o.new_empty(len(rays_o)), rays_o.new_empty(len(rays_o))
    loaded(rays_o.device).call(
        "near_far_from_aabb", rays_o.device, len(rays_o), rays_o, rays_d, aabb, min_near, nears, fars
    )
    return nears, fars


@near_far_from_aabb.register_fake
def _(rays_o, rays_d, aabb, min_near):
    return rays_o.new_empty(rays_o.shape[0]), rays_o.new_empty(rays_o.shape[0])


@custom_op("geneface::march_rays", mutates_args=())
def march_rays(
    rays_o: Tensor, rays_d: Tensor, nears: Tensor, fars: Tensor, occupancy: Tensor, aabb: Tensor, grid_size: int,
    step: float, max_samples: int, jitter: Tensor,
) -> Tuple[Tensor, Tensor, Tensor]:
    rays_o, rays_d, nears, fars, jitter = _dense(rays_o, rays_d, nears, fars, jitter)
    occupancy, aabb = _dense(occupancy, aabb)
    rays, device = len(rays_o), rays_o.device
    walk = (rays, rays_o, rays_d, nears, fars, jitter, occupancy, aabb, grid_size, step, max_samples)
    offsets = torch.zeros(rays + 1, dtype=torch.int64, device=device)
    loaded(device).call("march_count", device, *walk, offsets[1:])
    offsets = offsets.cumsum(0)
    t = rays_o.new_empty(int(offsets[-1]))
    loaded(device).call("march_fill", device, *walk, offsets, t)
    return t, torch.full_like(t, step), offsets


@march_rays.register_fake
def _(rays_o, rays_d, nears, fars, occupancy, aabb, grid_size, step, max_samples, jitter):
    samples = torch.library.get_ctx().new_dynamic_size()
    offsets = rays_o.new_empty(rays_o.shape[0] + 1, dtype=torch.int64)
    return rays_o.new_empty(samples), rays_o.new_empty(samples), offsets


# -- composite ----------------------------------------------------------------------------------------


@custom_op("geneface::composite", mutates_args=())
def composite(
    sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, early_stop: float
) -> Tuple[Tensor, Tensor, Tensor]:
    sigma, rgb, t, dt, offsets = _dense(sigma, rgb, t, dt, offsets)
    rays, channels = len(offsets) - 1, rgb.shape[1]
    image, alpha, depth = rgb.new_empty(rays, channels), rgb.new_empty(rays), rgb.new_empty(rays)
    loaded(sigma.device).call(
        "composite", sigma.device, rays, channels, sigma, rgb, t, dt, offsets, early_stop, image, alpha, depth
    )
    return image, alpha, depth


@composite.register_fake
def _(sigma, rgb, t, dt, offsets, early_stop):
    rays = offsets.shape[0] - 1
    return rgb.new_empty(rays, rgb.shape[1]), rgb.new_empty(rays), rgb.new_empty(rays)


@custom_op("geneface::composite_backward", mutates_args=())
def composite_backward(
    grad_image: Tensor, grad_alpha: Tensor, grad_depth: Tensor, sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor,
    offsets: Tensor, early_stop: float,
) -> Tuple[Tensor, Tensor]:
    grad_image, grad_alpha, grad_depth = _dense(grad_image, grad_alpha, grad_depth)
    sigma, rgb, t, dt, offsets = _dense(sigma, rgb, t, dt, offsets)
    grad_sigma, grad_rgb = torch.zeros_like(sigma), torch.zeros_like(rgb)
    loaded(sigma.device).call(
        "composite_backward", sigma.device, len(offsets) - 1, rgb.shape[1], sigma, rgb, t, dt, offsets, early_stop,
        grad_image, grad_alpha, grad_depth, grad_sigma, grad_rgb,
    )
    return grad_sigma, grad_rgb


@composite_backward.register_fake
def _(grad_image, grad_alpha, grad_depth, sigma, rgb, t, dt, offsets, early_stop):
    return sigma.new_empty(sigma.shape), rgb.new_empty(rgb.shape)


def _composite_setup(ctx, inputs, output):
    *tensors, ctx.early_stop = inputs
    ctx.save_for_backward(*tensors)


def _composite_backward(ctx, grad_image, grad_alpha, grad_depth):
    grad_sigma, grad_rgb = composite_backward(grad_image, grad_alpha, grad_depth, *ctx.saved_tensors, ctx.early_stop)
    return grad_sigma, grad_rgb, None, None, None, None


composite.register_autograd(_composite_backward, setup_context=_composite_setup)


# -- pack_bits, rasterize -----------------------------------------------------------------------------


@custom_op("geneface::pack_bits", mutates_args=())
def pack_bits(density: Tensor, threshold: float) -> Tensor:
    (density,) = _dense(density)
    bits = torch.empty((len(density) + 7) // 8, dtype=torch.uint8, device=density.device)
    loaded(density.device).call("pack_bits", density.device, len(density), density, threshold, bits)
    return bits


@pack_bits.register_fake
def _(density, threshold):
    return density.new_empty((density.shape[0] + 7) // 8, dtype=torch.uint8)


@custom_op("geneface::rasterize", mutates_args=())
def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> Tuple[Tensor, Tensor, Tensor]:
    vertices, triangles = _dense(vertices, triangles)
    device = vertices.device
    face = torch.empty(height, width, dtype=torch.int32, device=device)
    barycentric, depth = vertices.new_empty(height, width, 3), vertices.new_empty(height, width)
    scratch = torch.empty(height * width, dtype=torch.int64, device=device) if device.type == "cuda" else None
    loaded(device).call(
        "rasterize", device, vertices, len(vertices), triangles, len(triangles), height, width, face, barycentric,
        depth, scratch,
    )
    return face, barycentric, depth


@rasterize.register_fake
def _(vertices, triangles, height, width):
    face = vertices.new_empty(height, width, dtype=torch.int32)
    return face, vertices.new_empty(height, width, 3), vertices.new_empty(height, width)
