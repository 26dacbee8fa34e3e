"""Grid encodings, on the samples of the formula head's picture, and the optimiser of their tables."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import ops
from . import work
from .case import Case, Prepared, gradient
from .scene import Scene

MOVING = 0.75  # share of a table's rows that an optimisation step moves


def _encode(dims: int, half: bool = False) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        x, table, spec = _grid(scene, rays, dims)
        if half:
            table = table.bfloat16()
        return Prepared(lambda: ops.grid_encode(x, table, spec), len(x), work.grid_encode(spec, half))

    return prepare


def _grid(scene: Scene, rays: int, dims: int) -> tuple[Tensor, Tensor, ops.GridSpec]:
    """Positions [M,D], table and layout. The 2D grid is the torso's, of 16 levels, read at the samples' x and y."""
    x = scene.samples(rays).x[:, :dims].contiguous()
    spec = scene.spec.position_grid if dims == 3 else scene.portrait.torso.grid_spec
    return x, torch.rand(spec.rows, spec.features, device=x.device) - 0.5, spec


def _table_gradient(scene: Scene, rays: int) -> Prepared:
    x, table, spec = _grid(scene, rays, 3)
    table.requires_grad_()
    run = gradient(ops.grid_encode(x, table, spec), (table,))
    return Prepared(run, len(x), work.grid_encode_table_gradient(spec))


def _position_gradient(dims: int) -> Callable[[Scene, int], Prepared]:
    def prepare(scene: Scene, rays: int) -> Prepared:
        x, table, spec = _grid(scene, rays, dims)
        x.requires_grad_()
        run = gradient(ops.grid_encode(x, table, spec), (x,))
        return Prepared(run, len(x), work.grid_encode_position_gradient(spec))

    return prepare


def _total_variation(scene: Scene, rays: int) -> Prepared:
    x, table, spec = _grid(scene, rays, 3)
    return Prepared(lambda: ops.grid_total_variation(x, table, spec), len(x), work.grid_total_variation(spec))


def _adam(scene: Scene, rays: int) -> Prepared:
    """A 3D grid's table; samples have read three rows of four."""
    value = scene.portrait.head.position_table.detach().clone()
    gradient = torch.randn_like(value) * (torch.rand_like(value[:, :1]) < MOVING)
    averages = torch.zeros_like(value), torch.zeros_like(value)

    def run() -> Tensor:
        ops.adam_step(value, gradient, *averages, 1, 1e-2, (0.9, 0.99), 1e-15)
        return value

    return Prepared(run, value.numel(), work.adam(MOVING))


GRID_CASES = (
    Case("grid_encode_3d", "samples", _encode(3), 0.25),
    Case("grid_encode_3d_bf16", "samples", _encode(3, True), 0.25),
    Case("grid_encode_2d", "samples", _encode(2), 0.25),
    Case("grid_encode_2d_bf16", "samples", _encode(2, True), 0.25),
    Case("grid_encode_3d_table_gradient", "samples", _table_gradient, 0.25),
    Case("grid_encode_3d_position_gradient", "samples", _position_gradient(3), 0.25),
    Case("grid_encode_2d_position_gradient", "samples", _position_gradient(2), 0.25),
    Case("grid_total_variation", "samples", _total_variation, 0.25),
    Case("adam_step", "parameters", _adam),
)
