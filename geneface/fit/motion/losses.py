"""What generated motion is judged by while it trains."""
from __future__ import annotations

import torch
from torch.nn import functional as F

from ...face.arkit import ARKIT_NAMES
from ...motion.measures import MouthMeasures
from ...motion.vae import MotionGenerator
from .processes import Processes

_ENERGY_FRAMES = 5  # that the energy score compares at once


class MouthLoss:
    """Error of lips and weights, of their velocity and of their acceleration.

    Lips are the canonical landmarks, linear in the weights, so the error in space is a quadratic form in the weights:
    one small matrix carries weights to weighted landmarks.

    Args:
        measures: landmark functionals of the 52 weights.
        model: tells which weights are driven, and their deviation over the corpus.
        velocity_weight, acceleration_weight: of the squared error of first and second frame differences.
        processes: over which frames are counted, so that clips of all count alike.
    """

    def __init__(self, measures: MouthMeasures, model: MotionGenerator, velocity_weight: float,
                 acceleration_weight: float, processes: Processes) -> None:
        driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
        std = model.weight_std.cpu()
        features = measures.features[driven] * std[:, None]  # [driven, Q] per standard deviation
        # Scaled so that lips and weights count alike, whatever the unit and the number of points.
        self._lips = (features / features.square().sum(0).mean().sqrt()).T.to(processes.device)
        # A weight that hardly moved in the corpus is tracker noise: its error counts as little.
        importance = std / std.max()
        self._importance = (importance / importance.square().mean().sqrt() * 0.5)[:, None].to(processes.device)
        self._amounts = (1.0, velocity_weight, acceleration_weight)
        self._processes = processes

    def squared(self, predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor,
                weight: torch.Tensor) -> torch.Tensor:
        """Squared error.

        Args:
            predicted, target: [B, driven, T] standardised motion.
            mask: [B, 1, T] of the frames that are there.
            weight: [B, 1, 1] of each clip.

        Returns:
            scalar.
        """
        total = predicted.new_zeros(())
        lips, weights = self._parts((predicted - target) * mask)
        for order, amount in enumerate(self._amounts):
            if order:
                lips, weights = lips.diff(dim=-1), weights.diff(dim=-1)
                mask = mask[..., 1:] * mask[..., :-1]
            square = lips.square().mean(1, keepdim=True) + weights.square().mean(1, keepdim=True)
            total = total + amount * (square * mask * weight).sum() / self._count(mask)
        return total

    def energy(self, one: torch.Tensor, other: torch.Tensor, target: torch.Tensor, mask: torch.Tensor,
               weight: torch.Tensor) -> torch.Tensor:
        """Energy score of two samples (Gneiting and Raftery 2007, section 4.3): least where they are drawn from the
        distribution that the target is drawn from, neither too like each other nor too wild.

        Distances are of lips, weights and their velocity over windows of 5 frames. Arguments as of `squared`.
        """
        def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            lips, weights = self._parts((a - b) * mask)
            square = lips.square().mean(1, keepdim=True) + weights.square().mean(1, keepdim=True)
            moving = lips.diff(dim=-1).square().mean(1, keepdim=True) + weights.diff(dim=-1).square().mean(
                1, keepdim=True)
            square = square + self._amounts[1] * F.pad(moving, (1, 0))
            return (F.avg_pool1d(square, _ENERGY_FRAMES, 1) + 1e-6).sqrt()

        inside = -F.max_pool1d(-mask, _ENERGY_FRAMES, 1)
        score = 0.5 * (distance(one, target) + distance(other, target) - distance(one, other))
        return (score * inside * weight).sum() / self._count(inside)

    def _parts(self, error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Error [B, driven, T] of weights in space [B, Q, T] and by their importance [B, driven, T]."""
        return self._lips @ error, error * self._importance

    def _count(self, mask: torch.Tensor) -> torch.Tensor:
        return self._processes.mean(mask.sum()).clamp(min=1)


def divergence(white: torch.Tensor, noise: torch.Tensor, log_std: torch.Tensor, mask: torch.Tensor,
               processes: Processes) -> torch.Tensor:
    """log q(z) - log p(z) of one sample per frame and channel.

    Both are standard normals after volume-preserving maps: the constants cancel.

    Args:
        white, noise: [B, latent, T/4] the sample seen from the prior, and as it was drawn.
        log_std: [B, latent, T/4] of the posterior.
        mask: [B, 1, T/4].
    """
    divergence = 0.5 * (white.square() - noise.square()) - log_std
    return (divergence * mask).sum() / (processes.mean(mask.sum()).clamp(min=1) * white.shape[1])
