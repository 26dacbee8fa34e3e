"""The head: a radiance field at rest, and the motion that landmarks give it."""
from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops
from .condition import ConditionEncoder
from .layers import MLP, TruncatedExp
from .occupancy import OccupancyGrid

DIRECTION_VALUES = 16  # spherical harmonics of degree 4
# Density [1/m] of a network output of zero: a head's depth of it lets about a fifth of the light through.
DENSITY_SCALE = 8.0


@dataclass(frozen=True)
class FieldSpec:
    """Sizes that every head field has. JSON values, kept in the avatar.

    Attributes:
        driving: number of driving values of a frame.
        levels, base_resolution, max_resolution, log2_table_size: 3D hash grid over the head's box,
            two features a level.
        hidden: width of the networks.
        geometry: features handed from the density network to the colour network.
        condition: size of the encoded driving values.
        layers: hidden layers of each network.
    """

    driving: int = 207
    levels: int = 16
    base_resolution: int = 16
    max_resolution: int = 512
    log2_table_size: int = 16
    hidden: int = 64
    geometry: int = 31
    condition: int = 16
    layers: int = 1

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def position_grid(self) -> ops.GridSpec:
        return ops.GridSpec(3, self.levels, 2, self.base_resolution, self.max_resolution, self.log2_table_size)


@dataclass(frozen=True)
class HeadSpec(FieldSpec):
    """Sizes of `HeadField`, whose 3D hash grid is of the head at rest.

    Attributes:
        motion_levels, motion_base_resolution, motion_resolution, motion_log2_table_size: coarser 3D grid that says
            what moves how.
        reach: farthest that a point moves along an axis [m].
    """

    motion_levels: int = 8
    motion_base_resolution: int = 8
    motion_resolution: int = 128
    motion_log2_table_size: int = 15
    reach: float = 0.02

    @property
    def motion_grid(self) -> ops.GridSpec:
        return ops.GridSpec(
            3, self.motion_levels, 2, self.motion_base_resolution, self.motion_resolution, self.motion_log2_table_size
        )


