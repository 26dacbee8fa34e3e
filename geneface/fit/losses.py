"""What a fit minimises."""
from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss at some moment of a fit."""

    colour: float = 1.0
    head_mask: float = 0.1
    torso_mask: float = 0.1
    hidden_torso: float = 0.05
    entropy: float = 1e-3
    head_motion: float = 1e-2
    spread: float = 2e-4
    torso_motion: float = 10.0
    unseen_torso: float = 1e-3
    displacement: float = 8e-3
    pose: float = 1e-3
    perceptual: float = 0.0


def robust_colour(rendered: Tensor, truth: Tensor, delta: float = 0.1) -> Tensor:
    """[N] Huber colour error, scaled so that small errors cost their square (like MSE)."""
    return 2 * F.huber_loss(rendered, truth, delta=delta, reduction="none").mean(-1)


def opacity_entropy(alpha: Tensor) -> Tensor:
    """[N] binary entropy of opacities: a pixel is head or it is not (RAD-NeRF)."""
    alpha = alpha.clamp(1e-4, 1 - 1e-4)
    return -(alpha * alpha.log2() + (1 - alpha) * (1 - alpha).log2())


def mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of values [N] weighted by [N]; zero where all weights are."""
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def portrait_losses(
    rendered: Tensor, head_alpha: Tensor, motion: Tensor, spread: Tensor, torso_rgb: Tensor, torso_alpha: Tensor,
    motions: Tensor, evaluated: Tensor, batch, weights: LossWeights,
) -> dict[str, Tensor]:
    """Terms of the loss of one batch of rays, already weighted; their sum is minimised.

    Args:
        rendered: [N,3] composited colours.
        head_alpha: [N] head opacity.
        motion: [N] magnitude of displacement and gates composited along each ray.
        spread: [N] variance of the depth that each ray's light comes from [cm^2].
        torso_rgb [N,3], torso_alpha [N]: the torso field (zero where not evaluated).
        motions: [F,M] what the pose does not tell of the torso's motion in the batch's frames [image sides].
        evaluated: [N] bool, rays for which the torso was evaluated.
        batch: the `RayBatch`.
    """
    # The plate stands for a background that may have moved: there only the opacities are judged. Where something
    # is in front of the person, nothing is.
    person = batch.head + batch.torso
    seen = person + batch.background
    terms = {
        "colour": weights.colour * mean_where(robust_colour(rendered, batch.rgb), person),
        "head_mask": weights.head_mask * mean_where((head_alpha - batch.head / seen.clamp(min=1e-3)).square(), seen),
        "entropy": weights.entropy * mean_where(opacity_entropy(head_alpha), seen),
        "head_motion": weights.head_motion * mean_where(motion, (~batch.on_face).float()),
        "spread": weights.spread * mean_where(spread, batch.head),
    }
    behind = batch.torso + batch.background
    truth = batch.torso / behind.clamp(min=1e-3)
    terms["torso_mask"] = weights.torso_mask * mean_where((torso_alpha - truth).square(), behind * evaluated)
    hidden_rgb, hidden_alpha = batch.hidden_torso[:, :3], batch.hidden_torso[:, 3]
    error = (torso_alpha - hidden_alpha).square() + hidden_alpha * robust_colour(torso_rgb, hidden_rgb)
    terms["hidden_torso"] = weights.hidden_torso * mean_where(error, batch.hidden * evaluated)
    terms["torso_motion"] = weights.torso_motion * motions.square().mean()
    return terms


def patch_distance(distance: nn.Module, rendered: Tensor, batch) -> Tensor:
    """Perceptual distance of the batch's patch from truth, which stands in where the person is not.

    Args:
        distance: of two pictures [1,3,S,S] in [0,1].
        rendered: [N,3] composited colours.
        batch: the `RayBatch`, with a patch of S pixels a side.
    """
    truth, colours = (values[-batch.patch**2:] for values in (batch.rgb, rendered))
    person = (batch.head + batch.torso)[-batch.patch**2:, None]

    def picture(values: Tensor) -> Tensor:
        return values.view(1, batch.patch, batch.patch, 3).permute(0, 3, 1, 2)

    return distance(picture(colours * person + truth * (1 - person)), picture(truth)).mean()
