"""Definition of the z-buffer rasteriser."""
from __future__ import annotations

import torch
from torch import Tensor


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