class HeadField(nn.Module):
    """Density and colour at points of head space.

    A coarse 3D grid describes what kind of place a point is. From that and the encoded landmarks the motion network
    draws a displacement, which carries the point to where it is when the face is at rest, and gates on the encoded
    landmarks (the region attention of ER-NeRF). At the place at rest a fine 3D hash grid is read (instant-NGP); it and
    the gated landmarks, which tell what no displacement can (teeth appear, creases darken), give density, and with the
    direction, colour. The fine grid then holds one face instead of one per expression.

    Buffers: aabb [6], the box of head space that the field fills [m].
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        self.position_spec, self.motion_spec = spec.position_grid, spec.motion_grid
        self.position_table = nn.Parameter(torch.empty(self.position_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.motion_table = nn.Parameter(torch.empty(self.motion_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.encoder = ConditionEncoder(spec.driving, spec.condition)
        hidden = [spec.hidden] * spec.layers
        self.motion_net = MLP([self.motion_spec.width, *hidden, 3 + spec.condition], per_frame=spec.condition)
        self.density_net = MLP([self.position_spec.width + spec.condition, *hidden, 1 + spec.geometry])
        self.colour_net = MLP([spec.geometry + DIRECTION_VALUES, *hidden, 3])
        self.register_buffer("aabb", torch.tensor([-1.0, -1, -1, 1, 1, 1]))
        with torch.no_grad():  # starts nearly at rest
            self.motion_net.layers[-1].weight[:3].mul_(0.05)

    def forward(
        self, x: Tensor, directions: Tensor, ray: Tensor, condition: Tensor,
        slot: Tensor | None = None, bf16: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the field at M samples on N rays of F frames.

        Args:
            x: [M,3] points in head space [m].
            directions: [N,16] spherical harmonics of the view directions.
            ray: [M] ray of each sample.
            condition: [F,condition] encoded driving values (`encoder`).
            slot: [N] frame of each ray; may be None if F = 1.
            bf16: networks in bfloat16.

        Returns:
            sigma [M] density [1/m], rgb [M,3] in [0,1], motion [M,3+condition]: displacement in shares of
            `spec.reach`, then gates, all in (-1,1): zero where the landmarks have no say.
        """
        low, high = self.aabb[:3], self.aabb[3:]
        frame = None if slot is None else slot[ray]
        place = ops.grid_encode((x - low) / (high - low), self.motion_table, self.motion_spec)
        motion = torch.tanh(self.motion_net([place], condition, frame, bf16))
        at_rest = (x + self.spec.reach * motion[:, :3] - low) / (high - low)
        position = ops.grid_encode(at_rest, self.position_table, self.position_spec)
        gated = motion[:, 3:] * (condition if frame is None else of_frames(condition, frame))
        out = self.density_net([position, gated], bf16=bf16)
        sigma = DENSITY_SCALE * TruncatedExp.apply(out[:, 0])
        return sigma, torch.sigmoid(directed_colour(self.colour_net, out, directions, ray, bf16)), motion

    @torch.no_grad()
    def fused(self, tables: torch.dtype = torch.float32) -> ops.MovingField:
        """The field as `ops.render_rays` takes it; shares the weights, and tables that are of that type already.

        Args:
            tables: torch.float32, or torch.bfloat16: half the memory to read, and networks in bfloat16 too.
        """
        nets = (tuple(net.weights) for net in (self.motion_net, self.density_net, self.colour_net))
        return ops.MovingField(
            self.position_spec, self.motion_spec, self.position_table.detach().to(tables),
            self.motion_table.detach().to(tables), *nets, self.aabb, self.spec.reach, DENSITY_SCALE, TruncatedExp.LIMIT,
        )

    def whole(self, driving: Tensor) -> Tensor:
        """[...,driving] values [...,P,3] of frames; those that are missing at the end are at rest (a straight look)."""
        flat = driving.flatten(-2)
        return F.pad(flat, (0, self.spec.driving - flat.shape[-1]))

    @torch.no_grad()
    def frame_inputs(self, driving: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A frame's inputs of `ops.render_rays`: condition [C] and what it adds to first layers. driving: [P,3]."""
        condition = self.encoder(self.whole(driving)[None])
        first = self.motion_net.frame_layer(condition)[0]
        return condition[0], first, torch.zeros_like(first)

    def draw(
        self, prepared: ops.MovingField, rays_o: Tensor, rays_d: Tensor, driving: Tensor, occupancy: OccupancyGrid,
        step: float, max_samples: int, near: float, early_stop: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A frame's rays in one op: rgb [N,3], alpha [N] and depth [N], premultiplied.

        Args:
            prepared: what `fused` gave, for many frames. rays_o, rays_d: [N,3] in head space. driving: [P,3] values.
            step, max_samples, near, early_stop: as for `ops.render_rays`.
        """
        return ops.render_rays(
            rays_o, rays_d, prepared, *self.frame_inputs(driving), occupancy.bits, occupancy.size, step, max_samples,
            near, early_stop=early_stop,
        )


def directed_colour(
    net: MLP, out: Tensor, directions: Tensor, ray: Tensor, bf16: bool
) -> Tensor:
    """[M,3] colour before the sigmoid. The direction enters once a ray, `out` [M,1+geometry] whole."""
    geometry = out.shape[1] - 1
    first, *others = net.weights
    of_ray = directions @ first[:, geometry:].T
    return ops.mlp([out], [F.pad(first[:, :geometry], (1, 0)), *others], of_ray, ray, bf16)


def of_frames(values: Tensor, index: Tensor) -> Tensor:
    """[M,D] rows `index` [M] of values [F,D] of a few frames. Their gradient is a product: adding up row by row
    is slower and, on several threads, in no certain order."""
    chosen = torch.zeros(len(index), len(values), device=values.device, dtype=values.dtype)
    return chosen.scatter_(1, index[:, None], 1.0) @ values
