"""One optimisation step of a fit, on rays of the formula head."""
from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config import FitConfig
from ..fit.sampler import RayBatch
from ..fit.trainer import Trainer
from .scene import FITTED_SKIN, FRAMES, Scene
from .timing import Timing, measure

RAYS = 4096
FRAMES_PER_STEP = 6
ON_HEAD = 0.8  # share of rays drawn where the head is, as the sampler of a fit draws them
STEP_MM = 3.3  # sample distance that makes 60,000 samples of them
MIDDLE = 30_000  # steps done: past the schedules of a young fit


class FormulaRays:
    """Stands in for `fit.sampler.RaySampler`: pixels drawn at random, colours too."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._random = torch.Generator().manual_seed(0)

    def next(self, rays: int, patch: int = 0) -> RayBatch:
        """`rays` rays of six of the scene's frames."""
        size = self._scene.size

        def draw(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=self._random)

        frames = torch.randperm(FRAMES, generator=self._random)[:FRAMES_PER_STEP]
        slot = torch.arange(rays) * FRAMES_PER_STEP // rays
        # Evenly over the head's ellipse, then over the picture.
        radius, angle = draw(rays).sqrt(), draw(rays) * 2 * torch.pi
        ellipse = torch.stack([0.255 * angle.cos(), 0.375 * angle.sin()], -1) * radius[:, None] + 0.5
        on_head = draw(rays) < ON_HEAD
        pixels = torch.where(on_head[:, None], ellipse, draw(rays, 2)) * size
        pixels = pixels.floor().clamp(0, size - 1) + 0.5
        torso = ~on_head & (pixels[:, 1] > 0.7 * size)
        return RayBatch(
            frames=frames, slot=slot, pixels=pixels, rgb=draw(rays, 3), head=on_head.float(), torso=torso.float(),
            background=(~on_head & ~torso).float(), plate=draw(rays, 3), on_face=on_head,
            hidden=(on_head & (pixels[:, 1] > 0.8 * size)).float(), hidden_torso=draw(rays, 4),
        )


@dataclass(frozen=True)
class StepTiming:
    """A training step.

    Attributes:
        timing: of forward, backward and optimiser together.
        rays, samples: in it.
    """

    timing: Timing
    rays: int
    samples: int


def time_step(device: torch.device, seconds: float, least: int, rays: int = RAYS) -> StepTiming:
    """Time the steps of `fit` with the kernels in use, after a few that are not counted."""
    scene = Scene(512, FITTED_SKIN, device)
    config = FitConfig(rays=rays, samples=10**9, steps=2 * MIDDLE, minutes=1e9, step_mm=STEP_MM)
    trainer = Trainer(scene.portrait, FormulaRays(scene), scene.driving, scene.poses, scene.intrinsics, config)
    trainer.step_count = MIDDLE
    for _ in range(2 if least > 1 else 1):  # the first step has few rays
        trainer.step()
    timing = measure(trainer.step, seconds, least, device, warm_up=least > 1)
    return StepTiming(timing, rays, round(trainer.samples_per_ray * rays))
