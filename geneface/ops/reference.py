"""The definition of every op, in plain PyTorch.

Short rather than fast. Differentiable by autograd where the docstring says so; every other back end
must give the same values and gradients. Arguments are as documented here, checked in `geneface.ops`.
"""
from __future__ import annotations

import torch
from torch import Tensor

from .grid_spec import GridSpec

# Primes of the spatial hash (Teschner et al. 2003; first axis unmultiplied as in Müller et al. 2022).
HASH_PRIMES = (1, 2654435761, 805459861)


def grid_encode(x: Tensor, table: Tensor, spec: GridSpec) -> Tensor:
    """Multiresolution grid features at positions, by bilinear or trilinear interpolation.

    Args:
        x: [N,D] positions in the unit square or cube; values outside are clamped.
        table: [P,C] feature rows, P = spec.rows, C = spec.features.
        spec: layout of the table.

    Returns:
        [N,L*C] features, level by level. Differentiable with respect to `x` (zero gradient where
        clamped) and `table`.
    """
    x = x.clamp(0, 1)
    corners = torch.cartesian_prod(*[torch.arange(2, device=x.device)] * spec.dims)  # [2^D,D]
    sizes = [b - a for a, b in zip(spec.offsets, spec.offsets[1:])]
    encoded = []
    for level, rows in enumerate(table.split(sizes)):
        resolution = spec.resolutions[level]
        position = x * resolution
        cell = position.detach().floor().clamp(max=resolution - 1)
        fraction = (position - cell)[:, None]  # [N,1,D]
        weights = torch.where(corners.bool(), fraction, 1 - fraction).prod(-1)  # [N,2^D]
        index = _row(cell.long()[:, None] + corners, level, spec)
        features = torch.nn.functional.embedding(index, rows)  # [N,2^D,C]
        encoded.append((weights[..., None] * features).sum(1))
    return torch.cat(encoded, dim=1)


def _row(vertex: Tensor, level: int, spec: GridSpec) -> Tensor:
    """Table row, within its level, of integer vertices [...,D]."""
    if spec.dense(level) or not spec.hashed:
        side = spec.resolutions[level] + 1
        strides = torch.tensor([side**d for d in range(spec.dims)], device=vertex.device)
        index = (vertex * strides).sum(-1)
    else:
        index = vertex[..., 0] * HASH_PRIMES[0]
        for d in range(1, spec.dims):
            index = index ^ (vertex[..., d] * HASH_PRIMES[d] & 0xFFFFFFFF)
    return index if spec.dense(level) else index & ((1 << spec.log2_table_size) - 1)


def spherical_harmonics(dirs: Tensor, degree: int = 4) -> Tensor:
    """Real spherical harmonics of unit directions, with the Condon-Shortley phase.

    Args:
        dirs: [N,3] unit vectors (not normalised here: values are polynomials of the components).
        degree: number of bands, 1 to 4.

    Returns:
        [N,degree**2]. Differentiable.
    """
    x, y, z = dirs.unbind(-1)
    one = 1 + 0 * x  # keeps band 0 in the graph
    bands = [
        [0.28209479177387814 * one],
        [-0.48860251190291987 * y, 0.48860251190291987 * z, -0.48860251190291987 * x],
        [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.94617469575755997 * z * z - 0.31539156525251999,
            -1.0925484305920792 * x * z,
            0.54627421529603959 * (x * x - y * y),
        ],
        [
            0.59004358992664352 * y * (y * y - 3 * x * x),
            2.8906114426405538 * x * y * z,
            0.45704579946446572 * y * (1 - 5 * z * z),
            0.3731763325901154 * z * (5 * z * z - 3),
            0.45704579946446572 * x * (1 - 5 * z * z),
            1.4453057213202769 * z * (x * x - y * y),
            0.59004358992664352 * x * (3 * y * y - x * x),
        ],
    ]
    return torch.stack([value for band in bands[:degree] for value in band], dim=-1)


