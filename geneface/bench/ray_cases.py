"""Rays, their samples, and where there are any: all but grids and networks."""
from __future__ import annotations

import torch
from torch import Tensor

from .. import ops
from ..nerf.portrait import MIN_NEAR_M
from . import work
from .case import Case, Prepared, gradient
from .scene import MAX_SAMPLES, STEP_M, Scene


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
    run = gradient(torch.cat([image, alpha[:, None]], dim=1), (sigma, rgb))
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


def _sample_points(scene: Scene, rays: int) -> Prepared:
    s = scene.samples(rays)
    return Prepared(lambda: ops.sample_points(s.rays_o, s.rays_d, s.t, s.offsets), len(s.t), work.sample_points())


def _composite_weights(scene: Scene, rays: int) -> Prepared:
    (sigma, _, t, dt, offsets), _ = _composited(scene, rays)
    return Prepared(lambda: ops.composite_weights(sigma, dt, offsets), len(t), work.composite_weights())


def _occupancy_record(scene: Scene, rays: int) -> Prepared:
    x, seen = scene.samples(rays).x, scene.portrait.occupancy.seen.clone()
    weights, box = torch.rand(len(x), device=x.device), torch.tensor([0.0, 0, 0, 1, 1, 1], device=x.device)

    def run() -> Tensor:
        ops.occupancy_record(x, weights, box, seen)
        return seen

    return Prepared(run, len(x), work.occupancy_record())


def _occupancy_update(scene: Scene, rays: int) -> Prepared:
    grid = scene.portrait.occupancy
    seen = grid.seen.clone()
    run = lambda: ops.occupancy_update(seen, grid.hull, 1.0, 0.5, 1)  # noqa: E731
    return Prepared(run, seen.numel(), work.occupancy_update())


RAY_CASES = (
    Case("near_far_from_aabb", "rays", _near_far),
    Case("march_rays", "samples", _march, 0.5),
    Case("sample_points", "samples", _sample_points),
    Case("spherical_harmonics", "rays", _spherical_harmonics),
    Case("composite", "samples", _composite, 0.5),
    Case("composite_gradient", "samples", _composite_gradient, 0.2),
    Case("composite_weights", "samples", _composite_weights),
    Case("occupancy_record", "samples", _occupancy_record),
    Case("occupancy_update", "cells", _occupancy_update),
    Case("pack_bits", "cells", _pack_bits),
    Case("rasterize", "pixels", _rasterize),
)
