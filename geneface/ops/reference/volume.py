"""Definition of volume rendering along rays."""
from __future__ import annotations

import torch
from torch import Tensor


def composite(
    sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, early_stop: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    """Volume rendering by the quadrature of Max (1995), as in NeRF.

    alpha_i = 1 - exp(-sigma_i dt_i), T_i = prod over j < i of (1 - alpha_j), w_i = T_i alpha_i;
    w_i = 0 from the first sample whose transmittance T_i is below `early_stop`.

    Args:
        sigma: [M] densities, >= 0.
        rgb: [M,C] colours, or any other channels to be composited.
        t, dt: [M] depths and interval lengths, as from `march_rays`.
        offsets: [N+1] int64 samples of each ray.
        early_stop: transmittance below which a ray is taken as opaque.

    Returns:
        image [N,C] = sum of w_i rgb_i (no background), alpha [N] = sum of w_i,
        depth [N] = sum of w_i t_i. Differentiable with respect to `sigma` and `rgb`.
    """
    t, dt = t.detach(), dt.detach()
    counts = offsets.diff()
    rays = len(counts)
    width = int(counts.amax()) if rays else 0
    if width == 0:
        nothing = (sigma.sum() + rgb.sum()) * 0  # keeps the graph connected
        zeros = sigma.new_zeros(rays)
        return sigma.new_zeros(rays, rgb.shape[1]) + nothing, zeros + nothing, zeros + nothing
    slots = torch.arange(width, device=sigma.device) < counts[:, None]  # [N,K], row-major like the samples

    def padded(values: Tensor) -> Tensor:
        return values.new_zeros(rays, width).masked_scatter(slots, values)

    used = slice(int(offsets[0]), int(offsets[-1]))
    optical = padded((sigma * dt)[used])
    transmittance = torch.exp(-(optical.cumsum(1) - optical))
    weights = transmittance * -torch.expm1(-optical) * (transmittance.detach() >= early_stop)
    image = torch.stack([(weights * padded(channel[used])).sum(1) for channel in rgb.unbind(1)], dim=1)
    return image, weights.sum(1), (weights * padded(t[used])).sum(1)


def composite_weights(sigma: Tensor, dt: Tensor, offsets: Tensor, early_stop: float = 1e-4) -> Tensor:
    """Compositing weights w_i of samples, as `composite` defines them: their shares of their ray's light.

    Returns:
        [M], zero for samples of no ray. Not differentiable.
    """
    sigma, dt = sigma.detach(), dt.detach()
    weights = torch.zeros_like(sigma)
    samples = slice(int(offsets[0]), int(offsets[-1]))
    optical = (sigma * dt)[samples].double()
    before = torch.nn.functional.pad(optical.cumsum(0), (1, 0))
    before = before[:-1] - before[(offsets[:-1] - offsets[0])].repeat_interleave(offsets.diff())
    weights[samples] = (torch.exp(-before) * -torch.expm1(-optical) * (torch.exp(-before) >= early_stop)).to(sigma.dtype)
    return weights


def composite_alive(
    alive: Tensor, sigma: Tensor, rgb: Tensor, t: Tensor, dt: Tensor, offsets: Tensor, transmittance: Tensor,
    image: Tensor, alpha: Tensor, depth: Tensor, max_samples: int, early_stop: float = 1e-4,
) -> Tensor:
    """Add the samples of one round of `march_alive` to the rays' light.

    Args:
        alive: [A] int64 numbers of the rays, each at most once.
        sigma, t, dt: [M]. rgb: [M,C]. offsets: [A+1] int64. As for `composite`, for the rays `alive`.
        transmittance: [N], changed in place: light that is still let through; begins as ones.
        image: [N,C]. alpha, depth: [N]. Changed in place; begin as zeros, end as from `composite`.
        max_samples: what `march_alive` was called with: a ray with fewer samples is finished.
        early_stop: transmittance below which a ray is finished.

    Returns:
        [A'] those of `alive` that are not finished. Not differentiable.
    """
    sigma, rgb = sigma.detach(), rgb.detach()
    values = torch.cat([rgb, t[:, None], torch.ones_like(t)[:, None]], dim=1)
    slots = offsets.diff().amax() if len(alive) else 0
    for slot in range(int(slots)):
        going = (offsets.diff() > slot) & (transmittance[alive] >= early_stop)
        ray, sample = alive[going], offsets[:-1][going] + slot
        opacity = -torch.expm1(-sigma[sample] * dt[sample])
        light = (transmittance[ray] * opacity)[:, None] * values[sample]
        image[ray] += light[:, :-2]
        depth[ray] += light[:, -2]
        alpha[ray] += light[:, -1]
        transmittance[ray] *= 1 - opacity
    return alive[(transmittance[alive] >= early_stop) & (offsets.diff() == max_samples)]
