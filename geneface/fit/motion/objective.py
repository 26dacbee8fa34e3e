"""One step's losses of generator and baseline, as one module that several processes can share."""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ...config import MotionConfig
from ...motion.baseline import MelRegression
from ...motion.measures import MouthMeasures
from ...motion.vae import STRIDE, MotionGenerator
from .batches import Batch
from .experts import Experts
from .losses import MouthLoss, divergence
from .processes import Processes


class Objective(nn.Module):
    """Losses of a batch.

    Args:
        model, baseline: what trains.
        measures: landmark functionals of the 52 weights.
        experts: frozen judges of the lips, or None.
    """

    def __init__(self, model: MotionGenerator, baseline: MelRegression, measures: MouthMeasures, config: MotionConfig,
                 processes: Processes, experts: Experts | None = None) -> None:
        super().__init__()
        self.model, self.baseline, self._experts = model, baseline, experts
        self._config, self._processes = config, processes
        self._loss = MouthLoss(measures, model, config.velocity_weight, config.acceleration_weight, processes)
        # The reference is what one would do without further thought: place and velocity.
        self._plain = MouthLoss(measures, model, config.velocity_weight, 0.0, processes)

    def forward(self, batch: Batch, share: float) -> dict[str, torch.Tensor]:
        """Losses by name, and their weighted sum `total`.

        Args:
            share: of the training that is done, for what comes in by and by.
        """
        config, model = self._config, self.model
        posterior, one, other = batch.noise.unbind(1)
        judged = self._experts is not None and share >= config.experts_from
        with autocast(batch.motion.device):
            condition = model.condition(batch.content, batch.melody)
            below = model.down(condition)
            mean, log_std = (x.float() for x in model.encode(batch.motion, condition))
            latent = mean + posterior * log_std.exp()
            white = model.prior(latent, below).float()
            noises = [torch.zeros_like(one)]
            if config.sample_weight > 0 or judged:
                noises.append(one)
            if config.sample_weight > 0:
                noises.append(other)
            draws = [model.prior.inverse(noise, below) for noise in noises]
            motions = [model.decode(z, condition).float() for z in (latent, *draws)]
            regression = self.baseline(batch.mel, batch.mask).float()
        rebuilt, likeliest, *samples = motions
        common = batch.motion, batch.mask, batch.weight
        parts = {
            "reconstruction": self._loss.squared(rebuilt, *common),
            "mode": self._loss.squared(likeliest, *common),
            "kl": divergence(white, posterior, log_std, F.max_pool1d(batch.mask, STRIDE), self._processes),
            "baseline": self._plain.squared(regression, *common),
        }
        anneal = min(1.0, share / 0.2)
        total = (parts["reconstruction"] + config.prior_weight * parts["mode"]
                 + config.kl_weight * anneal * parts["kl"] + parts["baseline"])
        if judged:
            # Each clip by the likeliest motion or by a sample, as a coin falls: both must stay right.
            heads = (posterior[:, :1, :1] > 0).float()
            opinions = self._experts(heads * likeliest + (1 - heads) * samples[0], batch)
            weights = {"sync": config.sync_weight, "reader": config.reader_weight}
            total = total + sum(weights[name] * value for name, value in opinions.items())
            parts |= opinions
        if config.sample_weight > 0:
            parts["sample"] = self._loss.energy(*samples, *common)
            total = total + config.sample_weight * anneal * parts["sample"]
        return parts | {"total": total}


def autocast(device: torch.device) -> torch.autocast:
    """Convolutions in bfloat16 on GPUs, and where the processor multiplies it (1.7 times as fast); elsewhere it would
    be emulated, slowly."""
    native = device.type == "cuda" or getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)
