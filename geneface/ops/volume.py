"""Compositing along rays: the op, its native kernels and its gradient."""
from typing import Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_offsets
from .native import F32, I32, I64, PTR, Kernel, dense, library_for

_COMPOSITE = Kernel("composite", I64, I32, PTR, PTR, PTR, PTR, PTR, F32, PTR, PTR, PTR)
_COMPOSITE_BACKWARD = Kernel(
    "composite_backward", I64, I32, PTR, PTR, PTR, PTR, PTR, F32, PTR, PTR, PTR, PTR, PTR
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
    run = reference.composite if library_for(sigma) is None else _composite
    return run(sigma, rgb, t, dt, offsets, float(early_stop))


@custom_op("geneface::composite", mutates_args=())
def _composite(
    sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, early_stop: float
) -> Tuple[Tensor, Tensor, Tensor]:
    sigma, rgb, t, dt, offsets = dense(sigma, rgb, t, dt, offsets)
    rays, channels = len(offsets) - 1, rgb.shape[1]
    image, alpha, depth = rgb.new_empty(rays, channels), rgb.new_empty(rays), rgb.new_empty(rays)
    _COMPOSITE(sigma.device, rays, channels, sigma, rgb, t, dt, offsets, early_stop, image, alpha, depth)
    return image, alpha, depth


@_composite.register_fake
def _(sigma, rgb, t, dt, offsets, early_stop):
    rays = offsets.shape[0] - 1
    return rgb.new_empty(rays, rgb.shape[1]), rgb.new_empty(rays), rgb.new_empty(rays)


@custom_op("geneface::composite_backward", mutates_args=())
def _composite_backward(
    grad_image: Tensor, grad_alpha: Tensor, grad_depth: Tensor, sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor,
    offsets: Tensor, early_stop: float,
) -> Tuple[Tensor, Tensor]:
    grad_image, grad_alpha, grad_depth = dense(grad_image, grad_alpha, grad_depth)
    sigma, rgb, t, dt, offsets = dense(sigma, rgb, t, dt, offsets)
    grad_sigma, grad_rgb = torch.zeros_like(sigma), torch.zeros_like(rgb)
    _COMPOSITE_BACKWARD(
        sigma.device, len(offsets) - 1, rgb.shape[1], sigma, rgb, t, dt, offsets, early_stop, grad_image, grad_alpha,
        grad_depth, grad_sigma, grad_rgb,
    )
    return grad_sigma, grad_rgb


@_composite_backward.register_fake
def _(grad_image, grad_alpha, grad_depth, sigma, rgb, t, dt, offsets, early_stop):
    return sigma.new_empty(sigma.shape), rgb.new_empty(rgb.shape)


def _composite_setup(ctx, inputs, output):
    *tensors, ctx.early_stop = inputs
    ctx.save_for_backward(*tensors)


def _composite_gradient(ctx, grad_image, grad_alpha, grad_depth):
    grad_sigma, grad_rgb = _composite_backward(grad_image, grad_alpha, grad_depth, *ctx.saved_tensors, ctx.early_stop)
    return grad_sigma, grad_rgb, None, None, None, None


_composite.register_autograd(_composite_gradient, setup_context=_composite_setup)
