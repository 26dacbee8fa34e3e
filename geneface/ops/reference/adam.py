"""Definition of the optimiser of tables."""
from __future__ import annotations

from torch import Tensor


def adam_step(
    value: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: int, lr: float,
    betas: tuple[float, float], eps: float,
) -> None:
    """One step of Adam (Kingma and Ba 2015) that leaves alone what is at rest, in place.

    Numbers with neither gradient nor momentum, as in all rows of a table that no sample has read, keep
    everything; all others move as under `torch.optim.Adam`. At rest Adam would change nothing but fade the
    average of squares, so the path of the values is Adam's own. (Skipping whatever has no gradient in this
    step, as instant-NGP does, cost a head fitted for 400 steps 0.4 dB.)

    Args:
        value, grad, exp_avg, exp_avg_sq: [...] parameter, its gradient and the averages of the gradient and of
            its square; all but grad are changed.
        step: number of this step, from 1, for the correction of the averages' zero start.
        lr, betas, eps: learning rate, decays of the averages, and what is added to the divisor.
    """
    moving = (grad != 0) | (exp_avg != 0)
    mean = exp_avg.lerp(grad, 1 - betas[0])
    square = exp_avg_sq * betas[1] + (1 - betas[1]) * grad.square()
    divisor = square.sqrt() / (1 - betas[1] ** step) ** 0.5 + eps
    moved = value - lr / (1 - betas[0] ** step) * mean / divisor
    for target, new in ((exp_avg, mean), (exp_avg_sq, square), (value, moved)):
        target.copy_(new.where(moving, target))
