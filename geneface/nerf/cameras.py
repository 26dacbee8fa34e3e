"""Rays of a pinhole camera, in head space."""
from __future__ import annotations

import torch
from torch import Tensor


def camera_rays(intrinsics: Tensor, cam_to_world: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Rays through image positions.

    Args:
        intrinsics: [3,3] pinhole matrix [px].
        cam_to_world: [N,4,4] or [4,4] camera-to-head transforms [m].
        pixels: [N,2] image positions [px], x then y; the centre of the top left pixel is (0.5, 0.5).

    Returns:
        rays_o [N,3] [m] and rays_d [N,3] unit vectors, both in head space.
    """
    focal = torch.stack([intrinsics[0, 0], intrinsics[1, 1]])
    centre = intrinsics[:2, 2]
    plane = torch.nn.functional.pad((pixels - centre) / focal, (0, 1), value=1.0)
    directions = torch.nn.functional.normalize(plane, dim=-1)
    rotation, origin = cam_to_world[..., :3, :3], cam_to_world[..., :3, 3]
    rays_d = (rotation @ directions[..., None]).squeeze(-1) if rotation.dim() == 3 else directions @ rotation.T
    return origin.expand_as(rays_d), rays_d


def project(points: Tensor, intrinsics: Tensor, head_to_camera: Tensor) -> Tensor:
    """Image positions of head-space points.

    Args:
        points: [T,P,3] or [P,3] points [m].
        intrinsics: [3,3] pinhole matrix [px].
        head_to_camera: [T,4,4] rigid transforms [m].

    Returns:
        [T,P,2] [px].
    """
    rotation, translation = head_to_camera[:, :3, :3], head_to_camera[:, :3, 3]
    camera = points @ rotation.transpose(1, 2) + translation[:, None]
    image = camera @ intrinsics.T
    return image[..., :2] / image[..., 2:]


def invert_rigid(transform: Tensor) -> Tensor:
    """Inverse of rigid transforms [...,4,4]."""
    rotation = transform[..., :3, :3].transpose(-1, -2)
    out = torch.zeros_like(transform)
    out[..., :3, :3] = rotation
    out[..., :3, 3] = -(rotation @ transform[..., :3, 3:]).squeeze(-1)
    out[..., 3, 3] = 1
    return out


def image_pixels(width: int, height: int, device: torch.device | None = None) -> Tensor:
    """[H*W,2] centres of all pixels [px], row by row."""
    rows, columns = (torch.arange(count, device=device) + 0.5 for count in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)
