"""A whole fitted person: head field, torso, background, and how rays of a frame are rendered."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import ops
from .head import HeadField, HeadSpec
from .occupancy import OccupancyGrid
from .pose import PoseCorrection
from .radnerf import RadNerfHead, RadNerfSpec
from .torso import TorsoField, TorsoSpec

MIN_NEAR_M = 0.05


@dataclass
class HeadSamples:
    """Samples of rays and what the field says there.

    Attributes:
        x: [M,3] positions [m]. ray: [M] ray of each. t, dt: [M] depths and lengths [m]. offsets: [N+1].
        sigma: [M] densities [1/m]. rgb: [M,3]. motion: [M,*], as `HeadField` gives it.
    """

    x: Tensor
    ray: Tensor
    t: Tensor
    dt: Tensor
    offsets: Tensor
    sigma: Tensor
    rgb: Tensor
    motion: Tensor

    def weights(self) -> Tensor:
        """[M] compositing weights: the share of the ray's light that comes from each sample."""
        return ops.composite_weights(self.sigma, self.dt, self.offsets)


class Portrait(nn.Module):
    """Head and torso of one person.

    Attributes:
        head, torso: the fields.
        occupancy: where the head is.
        pose: corrects tracked head poses.
        torso_motions: [T,M] what the pose does not tell of the torso's motion in each training frame.
        torso_region: [H,W] bool, pixels where the torso was ever seen, and a margin.
    """

    def __init__(
        self, head: HeadSpec | RadNerfSpec, torso: TorsoSpec, frames: int, grid_size: int, width: int, height: int
    ) -> None:
        super().__init__()
        self.head = RadNerfHead(head) if isinstance(head, RadNerfSpec) else HeadField(head)
        self.torso = TorsoField(torso)
        self.occupancy = OccupancyGrid(grid_size)
        self.pose = PoseCorrection(frames, head.driving)
        self.torso_motions = nn.Parameter(torch.zeros(frames, torso.motion))
        self.register_buffer("torso_region", torch.ones(height, width, dtype=torch.bool))

    def sample_head(
        self, rays_o: Tensor, rays_d: Tensor, condition: Tensor, slot: Tensor | None,
        step: float, max_samples: int, jitter: Tensor | None = None, amp: bool = False,
    ) -> HeadSamples:
        """March rays through the occupied cells and evaluate the head field.

        Args:
            rays_o, rays_d: [N,3] rays in head space [m], unit directions.
            condition: [F,*] as for `HeadField`.
            slot: [N] frame of each ray, or None where F = 1.
            step: sample distance [m].
            amp: networks in bfloat16.
        """
        aabb = self.head.aabb
        nears, fars = ops.near_far_from_aabb(rays_o, rays_d, aabb, MIN_NEAR_M)
        t, dt, offsets = ops.march_rays(
            rays_o, rays_d, nears, fars, self.occupancy.bits, aabb, self.occupancy.size, step, max_samples, jitter
        )
        x, ray = ops.sample_points(rays_o, rays_d, t, offsets)
        directions = ops.spherical_harmonics(rays_d)
        sigma, rgb, motion = self.head(x, directions, ray, condition, slot, amp)
        return HeadSamples(x, ray, t, dt, offsets, sigma, rgb, motion)


def over(front: Tensor, alpha: Tensor, back: Tensor) -> Tensor:
    """[N,C] premultiplied `front` of opacity `alpha` [N] before `back`."""
    return front + (1 - alpha[:, None]) * back
