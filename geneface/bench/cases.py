"""What is timed: each op on what it meets in a picture or a training step of the formula head."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import ops
from ..nerf.head import DENSITY_SCALE, HeadField
from ..nerf.layers import TruncatedExp
from ..nerf.portrait import MIN_NEAR_M
from . import work
from .scene import MAX_SAMPLES, RENDERED_SKIN, STEP_M, Scene
from .work import Work

Run = Callable[[], object]


@dataclass(frozen=True)
class Prepared:
    """An op with its inputs at hand.

    Attributes:
        run: computes it once, on whichever back end is in use.
        items: samples, rays, pixels or parameters in that.
        work: what an item costs at least.
    """

    run: Run
    items: int
    work: Work


@dataclass(frozen=True)
class Case:
    """An op to be timed.

    Attributes:
        name: of the op, and of what it is timed on.
        items: what the rate counts.
        prepare: (scene, rays) -> inputs at hand, for so many rays of the picture.
        reference_rays: share of the rays that the slow reference is timed on.
    """

    name: str
    items: str
    prepare: Callable[[Scene, int], Prepared]
    reference_rays: float = 1.0


def _grid_encode(dims: int) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        x, table, spec = _grid(scene, rays, dims)
        return Prepared(lambda: ops.grid_encode(x, table, spec), len(x), work.grid_encode(spec))

    return prepare


def _grid(scene: Scene, rays: int, dims: int) -> tuple[Tensor, Tensor, ops.GridSpec]:
    """Positions [M,D], table and layout. The 2D grid is the torso's, of 16 levels, read at the samples' x and y."""
    x = scene.samples(rays).x[:, :dims].contiguous()
    spec = scene.spec.position_grid if dims == 3 else scene.portrait.torso.grid_spec
    return x, torch.rand(spec.rows, spec.features, device=x.device) - 0.5, spec


def _gradient(output: Tensor, inputs: tuple[Tensor, ...]) -> Run:
    """The backward pass alone, again and again."""
    seed = torch.rand_like(output)
    return lambda: torch.autograd.grad(output, inputs, seed, retain_graph=True)


def _grid_table_gradient(scene: Scene, rays: int) -> Prepared:
    x, table, spec = _grid(scene, rays, 3)
    table.requires_grad_()
    run = _gradient(ops.grid_encode(x, table, spec), (table,))
    return Prepared(run, len(x), work.grid_encode_table_gradient(spec))


def _grid_position_gradient(scene: Scene, rays: int) -> Prepared:
    x, table, spec = _grid(scene, rays, 2)
    x.requires_grad_()
    run = _gradient(ops.grid_encode(x, table, spec), (x,))
    return Prepared(run, len(x), work.grid_encode_position_gradient(spec))


def _spherical_harmonics(scene: Scene, rays: int) -> Prepared:
    rays_d = scene.samples(rays).rays_d
    return Prepared(lambda: ops.spherical_harmonics(rays_d), len(rays_d), work.spherical_harmonics())


def _near_far(scene: Scene, rays: int) -> Prepared:
    s, aabb = scene.samples(rays), scene.portrait.head.aabb
    run = lambda: ops.near_far_from_aabb(s.rays_o, s.rays_d, aabb, MIN_NEAR_M)  # noqa: E731
    return Prepared(run, len(s.rays_o), work.near_far())


def _march(scene: Scene, rays: int) -> Prepared:
    s, occupancy, aabb = scene.samples(rays), scene.portrait.occupancy, scene.portrait.head.aabb

    def run() -> object:
        return ops.march_rays(
            s.rays_o, s.rays_d, s.nears, s.fars, occupancy.bits, aabb, occupancy.size, STEP_M, MAX_SAMPLES
        )

    return Prepared(run, len(s.t), work.march(float(s.steps.sum()) / max(len(s.t), 1)))


def _composited(scene: Scene, rays: int) -> tuple[tuple[Tensor, ...], int]:
    """Arguments of `composite` as in a training step, and how many channels."""
    s, channels = scene.samples(rays), 6
    sigma, rgb = 40 * torch.rand_like(s.t), torch.rand(len(s.t), channels, device=s.t.device)
    return (sigma, rgb, s.t, s.dt, s.offsets), channels


def _composite(scene: Scene, rays: int) -> Prepared:
    arguments, channels = _composited(scene, rays)
    return Prepared(lambda: ops.composite(*arguments), len(arguments[0]), work.composite(channels))


def _composite_gradient(scene: Scene, rays: int) -> Prepared:
    (sigma, rgb, *rest), channels = _composited(scene, rays)
    sigma.requires_grad_(), rgb.requires_grad_()
    image, alpha, _ = ops.composite(sigma, rgb, *rest)
    run = _gradient(torch.cat([image, alpha[:, None]], dim=1), (sigma, rgb))
    return Prepared(run, len(sigma), work.composite_gradient(channels))


def _pack_bits(scene: Scene, rays: int) -> Prepared:
    seen = scene.portrait.occupancy.seen.flatten()
    return Prepared(lambda: ops.pack_bits(seen, 0.5), len(seen), work.pack_bits())


def _rasterize(scene: Scene, rays: int) -> Prepared:
    """A head of 20,000 triangles that fills the picture, as the face model's mesh does in a preview."""
    side = 101
    v, u = torch.meshgrid(*[torch.linspace(-1, 1, side, device=scene.device)] * 2, indexing="ij")
    bulge = 1 - 0.1 * (1 - u.square()).clamp(min=0).sqrt() * (1 - v.square()).clamp(min=0).sqrt()
    centre = scene.size / 2
    vertices = torch.stack([centre + 0.3 * u * scene.size, centre + 0.45 * v * scene.size, bulge], dim=-1).view(-1, 3)
    corner = (torch.arange(side - 1)[:, None] * side + torch.arange(side - 1)).flatten()
    halves = [torch.stack([corner + a, corner + b, corner + c], -1) for a, b, c in (
        (0, 1, side), (1, side + 1, side)
    )]
    triangles = torch.cat(halves).int().to(scene.device)
    size = scene.size
    return Prepared(lambda: ops.rasterize(vertices, triangles, size, size), size * size, work.rasterize())


