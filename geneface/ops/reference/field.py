"""Definition of the head field and of rays through it."""
from __future__ import annotations

import torch
from torch import Tensor

from ..moving_field import MovingField
from .grid import grid_encode
from .harmonics import spherical_harmonics
from .rays import march_rays, near_far_from_aabb
from .volume import composite


def evaluate_field(
    x: Tensor, directions: Tensor, field: MovingField, condition: Tensor, motion_bias: Tensor, colour_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Density and colour at points.

    The motion grid says what kind of place the point is. From that the motion network draws a displacement, to where
    the point is at rest, and gates on the condition. The position grid there and the gated condition are the density
    network's inputs, and its further outputs with the direction those of the colour network.

    Args:
        x: [M,3] positions [m].
        directions: [M,16] spherical harmonics of the view directions.
        condition: [C] what drives the frame.
        motion_bias: [H] added to the motion network's first layer: the condition's part in it.
        colour_bias: [H] added to the colour network's first layer: the appearance's part in it.

    Returns:
        sigma [M] [1/m], rgb [M,3] in [0,1].
    """
    low, high = field.aabb[:3], field.aabb[3:]
    place = grid_encode((x - low) / (high - low), field.motion_table.to(x.dtype), field.motion_spec)
    motion = torch.tanh(_network(place, field.motion_net, motion_bias))
    at_rest = (x + field.reach * motion[:, :3] - low) / (high - low)
    position = grid_encode(at_rest, field.position_table.to(x.dtype), field.position_spec)
    out = _network(torch.cat([position, motion[:, 3:] * condition], dim=1), field.density_net)
    sigma = field.density_scale * torch.exp(out[:, 0].clamp(max=field.density_limit))
    colour = _network(torch.cat([out[:, 1:], directions], dim=1), field.colour_net, colour_bias)
    return sigma, torch.sigmoid(colour)


def render_rays(
    rays_o: Tensor,
    rays_d: Tensor,
    field: MovingField,
    condition: Tensor,
    motion_bias: Tensor,
    colour_bias: Tensor,
    occupancy: Tensor,
    grid_size: int,
    step: float,
    max_samples: int = 64,
    min_near: float = 0.05,
    early_stop: float = 1e-4,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rays through a field: `near_far_from_aabb`, `march_rays`, `evaluate_field` and `composite` in one.

    Args:
        rays_o, rays_d: [N,3] origins [m] and unit directions.
        condition [C], motion_bias [H], colour_bias [H]: the frame's inputs, as for `evaluate_field`.
        occupancy: [ceil(G^3 / 8)] bit field over the field's box, as for `march_rays`.
        grid_size: G, its cells per axis.
        step: sample distance [m].
        max_samples: most samples per ray.
        min_near: least depth [m].
        early_stop: transmittance below which a ray is taken as opaque. Samples behind are not evaluated.

    Returns:
        rgb [N,3] (premultiplied, no background), alpha [N], depth [N] = sum of w_i t_i [m]. Not differentiable.
    """
    with torch.no_grad():
        nears, fars = near_far_from_aabb(rays_o, rays_d, field.aabb, min_near)
        t, dt, offsets = march_rays(rays_o, rays_d, nears, fars, occupancy, field.aabb, grid_size, step, max_samples)
        ray = torch.repeat_interleave(offsets.diff())
        x = rays_o[ray] + t[:, None] * rays_d[ray]
        directions = spherical_harmonics(rays_d)[ray]
        sigma, rgb = evaluate_field(x, directions, field, condition, motion_bias, colour_bias)
        return composite(sigma, rgb, t, dt, offsets, early_stop)


def _network(x: Tensor, weights: tuple[Tensor, ...], bias: Tensor | None = None) -> Tensor:
    """Layers with ReLU between them; `bias` is added to the first."""
    x = torch.nn.functional.linear(x, weights[0], bias)
    for weight in weights[1:]:
        x = torch.nn.functional.linear(x.relu(), weight)
    return x
