"""A head made of formulas: what the ops are timed on where no avatar is given.

Half an ellipsoid's skin, seen from the front as an avatar's head is at 512 pixels: about 80,000 rays meet it, and
a ray has as many samples as a fitted head leaves it. The field is untrained: it costs what a trained one does.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from .. import ops
from ..nerf.cameras import camera_rays, image_pixels, invert_rigid
from ..nerf.condition import LEAST_DEVIATION_M
from ..nerf.head import HeadSpec
from ..nerf.portrait import MIN_NEAR_M, Portrait
from ..nerf.torso import TorsoSpec, pose_values

RADII_M = (0.075, 0.11, 0.09)  # half axes of the head
DISTANCE_M = 0.6
FOCAL = 2.07  # image sides: the head then covers 31 % of the picture
STEP_M = 0.003
MAX_SAMPLES = 64
GRID_SIZE = 128
FRAMES = 8
# Share of the half axes that the skin is thick: 6 samples a ray, as a fitted head has, and 15, as early in a fit.
RENDERED_SKIN, FITTED_SKIN = 0.1, 0.43


@dataclass(frozen=True)
class Samples:
    """Samples of the picture's rays, ray by ray.

    Attributes:
        rays_o, rays_d: [N,3] the rays [m]. nears, fars: [N]. t, dt: [M]. offsets: [N+1].
        steps: [N] depths tried on each ray.
        x: [M,3] positions in the unit cube of the field's box.
    """

    rays_o: Tensor
    rays_d: Tensor
    nears: Tensor
    fars: Tensor
    t: Tensor
    dt: Tensor
    offsets: Tensor
    steps: Tensor
    x: Tensor


@dataclass(frozen=True)
class Scene:
    """The head, its camera and its field.

    Attributes:
        size: side of the picture [px].
        skin: thickness, as a share of the half axes.
        device: where its tensors are.
    """

    size: int
    skin: float
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def spec(self) -> HeadSpec:
        """As `fit` makes it for 512 pixels."""
        return HeadSpec(max_resolution=1024)

    @cached_property
    def portrait(self) -> Portrait:
        """Untrained; its occupancy is the skin."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            portrait = Portrait(self.spec, TorsoSpec(), FRAMES, GRID_SIZE, self.size, self.size).to(self.device)
        radii = torch.tensor(RADII_M, device=self.device)
        portrait.head.aabb.copy_(torch.cat([-1.1 * radii, 1.1 * radii]))
        centres = portrait.occupancy.centres(portrait.head.aabb)
        radius = (centres / radii).norm(dim=-1)
        skin = (radius < 1) & (radius > 1 - self.skin) & (centres[:, 2] < 0)
        portrait.occupancy.hull.copy_(skin.view_as(portrait.occupancy.hull))
        portrait.occupancy.seen.copy_(portrait.occupancy.hull.float())
        portrait.occupancy.refresh(0.5)
        rows = torch.arange(self.size, device=self.device)
        portrait.torso_region.copy_((rows > 0.6 * self.size)[:, None].expand(self.size, self.size))
        portrait.head.encoder.standardise.set(self.driving.flatten(1), LEAST_DEVIATION_M)
        pose = pose_values(self.landmarks, self.poses, self.intrinsics, self.size)
        portrait.torso.predict.set(pose)
        return portrait

    @cached_property
    def intrinsics(self) -> Tensor:
        """[3,3] pinhole matrix [px]."""
        focal, centre = FOCAL * self.size, self.size / 2
        return torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]], device=self.device)

    @cached_property
    def poses(self) -> Tensor:
        """[FRAMES,4,4] head-to-camera transforms [m]: the head shifts a little."""
        poses = torch.eye(4).repeat(FRAMES, 1, 1)
        poses[:, 0, 3] = torch.linspace(-0.005, 0.005, FRAMES)
        poses[:, 2, 3] = DISTANCE_M
        return poses.to(self.device)

    @cached_property
    def landmarks(self) -> Tensor:
        """[FRAMES,68,3] points of the face [m], moving a little."""
        generator = torch.Generator().manual_seed(0)
        angles = torch.rand(68, 2, generator=generator) * torch.pi - torch.pi / 2
        directions = torch.stack(
            [angles[:, 0].sin(), angles[:, 1].sin() * angles[:, 0].cos(), -angles[:, 0].cos() * angles[:, 1].cos()], -1
        )
        still = directions * torch.tensor(RADII_M)
        return (still + 0.002 * torch.randn(FRAMES, 68, 3, generator=generator)).to(self.device)

    @cached_property
    def driving(self) -> Tensor:
        """[FRAMES,69,3] what drives the head: the landmarks, and a straight look."""
        return torch.cat([self.landmarks, torch.zeros_like(self.landmarks[:, :1])], dim=1)

    @cached_property
    def rays(self) -> tuple[Tensor, Tensor]:
        """rays_o, rays_d [N,3] of the pixels that show the head, row by row."""
        pixels = image_pixels(self.size, self.size, self.device)
        rays_o, rays_d = camera_rays(self.intrinsics, invert_rigid(self.poses[0]), pixels)
        radii = torch.tensor(RADII_M, device=self.device)
        o, d = rays_o / radii, rays_d / radii
        hit = (o * d).sum(-1).square() > d.square().sum(-1) * (o.square().sum(-1) - 1)
        return rays_o[hit].contiguous(), rays_d[hit].contiguous()

    def samples(self, rays: int) -> Samples:
        """Samples of `rays` neighbouring rays in the middle of the picture."""
        rays_o, rays_d = self.rays
        first = max(0, (len(rays_o) - rays) // 2)
        rays_o, rays_d = rays_o[first : first + rays], rays_d[first : first + rays]
        occupancy, aabb = self.portrait.occupancy, self.portrait.head.aabb
        nears, fars = ops.near_far_from_aabb(rays_o, rays_d, aabb, MIN_NEAR_M)
        t, dt, offsets = ops.march_rays(
            rays_o, rays_d, nears, fars, occupancy.bits, aabb, occupancy.size, STEP_M, MAX_SAMPLES
        )
        ray = torch.repeat_interleave(offsets.diff())
        x = (rays_o[ray] + t[:, None] * rays_d[ray] - aabb[:3]) / (aabb[3:] - aabb[:3])
        met = nears.isfinite() & (fars > nears)
        steps = torch.where(met, (fars - nears) / STEP_M, torch.zeros_like(nears))
        return Samples(rays_o, rays_d, nears, fars, t, dt, offsets, steps, x)
