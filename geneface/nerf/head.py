"""The head: a radiance field in head space, driven by landmarks through ambient coordinates."""
from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops
from .condition import ConditionEncoder
from .layers import MLP, TruncatedExp

LANDMARK_VALUES = 204  # 68 points
DIRECTION_VALUES = 16  # spherical harmonics of degree 4
# Density [1/m] of a network output of zero: a head's depth of it lets about a fifth of the light through.
DENSITY_SCALE = 8.0


@dataclass(frozen=True)
class HeadSpec:
    """Sizes of the head field. JSON values, kept in the avatar.

    Attributes:
        levels, base_resolution, max_resolution, log2_table_size: 3D hash grid over the head's box,
            two features a level.
        ambient_levels, ambient_resolution, ambient_log2_table_size: 2D grid over ambient coordinates.
        hidden: width of the networks.
        geometry: features handed from the density network to the colour network.
        condition: size of the encoded driving landmarks.
        layers: hidden layers of each network.
        appearance: size of the per-frame appearance code.
    """

    levels: int = 16
    base_resolution: int = 16
    max_resolution: int = 512
    log2_table_size: int = 16
    ambient_levels: int = 8
    ambient_resolution: int = 256
    ambient_log2_table_size: int = 14
    hidden: int = 64
    geometry: int = 31
    condition: int = 16
    layers: int = 1
    appearance: int = 4

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def position_grid(self) -> ops.GridSpec:
        return ops.GridSpec(3, self.levels, 2, self.base_resolution, self.max_resolution, self.log2_table_size)

    @property
    def ambient_grid(self) -> ops.GridSpec:
        return ops.GridSpec(
            2, self.ambient_levels, 2, self.base_resolution, self.ambient_resolution, self.ambient_log2_table_size
        )


class HeadField(nn.Module):
    """Density and colour at points of head space.

    A 3D hash grid describes the point (instant-NGP). A small network maps it and the encoded
    landmarks to two ambient coordinates, at which a 2D grid is read (RAD-NeRF), and to a gate on the
    encoded landmarks (the region attention of ER-NeRF): the gate quickly learns motion in proportion
    to the landmarks, the ambient grid what is not so simple. All together give density, and with the
    direction and the frame's appearance code, colour.

    Buffers: aabb [6], the box of head space that the field fills [m].
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        self.position_spec, self.ambient_spec = spec.position_grid, spec.ambient_grid
        self.position_table = nn.Parameter(torch.empty(self.position_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.ambient_table = nn.Parameter(torch.empty(self.ambient_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.encoder = ConditionEncoder(LANDMARK_VALUES, spec.condition)
        hidden = [spec.hidden] * spec.layers
        inputs = self.position_spec.width + self.ambient_spec.width + spec.condition
        self.ambient_net = MLP([self.position_spec.width, *hidden, 2 + spec.condition], per_frame=spec.condition)
        self.density_net = MLP([inputs, *hidden, 1 + spec.geometry])
        self.colour_net = MLP([spec.geometry + DIRECTION_VALUES, *hidden, 3], per_frame=spec.appearance)
        self.register_buffer("aabb", torch.tensor([-1.0, -1, -1, 1, 1, 1]))

    def forward(
        self, x: Tensor, directions: Tensor, ray: Tensor, condition: Tensor, appearance: Tensor,
        slot: Tensor | None = None, bf16: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the field at M samples on N rays of F frames.

        Args:
            x: [M,3] points in head space [m].
            directions: [N,16] spherical harmonics of the view directions.
            ray: [M] ray of each sample.
            condition: [F,condition] encoded landmarks (`encoder`).
            appearance: [F,appearance] codes.
            slot: [N] frame of each ray; may be None if F = 1.
            bf16: networks in bfloat16.

        Returns:
            sigma [M] density [1/m], rgb [M,3] in [0,1], ambient [M,2+condition]: coordinates in
            [-1,1], then gates in (-1,1): zero where the landmarks have no say.
        """
        low, high = self.aabb[:3], self.aabb[3:]
        frame = None if slot is None else slot[ray]
        position = ops.grid_encode((x - low) / (high - low), self.position_table, self.position_spec)
        ambient = torch.tanh(self.ambient_net([position], condition, frame, bf16))
        motion = ops.grid_encode(ambient[:, :2] * 0.5 + 0.5, self.ambient_table, self.ambient_spec)
        gated = ambient[:, 2:] * (condition if frame is None else of_frames(condition, frame))
        out = self.density_net([position, motion, gated], bf16=bf16)
        sigma = DENSITY_SCALE * TruncatedExp.apply(out[:, 0])
        return sigma, torch.sigmoid(self._colour(out, directions, ray, appearance, slot, bf16)), ambient

    def _colour(self, out, directions, ray, appearance, slot, bf16) -> Tensor:
        """[M,3] before the sigmoid. Direction and appearance enter once a ray, `out` [M,1+geometry] whole."""
        net, geometry = self.colour_net, self.spec.geometry
        of_frame = net.frame_layer(appearance)
        first, *others = net.weights
        of_ray = directions @ first[:, geometry:].T + (of_frame if slot is None else of_frames(of_frame, slot))
        return ops.mlp([out], [F.pad(first[:, :geometry], (1, 0)), *others], of_ray, ray, bf16)

    @torch.no_grad()
    def fused(self, tables: torch.dtype = torch.float32) -> ops.AmbientField:
        """The field as `ops.render_rays` takes it; shares the weights, and tables that are of that type already.

        Args:
            tables: torch.float32, or torch.bfloat16: half the memory to read, and networks in bfloat16 too.
        """
        nets = (tuple(net.weights) for net in (self.ambient_net, self.density_net, self.colour_net))
        return ops.AmbientField(
            self.position_spec, self.ambient_spec, self.position_table.detach().to(tables),
            self.ambient_table.detach().to(tables), *nets, self.aabb, DENSITY_SCALE, TruncatedExp.LIMIT,
        )

    @torch.no_grad()
    def frame_inputs(self, landmarks: Tensor, appearance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A frame's inputs of `ops.render_rays`: condition [C] and what it and the appearance add to first layers.

        Args:
            landmarks: [204] canonical driving landmarks [m].
            appearance: [A] code.
        """
        condition, appearance = self.encoder(landmarks[None]), appearance[None]
        biases = self.ambient_net.frame_layer(condition), self.colour_net.frame_layer(appearance)
        return condition[0], biases[0][0], biases[1][0]


def of_frames(values: Tensor, index: Tensor) -> Tensor:
    """[M,D] rows `index` [M] of values [F,D] of a few frames. Their gradient is a product: adding up row by row
    is slower and, on several threads, in no certain order."""
    chosen = torch.zeros(len(index), len(values), device=values.device, dtype=values.dtype)
    return chosen.scatter_(1, index[:, None], 1.0) @ values
