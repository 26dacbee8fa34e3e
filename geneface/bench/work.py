"""What the ops cost at least, by their definitions: the one place where operations and bytes are counted.

A multiply-add counts as two operations. Bytes are inputs and outputs that must pass through memory, once each; what
a kernel could keep in registers or caches is not counted. Reads are those in random order, of 8 bytes at most, as
the ceiling counts them. Exponentials, comparisons and integer arithmetic are not counted: the share of the ceiling
of an op that is mostly these is low, and says so.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..nerf.head import DIRECTION_VALUES, HeadSpec
from ..ops import GridSpec
from .ceiling import Ceiling

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Work:
    """Cost of one item: a sample, a ray, a pixel or a parameter, as the op has it.

    Attributes:
        operations: in float32. half_operations: products of bfloat16, summed in float32.
        bytes: read and written.
        reads: in random order.
    """

    operations: float = 0.0
    half_operations: float = 0.0
    bytes: float = 0.0
    reads: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.operations + other.operations, self.half_operations + other.half_operations,
            self.bytes + other.bytes, self.reads + other.reads,
        )

    def limits(self, ceiling: Ceiling) -> dict[str, float]:
        """Least time of an item [s] by each of the ceilings that are known and that it meets."""
        # Without instructions for bfloat16, its products run as float32.
        half = ceiling.bf16_gflops or ceiling.fp32_gflops
        arithmetic = self.operations / (ceiling.fp32_gflops * 1e9) + self.half_operations / (half * 1e9)
        times = {
            "arithmetic": arithmetic, "memory": self.bytes / (ceiling.copy_gb_s * 1e9),
            "gather": self.reads / (ceiling.gather_m_s * 1e6),
        }
        return {name: value for name, value in times.items() if value > 0}


def grid_encode(spec: GridSpec, half: bool = False) -> Work:
    """A position's features. half: table of bfloat16."""
    corners = 2**spec.dims
    products = {2: 4, 3: 12}[spec.dims]  # weights of the corners, from those of one axis after another
    operations = spec.levels * (2 * spec.dims + products + 2 * spec.features * corners)
    return Work(operations, 0, FLOAT * (spec.dims + spec.width), _row_reads(spec, half))


def _row_reads(spec: GridSpec, half: bool) -> float:
    row = spec.features * (2 if half else 4)
    reads = 0.0
    for level in range(spec.levels):
        if row <= 4:
            # One read takes the rows of both neighbours along x where they lie side by side: always without the
            # hash, which multiplies x by 1, and for even x with it.
            pairs = 1.0 if spec.dense(level) or not spec.hashed else 1.5
            reads += pairs * 2 ** (spec.dims - 1)
        else:
            reads += 2**spec.dims * math.ceil(row / 8)
    return reads


def grid_encode_table_gradient(spec: GridSpec) -> Work:
    """Every row that the forward pass read is read, added to and written."""
    corners = 2**spec.dims
    products = {2: 4, 3: 12}[spec.dims]
    operations = spec.levels * (2 * spec.dims + products + 2 * spec.features * corners)
    return Work(operations, 0, FLOAT * (spec.dims + spec.width), _row_reads(spec, False))


def grid_encode_position_gradient(spec: GridSpec) -> Work:
    """Differences of the corners' products with the gradient, along each axis."""
    corners = 2**spec.dims
    differences = spec.dims * (corners // 2) * 3  # subtract, weigh, add
    operations = spec.levels * (2 * spec.dims + 2 * spec.features * corners + differences)
    return Work(operations, 0, FLOAT * (2 * spec.dims + spec.width), _row_reads(spec, False))


def grid_total_variation(spec: GridSpec) -> Work:
    """A vertex and the next along each axis, at every level."""
    rows = spec.dims + 1
    operations = spec.levels * (2 * spec.dims + 3 * spec.dims * spec.features)
    return Work(operations, 0, FLOAT * (spec.dims + 1), spec.levels * rows * math.ceil(spec.features * 4 / 8))


def mlp(widths: Sequence[int], half: bool = False) -> Work:
    """A network without biases; half: its products are bfloat16."""
    products = 2 * sum(a * b for a, b in zip(widths, widths[1:]))
    moved = FLOAT * (widths[0] + widths[-1])
    return Work(0, products, moved) if half else Work(products, 0, moved)


def mlp_gradient(widths: Sequence[int], half: bool = False) -> Work:
    """Gradients of inputs and of weights, each as many products as the outputs took."""
    products = 4 * sum(a * b for a, b in zip(widths, widths[1:]))
    moved = FLOAT * (2 * widths[0] + widths[-1])
    return Work(0, products, moved) if half else Work(products, 0, moved)


def head_field(spec: HeadSpec, half: bool = False) -> Work:
    """A sample of the head, with what is constant over a frame or a ray folded into biases.

    Nothing passes through memory: samples begin and end in the op.
    """
    hidden = [spec.hidden] * spec.layers
    motion = [spec.motion_grid.width, *hidden, 3 + spec.condition]
    density = [spec.position_grid.width + spec.condition, *hidden, 1 + spec.geometry]
    colour = [spec.geometry, *hidden, 3]
    parts = [grid_encode(grid, half) for grid in (spec.position_grid, spec.motion_grid)]
    parts += [mlp(widths, half) for widths in (motion, density, colour)]
    total = sum(parts, Work())
    return Work(total.operations, total.half_operations, 0, total.reads)


def spherical_harmonics() -> Work:
    """Degree 4: 16 polynomials."""
    return Work(60, 0, FLOAT * (3 + DIRECTION_VALUES))


def near_far() -> Work:
    """A ray against a box: two planes an axis."""
    return Work(12, 0, FLOAT * (6 + 2))


def march(steps: float) -> Work:
    """A sample found; steps: depths tried for each, a bit of the occupancy read at every one."""
    return Work(steps * 6, 0, 2 * FLOAT, steps)


def sample_points() -> Work:
    """A sample: depth read, position and ray number written."""
    return Work(6, 0, FLOAT * (1 + 3) + 8)


def composite(channels: int) -> Work:
    """A sample: sigma, t, dt and channels are read."""
    return Work(6 + 2 * channels, 0, FLOAT * (3 + channels))


def composite_gradient(channels: int) -> Work:
    """Sigma, t, dt and channels are read, gradients of sigma and channels written."""
    return Work(12 + 6 * channels, 0, FLOAT * (3 + channels + 1 + channels))


def composite_weights() -> Work:
    """A sample: sigma and dt are read, the weight written."""
    return Work(4, 0, FLOAT * 3)


def occupancy_record() -> Work:
    """A sample: position and weight are read, and the cell that it lies in."""
    return Work(9, 0, FLOAT * (3 + 1), 1)


def occupancy_update() -> Work:
    """A cell: its weight is read and written, the hull read, a bit written; growing costs nothing at best."""
    return Work(1, 0, FLOAT * 2 + 1 + 1 / 8)


def pack_bits() -> Work:
    """A cell: its density is read."""
    return Work(0, 0, FLOAT + 1 / 8)


def rasterize() -> Work:
    """A pixel of the picture: face, weights and depth are written."""
    return Work(0, 0, FLOAT * 5)


def adam(moving: float) -> Work:
    """A parameter: its gradient and its average are read; of the moving share, all is read and written."""
    return Work(14 * moving, 0, FLOAT * (2 + 5 * moving))
