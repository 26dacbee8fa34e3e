"""Adam that skips what is at rest: the op and its native kernel."""
from typing import Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_positive
from .native import F32, I64, PTR, Kernel, library_for

_ADAM = Kernel("adam", I64, PTR, PTR, PTR, PTR, F32, F32, F32, F32, F32)


@torch.no_grad()
def adam_step(
    value: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: int, lr: float,
    betas: Tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
) -> None:
    """See `reference.adam_step`. Raises ValueError naming a wrong argument."""
    if not isinstance(value, Tensor):
        raise ValueError(f"value: expected a tensor, got {type(value).__name__}")
    check("value", value, tuple(value.shape))
    for name, tensor in (("grad", grad), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
        check(name, tensor, tuple(value.shape), like=value)
    check_positive("step", step)
    for beta in betas:
        if not 0 <= beta < 1:
            raise ValueError(f"betas: must be at least 0 and below 1, got {tuple(betas)}")
    in_place = (value, exp_avg, exp_avg_sq)
    if library_for(value) is None or not all(t.is_contiguous() for t in in_place):
        reference.adam_step(value, grad, exp_avg, exp_avg_sq, step, lr, betas, eps)
    else:
        _step(value, grad, exp_avg, exp_avg_sq, int(step), float(lr), float(betas[0]), float(betas[1]), float(eps))


@custom_op("geneface::adam_step", mutates_args=("value", "exp_avg", "exp_avg_sq"))
def _step(
    value: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: int, lr: float, beta1: float, beta2: float,
    eps: float,
) -> None:
    _ADAM(
        value.device, value.numel(), value, grad.contiguous(), exp_avg, exp_avg_sq, lr / (1 - beta1**step), beta1,
        beta2, (1 - beta2**step) ** -0.5, eps,
    )


@_step.register_fake
def _(value, grad, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps):
    return None
