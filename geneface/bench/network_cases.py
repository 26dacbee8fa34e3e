"""Networks by themselves, and the whole head field in one op."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import ops
from ..nerf.head import HeadField
from ..nerf.portrait import MIN_NEAR_M
from . import work
from .case import Case, Prepared, gradient
from .scene import MAX_SAMPLES, STEP_M, Scene

WIDTHS = (64, 64, 64, 64, 64)
SAMPLES_PER_RAY = 6
WHOLE = 8  # the op takes all rays of a picture, others those that are in memory together


def _network(scene: Scene, rays: int) -> tuple[Tensor, list[Tensor]]:
    """Inputs [M,64] and weights of four layers, 64 wide."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(scene.device)

    weights = [draw(b, a) / a**0.5 for a, b in zip(WIDTHS, WIDTHS[1:])]
    return draw(SAMPLES_PER_RAY * rays, WIDTHS[0]), weights


def _mlp(half: bool) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        x, weights = _network(scene, rays)
        return Prepared(lambda: ops.mlp([x], weights, bf16=half), len(x), work.mlp(WIDTHS, half))

    return prepare


def _mlp_gradient(half: bool) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        x, weights = _network(scene, rays)
        for tensor in (x, *weights):
            tensor.requires_grad_()
        run = gradient(ops.mlp([x], weights, bf16=half), (x, *weights))
        return Prepared(run, len(x), work.mlp_gradient(WIDTHS, half))

    return prepare


def _head_field(half: bool) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        """Rays to picture. Densities are so low that every sample counts."""
        s, portrait = scene.samples(rays), scene.portrait
        field, condition, motion_bias, colour_bias = _folded(portrait.head, half)

        def run() -> object:
            return ops.render_rays(
                s.rays_o, s.rays_d, field, condition, motion_bias, colour_bias, portrait.occupancy.bits,
                portrait.occupancy.size, STEP_M, MAX_SAMPLES, MIN_NEAR_M, 0.0,
            )

        return Prepared(run, len(s.t), work.head_field(scene.spec, half))

    return prepare


@torch.no_grad()
def _folded(head: HeadField, half: bool) -> tuple[ops.MovingField, Tensor, Tensor, Tensor]:
    """A head field, ready to render, with made-up inputs of a frame."""
    condition = torch.linspace(-1, 1, head.spec.condition, device=head.aabb.device)
    motion_bias = head.motion_net.frame_layer(condition)
    field = head.fused(torch.bfloat16 if half else torch.float32)
    return field, condition, motion_bias, torch.zeros_like(motion_bias)


NETWORK_CASES = (
    Case("mlp_64", "samples", _mlp(False)),
    Case("mlp_64_bf16", "samples", _mlp(True)),
    Case("mlp_64_gradient", "samples", _mlp_gradient(False)),
    Case("mlp_64_gradient_bf16", "samples", _mlp_gradient(True)),
    Case("head_field", "samples", _head_field(False), 1 / WHOLE, WHOLE),
    Case("head_field_bf16", "samples", _head_field(True), 1 / WHOLE, WHOLE),
)