def _head_field(half: bool) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        """Rays to picture. Densities are so low that every sample counts."""
        s, portrait = scene.samples(rays), scene.portrait
        field, condition, ambient_bias, colour_bias = _folded(portrait.head, half)

        def run() -> object:
            return ops.render_rays(
                s.rays_o, s.rays_d, field, condition, ambient_bias, colour_bias, portrait.occupancy.bits,
                portrait.occupancy.size, STEP_M, MAX_SAMPLES, MIN_NEAR_M, 0.0,
            )

        return Prepared(run, len(s.t), work.head_field(scene.spec, half))

    return prepare


@torch.no_grad()
def _folded(head: HeadField, half: bool) -> tuple[ops.AmbientField, Tensor, Tensor, Tensor]:
    """A head field, ready to render, with made-up inputs of a frame."""

    def weights(net) -> tuple[Tensor, ...]:
        return tuple(layer.weight.detach() for layer in net.layers)

    dtype = torch.bfloat16 if half else torch.float32
    field = ops.AmbientField(
        head.position_spec, head.ambient_spec, head.position_table.detach().to(dtype),
        head.ambient_table.detach().to(dtype), weights(head.ambient_net), weights(head.density_net),
        weights(head.colour_net), head.aabb, DENSITY_SCALE, TruncatedExp.LIMIT,
    )
    device = head.aabb.device
    condition = torch.linspace(-1, 1, head.spec.condition, device=device)
    appearance = torch.zeros(head.spec.appearance, device=device)
    return field, condition, head.ambient_net.frame_layer(condition), head.colour_net.frame_layer(appearance)


PICTURE_RAYS = 82_726  # all that meet the formula head at 512 pixels
CASES = (
    Case("grid_encode_3d", "samples", _grid_encode(3), 0.05),
    Case("grid_encode_2d", "samples", _grid_encode(2), 0.05),
    Case("grid_encode_3d_table_gradient", "samples", _grid_table_gradient, 0.05),
    Case("grid_encode_2d_position_gradient", "samples", _grid_position_gradient, 0.05),
    Case("spherical_harmonics", "rays", _spherical_harmonics),
    Case("near_far_from_aabb", "rays", _near_far),
    Case("march_rays", "samples", _march, 0.1),
    Case("composite", "samples", _composite, 0.5),
    Case("composite_gradient", "samples", _composite_gradient, 0.2),
    Case("pack_bits", "cells", _pack_bits),
    Case("rasterize", "pixels", _rasterize),
    Case("head_field", "samples", _head_field(False), 0.02),
    Case("head_field_bf16", "samples", _head_field(True), 0.02),
)


def picture_scene(device: torch.device, size: int = 512) -> Scene:
    """The scene that the cases are prepared from."""
    return Scene(size, RENDERED_SKIN, device)
