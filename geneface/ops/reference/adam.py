"""Definition of the optimiser of tables."""
from __future__ import annotations

from torch import Tensor


def adam_step(
    value: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: int, lr: float,
    betas: tuple[float, float], eps: float,
) -> None:
    """One step of Adam (Kingma and Ba 2015) that leaves alone what has no gradient, in place.

    Numbers whose gradient is exactly zero, as in all rows of a table that no sample read, keep their value
    and moments, as in instant-NGP: they do not drift on old momentum, and their moments do not fade between
    samples. Where every gradient is other than zero this is `torch.optim.Adam`.

    Args:
        value, grad, exp_avg, exp_avg_sq: [...] parameter, its gradient and the averages of the gradient and of
            its square; all but grad are changed.
        step: number of this step, from 1, for the correction of the averages' zero start.
        lr, betas, eps: learning rate, decays of the averages, and what is added to the divisor.
    """
    touched = grad != 0
    mean = exp_avg.lerp(grad, 1 - betas[0])
    square = exp_avg_sq * betas[1] + (1 - betas[1]) * grad.square()
    divisor = square.sqrt() / (1 - betas[1] ** step) ** 0.5 + eps
    moved = value - lr / (1 - betas[0] ** step) * mean / divisor
    for target, new in ((exp_avg, mean), (exp_avg_sq, square), (value, moved)):
        target.copy_(new.where(touched, target))
