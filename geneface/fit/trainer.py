"""Optimisation of a portrait: one step, its schedules, and its guard against numbers that are not."""
from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from .. import ops
from ..config import FitConfig
from ..nerf.cameras import camera_rays, invert_rigid
from ..nerf.head import HeadField
from ..nerf.portrait import HeadSamples, Portrait, over
from ..nerf.torso import MARGIN, pose_values
from .losses import LossWeights, patch_distance, portrait_losses
from .optimiser import FieldAdam
from .sampler import RayBatch, RaySampler

MAX_SAMPLES = 64
COARSE = 2.5  # samples start this many times as far apart as they end
COARSE_UNTIL = 0.15  # share of the fit
MASK_EARLY = 10.0  # the head mask weighs this many times as much at the start
MASK_EARLY_UNTIL = 0.1
OCCUPANCY_EVERY = 16
OCCUPANCY_START = 256  # first step that may empty cells
# Steps after which a cell that went dark is half forgotten. A surface cell (weight 0.3 and more) is kept
# for four half-lives: long enough for a rare mouth shape to come round, short enough to shed the first fog.
OCCUPANCY_HALF_LIFE = 300.0
OCCUPANCY_THRESHOLD = 0.02  # share of a ray's light
# From WATCH_FROM on, surfaces are drawn together; near its end a fit keeps, for good, only the cells that have given
# some ray CULL_THRESHOLD of its light since then, and their neighbours, and finishes the field within them: 8.5
# samples a ray become 5.9 in training and rendering. Without the neighbours, rays step over thin surfaces, which
# shows as holes. Fewer steps than CULL_STEPS cannot have shown every expression.
WATCH_FROM, CULL_FROM = 0.65, 0.85  # shares of the fit
SPREAD_LATE = 4.0  # the depth's spread weighs this many times as much from WATCH_FROM on
CULL_THRESHOLD = 0.05
CULL_STEPS = 256
EMA_EVERY = 8
WARM_UP = 100
LEAST_RAYS = 768
UNSEEN = 512  # places of the torso's picture drawn per step
MOTION_LR = 0.25  # of the networks': a torso whose motion is found in larger steps trembles, and blurs
MAX_ROLLBACKS = 3
PATCH = 64  # side of the patches of the perceptual loss [px]
POSES_FROM = 300  # first step that corrects poses
ABSORB_EVERY = 500


class NotFinite(ArithmeticError):
    """A loss or gradient that is NaN or infinite; the message names the tensor and the frames."""


