"""Spherical harmonics: the op, its native kernels and its gradient."""
import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check
from .native import I32, I64, PTR, Kernel, dense, library_for

_SPHERICAL_HARMONICS = Kernel("spherical_harmonics", I64, I32, PTR, PTR)
_SPHERICAL_HARMONICS_BACKWARD = Kernel("spherical_harmonics_backward", I64, I32, PTR, PTR, PTR)


def spherical_harmonics(dirs: Tensor, degree: int = 4) -> Tensor:
    """See `reference.spherical_harmonics`. Raises ValueError naming a wrong argument."""
    check("dirs", dirs, (None, 3))
    if degree not in (1, 2, 3, 4):
        raise ValueError(f"degree: must be 1 to 4, got {degree}")
    if library_for(dirs) is None:
        return reference.spherical_harmonics(dirs, degree)
    return _evaluate(dirs, degree)


@custom_op("geneface::spherical_harmonics", mutates_args=())
def _evaluate(dirs: Tensor, degree: int) -> Tensor:
    (dirs,) = dense(dirs)
    out = dirs.new_empty(len(dirs), degree * degree)
    _SPHERICAL_HARMONICS(dirs.device, len(dirs), degree, dirs, out)
    return out


@_evaluate.register_fake
def _(dirs, degree):
    return dirs.new_empty(dirs.shape[0], degree * degree)


@custom_op("geneface::spherical_harmonics_backward", mutates_args=())
def _evaluate_backward(grad: Tensor, dirs: Tensor, degree: int) -> Tensor:
    grad, dirs = dense(grad, dirs)
    out = torch.empty_like(dirs)
    _SPHERICAL_HARMONICS_BACKWARD(dirs.device, len(dirs), degree, dirs, grad, out)
    return out


@_evaluate_backward.register_fake
def _(grad, dirs, degree):
    return dirs.new_empty(dirs.shape)


def _sh_setup(ctx, inputs, output):
    dirs, ctx.degree = inputs
    ctx.save_for_backward(dirs)


def _sh_backward(ctx, grad):
    return _evaluate_backward(grad, ctx.saved_tensors[0], ctx.degree), None


_evaluate.register_autograd(_sh_backward, setup_context=_sh_setup)
