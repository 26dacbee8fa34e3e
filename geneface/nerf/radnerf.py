"""RAD-NeRF's head field, for comparison: density and colour driven through ambient coordinates."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import ops
from .condition import ConditionEncoder
from .head import DENSITY_SCALE, DIRECTION_VALUES, FieldSpec, HeadField, directed_colour
from .layers import MLP, TruncatedExp
from .occupancy import OccupancyGrid

CHUNK = 16384  # rays drawn at once: bounds memory


@dataclass(frozen=True)
class RadNerfSpec(FieldSpec):
    """Sizes of RAD-NeRF's head field.

    Attributes:
        ambient_levels, ambient_resolution, ambient_log2_table_size: 2D grid over ambient coordinates.
    """

    max_resolution: int = 2048
    ambient_levels: int = 16
    ambient_resolution: int = 2048
    ambient_log2_table_size: int = 16
    condition: int = 32

    @property
    def ambient_grid(self) -> ops.GridSpec:
        return ops.GridSpec(
            2, self.ambient_levels, 2, self.base_resolution, self.ambient_resolution, self.ambient_log2_table_size
        )


class RadNerfHead(nn.Module):
    """Tang et al., "Real-time neural radiance talking portrait synthesis via audio-spatial decomposition" (2022).

    A 3D hash grid describes the point; a small network maps it and the encoded driving values to two ambient
    coordinates, at which a 2D grid is read; both give density, and with the direction, colour. Here it is driven by
    landmarks (as in GeneFace) and has no per-frame codes. Called as `HeadField` is; there is no fused kernel for it.

    Buffers: aabb [6], the box of head space that the field fills [m].
    """

    def __init__(self, spec: RadNerfSpec) -> None:
        super().__init__()
        self.spec = spec
        self.position_spec, self.ambient_spec = spec.position_grid, spec.ambient_grid
        self.position_table = nn.Parameter(torch.empty(self.position_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.ambient_table = nn.Parameter(torch.empty(self.ambient_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.encoder = ConditionEncoder(spec.driving, spec.condition)
        hidden = [spec.hidden] * spec.layers
        self.ambient_net = MLP([self.position_spec.width, *hidden, 2], per_frame=spec.condition)
        self.density_net = MLP([self.position_spec.width + self.ambient_spec.width, *hidden, 1 + spec.geometry])
        self.colour_net = MLP([spec.geometry + DIRECTION_VALUES, *hidden, 3])
        self.register_buffer("aabb", torch.tensor([-1.0, -1, -1, 1, 1, 1]))

    whole = HeadField.whole

    def fused(self, tables: torch.dtype = torch.float32) -> None:
        """Nothing: this field is drawn from its parts."""

    @torch.no_grad()
    def draw(
        self, prepared: None, rays_o: Tensor, rays_d: Tensor, driving: Tensor, occupancy: OccupancyGrid, step: float,
        max_samples: int, near: float, early_stop: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `HeadField.draw`; `early_stop` spares nothing here."""
        condition, parts = self.encoder(self.whole(driving[None])), []
        for o, d in zip(rays_o.split(CHUNK), rays_d.split(CHUNK)):
            t, dt, offsets = ops.march_rays(
                o, d, *ops.near_far_from_aabb(o, d, self.aabb, near), occupancy.bits, self.aabb, occupancy.size, step,
                max_samples,
            )
            x, ray = ops.sample_points(o, d, t, offsets)
            sigma, rgb, _ = self(x, ops.spherical_harmonics(d), ray, condition)
            parts.append(ops.composite(sigma, rgb, t, dt, offsets))
        return tuple(torch.cat(column) for column in zip(*parts)) if parts else (rays_o, rays_o[:, 0], rays_o[:, 0])

    def forward(
        self, x: Tensor, directions: Tensor, ray: Tensor, condition: Tensor,
        slot: Tensor | None = None, bf16: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `HeadField.forward`; the last result is [M,2] ambient coordinates in (-1,1)."""
        low, high = self.aabb[:3], self.aabb[3:]
        frame = None if slot is None else slot[ray]
        position = ops.grid_encode((x - low) / (high - low), self.position_table, self.position_spec)
        ambient = torch.tanh(self.ambient_net([position], condition, frame, bf16))
        moved = ops.grid_encode(ambient * 0.5 + 0.5, self.ambient_table, self.ambient_spec)
        out = self.density_net([position, moved], bf16=bf16)
        sigma = DENSITY_SCALE * TruncatedExp.apply(out[:, 0])
        return sigma, torch.sigmoid(directed_colour(self.colour_net, out, directions, ray, bf16)), ambient