class Trainer:
    """Fits a portrait's parameters to a person's training frames.

    Attributes:
        portrait: being fitted.
        average: name -> exponential moving average of its parameters: what is kept.
        optimisers: "head", "torso" and, where poses are corrected, "pose"; Adam each.
        step_count, seconds: done so far, earlier runs included.
    """

    def __init__(
        self, portrait: Portrait, sampler: RaySampler, driving: Tensor, poses: Tensor, intrinsics: Tensor,
        config: FitConfig, perceptual: nn.Module | None = None,
    ) -> None:
        """
        Args:
            portrait: on the device that is to compute.
            driving: [T,69,3] `MotionSequence.driving` of the training frames [m]; [T,68,3] for a straight look.
            poses: [T,4,4] head-to-camera transforms of the same, as tracked.
            intrinsics: [3,3] [px].
            perceptual: distance of two pictures [1,3,H,W]; None to fit without.
        """
        self.device = portrait.head.aabb.device
        driving, poses, intrinsics = (value.to(self.device) for value in (driving, poses, intrinsics))
        self._perceptual = perceptual
        self.portrait, self.sampler, self.config = portrait, sampler, config
        height, width = portrait.torso_region.shape
        self._side = max(width, height)
        self._driving, self._intrinsics = portrait.head.whole(driving), intrinsics
        self._poses, self._cam_to_world = poses, invert_rigid(poses)
        self._pose_features = portrait.pose.features(poses, self._driving)
        self._pose_values = pose_values(driving, poses, intrinsics, self._side)
        self._distance = float(poses[:, 2, 3].mean())
        # On the CPU, whatever the device: a seed then draws the same numbers everywhere.
        self._generator = torch.Generator().manual_seed(config.seed)
        self.average = {name: value.detach().clone() for name, value in portrait.named_parameters()}
        self.optimisers = {
            "head": self._adam(list(portrait.head.named_parameters())),
            "torso": self._adam([*portrait.torso.named_parameters(), ("motions", portrait.torso_motions)]),
        }
        if config.correct_poses:
            groups = [
                {"params": [portrait.pose.weight], "base_lr": config.lr_pose, "tables": False},
                # Seldom in a batch, each row still moves for about ten steps after one.
                {"params": [portrait.pose.residual], "base_lr": config.lr_pose / 5, "tables": False},
            ]
            self.optimisers["pose"] = FieldAdam(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-15, fused=True)
        self.step_count, self.seconds = 0, 0.0
        self.learning_rate_scale = 1.0
        self._rays = LEAST_RAYS
        self._watched, self._culled = 0, False
        self.samples_per_ray = 0.0

    def _adam(self, parameters: list[tuple[str, nn.Parameter]]) -> FieldAdam:
        groups = [
            {"params": [], "base_lr": self.config.lr_grid, "tables": True},
            {"params": [], "base_lr": self.config.lr_net, "tables": False},
            {"params": [], "base_lr": MOTION_LR * self.config.lr_net, "tables": False},
        ]
        for name, value in parameters:
            kind = 0 if name.endswith("table") else 2 if name.startswith(("motions", "predict.")) else 1
            groups[kind]["params"].append(value)
        groups = [group for group in groups if group["params"]]
        # instant-NGP's epsilon: rarely touched cells take full steps when they are.
        return FieldAdam(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-15, fused=True)

    @property
    def progress(self) -> float:
        """Share of the budget used: time or steps, whichever is further on."""
        return max(self.step_count / self.config.steps, self.seconds / (60 * self.config.minutes))

    @property
    def sample_step(self) -> float:
        """Sample distance now [m]."""
        coarse = COARSE ** max(0.0, 1 - self.progress / COARSE_UNTIL)
        return self.config.step_mm / 1000 * coarse

    def state(self) -> dict:
        """JSON state beside parameters and optimisers, for checkpoints."""
        return {
            "step": self.step_count, "seconds": self.seconds, "rays": self._rays,
            "learning_rate_scale": self.learning_rate_scale, "generator": self._generator.get_state().tolist(),
            "watched": self._watched, "culled": self._culled,
        }

    def restore(self, state: dict) -> None:
        """Go on from `state()`, with the portrait as it was then."""
        # Axes of the landmarks' motion are the portrait's: made anew elsewhere, they may point the other way.
        self._pose_features = self.portrait.pose.features(self._poses, self._driving)
        self.step_count, self.seconds, self._rays = state["step"], state["seconds"], state["rays"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self._generator.set_state(torch.tensor(state["generator"], dtype=torch.uint8))
        self._watched, self._culled = state.get("watched", 0), state.get("culled", False)  # older checkpoints lack them

    def loss_weights(self) -> LossWeights:
        weights = LossWeights()
        early = max(0.0, 1 - self.progress / MASK_EARLY_UNTIL)
        late = SPREAD_LATE if self.progress >= WATCH_FROM else 1.0
        return replace(
            weights, head_mask=weights.head_mask * (1 + (MASK_EARLY - 1) * early), spread=weights.spread * late,
            perceptual=self.config.perceptual,
        )

    @property
    def _patch(self) -> int:
        """Side of the patch that the perceptual loss sees in this step, 0 for none.

        It comes late, on a face that stands, and in every other step, since it takes rays from the rest of the frames.
        """
        wanted = self._perceptual is not None and self.config.perceptual > 0
        late = self.progress >= self.config.perceptual_from and self.step_count % 2 == 0
        return PATCH if wanted and late else 0

    def step(self) -> dict[str, float]:
        """One optimisation step; returns the loss terms.

        Raises:
            NotFinite: a loss or gradient is not finite; parameters are then as before the step.
        """
        began = time.perf_counter()
        self._set_learning_rates()
        patch = self._patch
        batch = self.sampler.next(max(LEAST_RAYS, self._rays - patch**2), patch).to(self.device)
        terms, samples = self._losses(batch)
        total = torch.stack(list(terms.values())).sum()
        if not total.isfinite():
            self._explain(terms, batch)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        self._check_gradients(batch)
        for optimiser in self.optimisers.values():
            optimiser.step()
        self.step_count += 1
        self._update_occupancy(samples)
        self._update_average()
        if self.config.correct_poses and self.step_count % ABSORB_EVERY == 0:
            self.portrait.pose.absorb(self._pose_features)
        if not patch:  # a patch's rays are not like the others
            self.samples_per_ray = len(samples.t) / max(len(batch), 1)
            wanted = self.config.samples / max(self.samples_per_ray, 0.5)
            self._rays = int(min(max(wanted, LEAST_RAYS), self.config.rays))
        self.seconds += time.perf_counter() - began
        return {name: value.item() for name, value in terms.items()}

    def _set_learning_rates(self) -> None:
        decay = self.config.lr_decay ** min(self.progress, 1.0) * self.learning_rate_scale
        for name, optimiser in self.optimisers.items():
            # A pose has nothing to learn from a field that is still fog.
            waited = self.step_count - (POSES_FROM if name == "pose" else 0)
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * decay * min(max((waited + 1) / WARM_UP, 0.0), 1.0)

    def _losses(self, batch: RayBatch) -> tuple[dict[str, Tensor], HeadSamples]:
        portrait, config = self.portrait, self.config
        rays = camera_rays(self._intrinsics, self._cam_to_world[batch.frames][batch.slot], batch.pixels)
        if config.correct_poses:
            rays = portrait.pose.rays(*rays, batch.slot, self._pose_features[batch.frames], batch.frames)
        rays_o, rays_d = rays
        condition = portrait.head.encoder(self._driving[batch.frames], config.condition_noise, self._generator)
        samples = portrait.sample_head(
            rays_o, rays_d, condition, batch.slot, self.sample_step, MAX_SAMPLES,
            jitter=torch.rand(len(batch), generator=self._generator).to(self.device), amp=config.amp,
        )
        magnitude = samples.motion.abs().mean(-1, keepdim=True)
        # Depth and its square are composited as further channels: their gradient thins the surface.
        depth = ((samples.t - self._distance) / 0.01)[:, None]
        image, alpha, _ = ops.composite(
            samples.sigma, torch.cat([samples.rgb, magnitude, depth, depth.square()], dim=1), samples.t, samples.dt,
            samples.offsets,
        )
        image, motion, depth, square = image[:, :3], image[:, 3], image[:, 4], image[:, 5]
        opaque = alpha.clamp(min=0.1)
        spread = (square / opaque - (depth / opaque).square()).clamp(min=0)
        torso_rgb, torso_alpha, evaluated = self._torso(batch)
        behind = over(torso_rgb * torso_alpha[:, None], torso_alpha, batch.plate)
        rendered, weights = over(image, alpha, behind), self.loss_weights()
        terms = portrait_losses(
            rendered, alpha, motion, spread, torso_rgb, torso_alpha, portrait.torso_motions[batch.frames], evaluated,
            batch, weights,
        )
        terms["unseen_torso"] = weights.unseen_torso * self._unseen_torso()
        if isinstance(portrait.head, HeadField):
            terms["displacement"] = weights.displacement * samples.motion[:, :3].square().mean()
        if config.correct_poses:
            terms["pose"] = weights.pose * portrait.pose.size(batch.frames)
        if batch.patch:
            terms["perceptual"] = weights.perceptual * patch_distance(self._perceptual, rendered, batch)
        return terms, samples

    def _torso(self, batch: RayBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Torso where it is visible, or known behind the head; zeros elsewhere."""
        portrait = self.portrait
        x, y = batch.pixels.long().unbind(1)
        evaluated = portrait.torso_region[y, x] & ((batch.head < 0.98) | (batch.hidden > 0))
        rows = torch.nonzero(evaluated).flatten()
        rgb, alpha = (batch.rgb.new_zeros(len(batch), *shape) for shape in ((3,), ()))
        if len(rows):
            motion = portrait.torso.predict(self._pose_values[batch.frames]) + portrait.torso_motions[batch.frames]
            values = portrait.torso(batch.pixels[rows] / self._side, motion, batch.slot[rows], self.config.amp)
            rgb, alpha = (zeros.index_copy(0, rows, value) for zeros, value in zip((rgb, alpha), values))
        return rgb, alpha, evaluated

    def _unseen_torso(self) -> Tensor:
        """Opacity of the torso's picture where no frame shows it: a head turned far would bend it into sight.

        Left alone are the margin beyond the image, where the shoulders go on, and all places near the torso.
        """
        region = self.portrait.torso_region
        image = torch.rand(UNSEEN, 2, generator=self._generator).to(self.device)  # in image sides
        x, y = (image * self._side).long().unbind(1)
        within = (y < region.shape[0]) & (x < region.shape[1])
        empty = within & ~region[y.clamp(max=region.shape[0] - 1), x.clamp(max=region.shape[1] - 1)]
        _, alpha = self.portrait.torso.picture(MARGIN + (1 - 2 * MARGIN) * image, self.config.amp)
        return (alpha * empty).mean()

    def _explain(self, terms: dict[str, Tensor], batch: RayBatch) -> None:
        bad = [name for name, value in terms.items() if not value.isfinite()]
        damaged = [name for name, value in self.portrait.named_parameters() if not value.isfinite().all()]
        raise NotFinite(
            f"step {self.step_count}: loss {', '.join(bad)} is not finite on training frames "
            f"{batch.frames.tolist()}" + (f"; parameters {', '.join(damaged)} are not finite" if damaged else "")
        )

    def _check_gradients(self, batch: RayBatch) -> None:
        gradients = {name: value.grad for name, value in self.portrait.named_parameters() if value.grad is not None}
        # One sum over norms finds trouble; names are looked up only then.
        if torch.stack(torch._foreach_norm(list(gradients.values()))).sum().isfinite():
            return
        bad = [name for name, value in gradients.items() if not value.isfinite().all()]
        raise NotFinite(
            f"step {self.step_count}: gradient of {', '.join(bad)} is not finite on training frames "
            f"{batch.frames.tolist()}"
        )

    def _update_occupancy(self, samples: HeadSamples) -> None:
        if self._culled:
            return
        grid = self.portrait.occupancy
        watching = self.progress >= WATCH_FROM and self.step_count > OCCUPANCY_START
        if self.step_count == OCCUPANCY_START // 2 or (watching and not self._watched):
            grid.decay(0.0)  # from here on, only what is seen
        if self.step_count >= OCCUPANCY_START // 2 and len(samples.t):
            grid.record(samples.x, samples.weights(), self.portrait.head.aabb)
        if watching:
            self._watched += 1
            if self.progress >= CULL_FROM and self._watched >= CULL_STEPS:
                grid.refresh(CULL_THRESHOLD, margin=1)
                self._culled = True
        elif self.step_count >= OCCUPANCY_START and self.step_count % OCCUPANCY_EVERY == 0:
            half_lives = OCCUPANCY_EVERY / OCCUPANCY_HALF_LIFE
            grid.refresh(OCCUPANCY_THRESHOLD, margin=1, decay=0.5**half_lives)

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.step_count % EMA_EVERY:
            return
        # A young average would remember the initialisation.
        decay = min(self.config.ema, (1 + self.step_count) / (10 + self.step_count)) ** EMA_EVERY
        parameters = dict(self.portrait.named_parameters())
        torch._foreach_lerp_(list(self.average.values()), [parameters[name] for name in self.average], 1 - decay)

    def averaged(self) -> "_Averaged":
        """Context in which the portrait holds the averaged weights."""
        return _Averaged(self)


class _Averaged:
    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    @torch.no_grad()
    def __enter__(self) -> Portrait:
        self._own = {}
        for name, value in self._trainer.portrait.named_parameters():
            self._own[name] = value.detach().clone()
            value.copy_(self._trainer.average[name])
        return self._trainer.portrait

    @torch.no_grad()
    def __exit__(self, *_) -> None:
        for name, value in self._trainer.portrait.named_parameters():
            value.copy_(self._own[name])
