"""Compositing along rays: the op, its native kernels and its gradient."""
from typing import Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_changeable, check_indices, check_offsets, check_positive
from .native import F32, I32, I64, PTR, Kernel, dense, library_for

_COMPOSITE = Kernel("composite", I64, I32, PTR, PTR, PTR, PTR, PTR, F32, PTR, PTR, PTR)
_COMPOSITE_BACKWARD = Kernel(
    "composite_backward", I64, I32, PTR, PTR, PTR, PTR, PTR, F32, PTR, PTR, PTR, PTR, PTR
)

_COMPOSITE_WEIGHTS = Kernel("composite_weights", I64, PTR, PTR, PTR, F32, PTR)
_COMPOSITE_ALIVE = Kernel("composite_alive", I64, I32, PTR, PTR, PTR, PTR, PTR, PTR, F32, PTR, PTR, PTR, PTR)


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


def composite_weights(sigma: Tensor, dt: Tensor, offsets: Tensor, early_stop: float = 1e-4) -> Tensor:
    """See `reference.composite_weights`. Raises ValueError naming a wrong argument."""
    check("sigma", sigma, (None,))
    check("dt", dt, (len(sigma),), like=sigma)
    check("offsets", offsets, (None,), (torch.int64,), like=sigma)
    check_offsets(offsets, len(sigma))
    run = reference.composite_weights if library_for(sigma) is None else _weights
    return run(sigma.detach(), dt.detach(), offsets, float(early_stop))


def composite_alive(
    alive: Tensor, sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, transmittance: Tensor,
    image: Tensor, alpha: Tensor, depth: Tensor, max_samples: int, early_stop: float = 1e-4,
) -> Tensor:
    """See `reference.composite_alive`. Raises ValueError naming a wrong argument."""
    check("sigma", sigma, (None,))
    count = len(sigma)
    check("rgb", rgb, (count, None), like=sigma)
    check("t", t, (count,), like=sigma)
    check("dt", dt, (count,), like=sigma)
    check("transmittance", transmittance, (None,), like=sigma)
    rays = len(transmittance)
    check("image", image, (rays, rgb.shape[1]), like=sigma)
    check("alpha", alpha, (rays,), like=sigma)
    check("depth", depth, (rays,), like=sigma)
    for name, value in (("transmittance", transmittance), ("image", image), ("alpha", alpha), ("depth", depth)):
        check_changeable(name, value)
    check("alive", alive, (None,), (torch.int64,), like=sigma)
    check_indices("alive", alive, rays)
    check("offsets", offsets, (len(alive) + 1,), (torch.int64,), like=sigma)
    check_offsets(offsets, count)
    check_positive("max_samples", max_samples)
    if library_for(sigma) is None:
        return reference.composite_alive(
            alive, sigma, rgb, t, dt, offsets, transmittance, image, alpha, depth, max_samples, early_stop
        )
    _further(
        alive, sigma.detach(), rgb.detach(), t, dt, offsets, transmittance, image, alpha, depth, float(early_stop)
    )
    return alive[(transmittance[alive] >= early_stop) & (offsets.diff() == max_samples)]


@custom_op("geneface::composite_weights", mutates_args=())
def _weights(sigma: Tensor, dt: Tensor, offsets: Tensor, early_stop: float) -> Tensor:
    sigma, dt, offsets = dense(sigma, dt, offsets)
    weights = torch.zeros_like(sigma)
    _COMPOSITE_WEIGHTS(sigma.device, len(offsets) - 1, sigma, dt, offsets, early_stop, weights)
    return weights


@_weights.register_fake
def _(sigma, dt, offsets, early_stop):
    return sigma.new_empty(sigma.shape)


@custom_op("geneface::composite_alive", mutates_args=("transmittance", "image", "alpha", "depth"))
def _further(
    alive: Tensor, sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, transmittance: Tensor,
    image: Tensor, alpha: Tensor, depth: Tensor, early_stop: float,
) -> None:
    alive, sigma, rgb, t, dt, offsets = dense(alive, sigma, rgb, t, dt, offsets)
    _COMPOSITE_ALIVE(
        sigma.device, len(alive), rgb.shape[1], alive, sigma, rgb, t, dt, offsets, early_stop, transmittance, image,
        alpha, depth,
    )


@_further.register_fake
def _(alive, sigma, rgb, t, dt, offsets, transmittance, image, alpha, depth, early_stop):
    return None


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