def near_far_from_aabb(rays_o: Tensor, rays_d: Tensor, aabb: Tensor, min_near: float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave an axis-aligned box.

    Args:
        rays_o, rays_d: [N,3] origins and directions; a depth is in units of the direction's length.
        aabb: [6] minimum corner, then maximum corner.
        min_near: least depth.

    Returns:
        nears [N], fars [N]; both +inf for a ray that misses. Not differentiable.
    """
    rays_o, rays_d = rays_o.detach(), rays_d.detach()
    low, high = aabb[:3], aabb[3:]
    parallel = rays_d == 0
    inside = (rays_o >= low) & (rays_o <= high)
    a, b = (low - rays_o) / rays_d, (high - rays_o) / rays_d
    infinity = torch.tensor(float("inf"), dtype=rays_o.dtype, device=rays_o.device)
    enter = torch.where(parallel, torch.where(inside, -infinity, infinity), torch.minimum(a, b)).amax(-1)
    leave = torch.where(parallel, torch.where(inside, infinity, -infinity), torch.maximum(a, b)).amin(-1)
    enter = enter.clamp(min=min_near)
    hit = leave > enter
    return torch.where(hit, enter, infinity), torch.where(hit, leave, infinity)


def march_rays(
    rays_o: Tensor,
    rays_d: Tensor,
    nears: Tensor,
    fars: Tensor,
    occupancy: Tensor,
    aabb: Tensor,
    grid_size: int,
    step: float,
    max_samples: int,
    jitter: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of rays in the occupied cells of a grid.

    Ray n is sampled at depths t_k = nears[n] + (k + jitter[n]) * step, k = 0, 1, ..., while
    t_k < fars[n]. Samples in empty cells, or outside the box, are left out; the first `max_samples`
    others are kept.

    Args:
        rays_o, rays_d: [N,3] origins and directions.
        nears, fars: [N] depths; far <= near, or not finite, means no samples.
        occupancy: [ceil(G^3 / 8)] uint8 bit field, cell number x + G * (y + G * z), bit = number & 7.
        aabb: [6] box the grid covers.
        grid_size: G, cells per axis.
        step: sample distance, in units of the direction's length.
        max_samples: most samples per ray.
        jitter: [N] in [0,1), the samples' place in their step. None means 0.5 (midpoints).

    Returns:
        t: [M] sample depths, the middle of their intervals.
        dt: [M] interval lengths.
        offsets: [N+1] int64: samples of ray n are offsets[n] to offsets[n + 1], by increasing depth.
        Not differentiable: positions o + t d are computed by the caller, so that gradients reach
        the rays.
    """
    rays_o, rays_d, nears, fars = (v.detach() for v in (rays_o, rays_d, nears, fars))
    jitter = torch.full_like(nears, 0.5) if jitter is None else jitter.detach()
    low = aabb[:3]
    scale = grid_size / (aabb[3:] - low)
    spans = torch.where(nears.isfinite() & (fars > nears), fars - nears, torch.zeros_like(nears))
    step = torch.tensor(step, dtype=nears.dtype, device=nears.device)
    depths, counts = [], []
    for part in torch.arange(len(nears), device=nears.device).split(4096):
        steps = int((spans[part] / step).ceil().amax()) + 1 if len(part) else 0
        k = torch.arange(steps, dtype=nears.dtype, device=nears.device)
        t = nears[part, None] + (k + jitter[part, None]) * step  # [n,K]
        cell = ((rays_o[part] - low) * scale)[:, None] + t[..., None] * (rays_d[part] * scale)[:, None]
        cell = cell.floor()
        inside = ((cell >= 0) & (cell < grid_size)).all(-1) & (t < fars[part, None]) & (spans[part, None] > 0)
        x, y, z = cell.masked_fill(~inside[..., None], 0).long().unbind(-1)
        number = x + grid_size * (y + grid_size * z)
        kept = inside & ((occupancy[number >> 3].long() >> (number & 7)) & 1).bool()
        kept &= kept.cumsum(1) <= max_samples
        depths.append(t[kept])
        counts.append(kept.sum(1))
    t = torch.cat(depths) if depths else nears.new_empty(0)
    offsets = torch.zeros(len(nears) + 1, dtype=torch.int64, device=nears.device)
    if counts:
        offsets[1:] = torch.cat(counts).cumsum(0)
    return t, step.expand_as(t).clone(), offsets


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


def pack_bits(density: Tensor, threshold: float) -> Tensor:
    """Bit field of the cells denser than a threshold.

    Args:
        density: [K] cell densities.
        threshold: a cell is occupied where density > threshold.

    Returns:
        [ceil(K / 8)] uint8; cell k is bit k & 7 of byte k >> 3. Not differentiable.
    """
    bits = torch.nn.functional.pad(density.detach() > threshold, (0, -len(density) % 8)).view(-1, 8)
    return (bits.to(torch.int32) << torch.arange(8, dtype=torch.int32, device=density.device)).sum(1).to(torch.uint8)


def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest triangle at each pixel centre (z-buffer), both sides drawn.

    A triangle with a vertex at depth <= 0, or without area, is left out (there is no near clipping).
    Where two triangles are equally near, as on a shared edge, the lower index wins.

    Args:
        vertices: [V,3] projected vertices: pixel x, pixel y, depth along the viewing axis.
        triangles: [F,3] int32 vertex indices.
        height, width: image size [px].

    Returns:
        face: [H,W] int32 triangle index, -1 where there is none.
        barycentric: [H,W,3] perspective-correct weights of its vertices, 0 where there is none.
        depth: [H,W] depth, 0 where there is none. Not differentiable.
    """
    device = vertices.device
    corners = vertices.detach().double()[triangles.long()]  # [F,3,(x,y,z)]
    low = (corners[..., :2].amin(1) - 0.5).ceil().clamp(min=0)
    high = (corners[..., :2].amax(1) - 0.5).floor()
    high = torch.minimum(high, torch.tensor([width - 1, height - 1], dtype=torch.float64, device=device))
    extent = (high - low + 1).clamp(min=0).long()  # [F,2] columns and rows of pixel centres in the box
    area = _cross(corners[:, 0], corners[:, 1], corners[:, 2])
    drawn = (corners[..., 2] > 0).all(1) & (area != 0) & corners.isfinite().all(-1).all(-1)
    candidates = extent.prod(1) * drawn

    # One int64 per pixel: depth as the bits of a positive float (which sort like the float), then face.
    nearest = torch.full((height * width,), torch.iinfo(torch.int64).max, device=device)
    chunk = 1 << 21
    part = candidates.cumsum(0) // chunk
    for faces in torch.unique_consecutive(part).tolist() if len(part) else []:
        face = torch.nonzero((part == faces) & (candidates > 0)).flatten()
        number = candidates[face]
        rank = torch.arange(int(number.sum()), device=device) - (number.cumsum(0) - number).repeat_interleave(number)
        face = face.repeat_interleave(number)
        column = low[face, 0].long() + rank % extent[face, 0]
        row = low[face, 1].long() + rank // extent[face, 0]
        _, depth, inside = _interpolate(corners[face], area[face], column, row)
        key = (depth.float().view(torch.int32).long() << 32) | face
        pixel = row * width + column
        nearest.scatter_reduce_(0, pixel[inside], key[inside], "amin")

    found = nearest != torch.iinfo(torch.int64).max
    face = torch.where(found, nearest & 0xFFFFFFFF, -1)
    barycentric = vertices.new_zeros(height * width, 3)
    depth = vertices.new_zeros(height * width)
    pixel = torch.nonzero(found).flatten()
    weights, z, _ = _interpolate(corners[face[pixel]], area[face[pixel]], pixel % width, pixel // width)
    barycentric[pixel] = weights.to(vertices.dtype)
    depth[pixel] = z.to(vertices.dtype)
    return face.int().view(height, width), barycentric.view(height, width, 3), depth.view(height, width)


def _cross(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Twice the signed image area of triangle abc."""
    return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])


def _interpolate(corners: Tensor, area: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Perspective-correct weights [M,3], depth [M] and inside [M] of pixel centres in triangles [M,3,3]."""
    centre = torch.stack([column + 0.5, row + 0.5], dim=-1).to(corners.dtype)
    a, b, c = corners.unbind(1)
    screen = torch.stack([_cross(b, c, centre), _cross(c, a, centre), _cross(a, b, centre)], dim=-1) / area[:, None]
    inside = (screen >= 0).all(-1)
    inverse = screen / corners[..., 2]
    depth = 1 / inverse.sum(-1)
    return inverse * depth[:, None], depth, inside
