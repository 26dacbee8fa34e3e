"""The tensors of a head field, as `render_rays` takes them."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import FLOATS, check, check_positive
from .grid_spec import GridSpec

MAX_WIDTH = 256  # kMaxWidth of cuda_ext/include/field.h
DIRECTION_VALUES = 16  # spherical harmonics of degree 4


@dataclass(frozen=True)
class MovingField:
    """A radiance field at rest, moved by what drives a frame (a deformation field as in D-NeRF; gates after ER-NeRF),
    ready to render.

    What it computes is written in `reference.evaluate_field`. H is the width of all hidden layers; networks have
    no biases but those folded from a frame's inputs. With tables in bfloat16 a back end may also round
    the networks' numbers to bfloat16.

    Attributes:
        position_spec, motion_spec: layouts of the 3D grid of the field at rest and of the coarser one that says what
            moves how, two features a level; E and A are their widths.
        position_table [P,2], motion_table [Q,2]: their features, both in one type.
        motion_net: weights [H,A], [H,H], ..., [3+C,H]: the displacement, then C gates.
        density_net: weights [H,E+C], [H,H], ..., [1+G,H]: density, then G features for the colour.
        colour_net: weights [H,G+16], [H,H], ..., [3,H]. The last 16 inputs are the direction's.
        aabb: [6] box of the field [m].
        reach: farthest that a point moves along an axis [m].
        density_scale: density [1/m] where the network says 0.
        density_limit: the network's density output is held below this before exp.

    Raises:
        ValueError: naming the attribute whose shape, type or device does not fit the others.
    """

    position_spec: GridSpec
    motion_spec: GridSpec
    position_table: Tensor
    motion_table: Tensor
    motion_net: tuple[Tensor, ...]
    density_net: tuple[Tensor, ...]
    colour_net: tuple[Tensor, ...]
    aabb: Tensor
    reach: float
    density_scale: float = 1.0
    density_limit: float = 10.0

    def __post_init__(self) -> None:
        for name, spec in (("position_spec", self.position_spec), ("motion_spec", self.motion_spec)):
            if spec.dims != 3 or spec.features != 2:
                raise ValueError(f"{name}: need 3 dimensions and 2 features, got {spec.dims} and {spec.features}")
        check("aabb", self.aabb, (6,))
        types = (*FLOATS, torch.bfloat16)
        check("position_table", self.position_table, (self.position_spec.rows, 2), types)
        check("motion_table", self.motion_table, (self.motion_spec.rows, 2), (self.position_table.dtype,))
        for name in ("position_table", "motion_table"):
            if getattr(self, name).device != self.aabb.device:
                raise ValueError(f"{name}: expected on {self.aabb.device}, got {getattr(self, name).device}")
        self._check_net("motion_net", self.motion_spec.width, None)
        if self.condition < 0:
            raise ValueError(f"motion_net: needs at least the displacement's 3 outputs, got {3 + self.condition}")
        self._check_net("density_net", self.position_spec.width + self.condition, None)
        self._check_net("colour_net", self.geometry + DIRECTION_VALUES, 3)
        check_positive("reach", self.reach)
        check_positive("density_scale", self.density_scale)

    def _check_net(self, name: str, inputs: int, outputs: int | None) -> None:
        net = getattr(self, name)
        if len(net) < 2 or len(net) != len(self.motion_net):
            raise ValueError(
                f"{name}: needs a hidden layer or more, and as many as the other networks, got {len(net)} weights"
            )
        hidden = len(self.motion_net[0])
        widths = [inputs, *[hidden] * (len(net) - 1), outputs]
        for weight, columns, rows in zip(net, widths, widths[1:]):
            check(name, weight, (rows, columns), like=self.aabb)
        widest = max(inputs, hidden, len(net[-1]))
        if widest > MAX_WIDTH:
            raise ValueError(f"{name}: layers of at most {MAX_WIDTH} inputs and outputs, got {widest}")

    @property
    def hidden(self) -> int:
        """Width of the hidden layers, H."""
        return len(self.motion_net[0])

    @property
    def condition(self) -> int:
        """Number of gates, C."""
        return len(self.motion_net[-1]) - 3

    @property
    def geometry(self) -> int:
        """Features handed from the density to the colour network, G."""
        return len(self.density_net[-1]) - 1
