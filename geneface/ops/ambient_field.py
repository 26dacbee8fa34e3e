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
class AmbientField:
    """A radiance field driven through ambient coordinates (RAD-NeRF; gates after ER-NeRF), ready to render.

    What it computes is written in `reference.evaluate_field`. H is the width of all hidden layers; networks have
    no biases but those folded from a frame's inputs. With tables in bfloat16 a back end may also round
    the networks' numbers to bfloat16.

    Attributes:
        position_spec, ambient_spec: layouts of the 3D and the 2D grid, two features a level; E and A are their widths.
        position_table [P,2], ambient_table [Q,2]: their features, both in one type.
        ambient_net: weights [H,E], [H,H], ..., [2+C,H]: two ambient coordinates, then C gates.
        density_net: weights [H,E+A+C], [H,H], ..., [1+G,H]: density, then G features for the colour.
        colour_net: weights [H,G+16], [H,H], ..., [3,H]. The last 16 inputs are the direction's.
        aabb: [6] box of the field [m].
        density_scale: density [1/m] where the network says 0.
        density_limit: the network's density output is held below this before exp.

    Raises:
        ValueError: naming the attribute whose shape, type or device does not fit the others.
    """

    position_spec: GridSpec
    ambient_spec: GridSpec
    position_table: Tensor
    ambient_table: Tensor
    ambient_net: tuple[Tensor, ...]
    density_net: tuple[Tensor, ...]
    colour_net: tuple[Tensor, ...]
    aabb: Tensor
    density_scale: float = 1.0
    density_limit: float = 10.0

    def __post_init__(self) -> None:
        for name, spec, dims in (("position_spec", self.position_spec, 3), ("ambient_spec", self.ambient_spec, 2)):
            if spec.dims != dims or spec.features != 2:
                raise ValueError(f"{name}: need {dims} dimensions and 2 features, got {spec.dims} and {spec.features}")
        check("aabb", self.aabb, (6,))
        types = (*FLOATS, torch.bfloat16)
        check("position_table", self.position_table, (self.position_spec.rows, 2), types)
        check("ambient_table", self.ambient_table, (self.ambient_spec.rows, 2), (self.position_table.dtype,))
        for name in ("position_table", "ambient_table"):
            if getattr(self, name).device != self.aabb.device:
                raise ValueError(f"{name}: expected on {self.aabb.device}, got {getattr(self, name).device}")
        encoded = self.position_spec.width
        self._check_net("ambient_net", encoded, None)
        self._check_net("density_net", encoded + self.ambient_spec.width + self.condition, None)
        self._check_net("colour_net", self.geometry + DIRECTION_VALUES, 3)
        if self.condition < 0:
            raise ValueError(f"ambient_net: needs at least the 2 ambient coordinates as outputs, got {2 + self.condition}")
        check_positive("density_scale", self.density_scale)

    def _check_net(self, name: str, inputs: int, outputs: int | None) -> None:
        net = getattr(self, name)
        if len(net) < 2 or len(net) != len(self.ambient_net):
            raise ValueError(f"{name}: needs a hidden layer or more, and as many as the other networks, got {len(net)} weights")
        hidden = len(self.ambient_net[0])
        widths = [inputs, *[hidden] * (len(net) - 1), outputs]
        for weight, columns, rows in zip(net, widths, widths[1:]):
            check(name, weight, (rows, columns), like=self.aabb)
        if max(inputs, hidden) > MAX_WIDTH:
            raise ValueError(f"{name}: layers of at most {MAX_WIDTH} inputs, got {max(inputs, hidden)}")

    @property
    def hidden(self) -> int:
        """Width of the hidden layers, H."""
        return len(self.ambient_net[0])

    @property
    def condition(self) -> int:
        """Number of gates, C."""
        return len(self.ambient_net[-1]) - 2

    @property
    def geometry(self) -> int:
        """Features handed from the density to the colour network, G."""
        return len(self.density_net[-1]) - 1
