"""Small fully connected networks: the op, its native kernels and its gradients."""
import ctypes
import functools
from typing import List, Optional, Sequence

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_indices
from .native import I64, PTR, Kernel, dense, library_for

_I32 = ctypes.c_int32


class _Network(ctypes.Structure):
    """`geneface_mlp` of geneface_ops.h."""

    _fields_ = [
        ("layers", _I32), ("inputs", _I32), ("bf16", _I32), ("widths", ctypes.POINTER(_I32)),
        ("input_widths", ctypes.POINTER(_I32)),
    ]


_NETWORK = ctypes.POINTER(_Network)
_FORWARD = Kernel("mlp_forward", _NETWORK, I64, PTR, PTR, I64, PTR, PTR, PTR)
_BACKWARD = Kernel("mlp_backward", _NETWORK, I64, PTR, PTR, I64, PTR, PTR, PTR, PTR, PTR, PTR)


def mlp(
    inputs: Sequence[Tensor], weights: Sequence[Tensor], offsets: Optional[Tensor] = None,
    index: Optional[Tensor] = None, bf16: bool = False,
) -> Tensor:
    """See `reference.mlp`. Raises ValueError naming a wrong argument."""
    inputs, weights = list(inputs), list(weights)
    if not inputs or not weights:
        raise ValueError(f"{'weights' if inputs else 'inputs'}: expected at least one tensor, got none")
    check("inputs[0]", inputs[0], (None, None))
    first, count = inputs[0], len(inputs[0])
    for i, value in enumerate(inputs):
        check(f"inputs[{i}]", value, (count, None), like=first)
    width = sum(value.shape[1] for value in inputs)
    for i, value in enumerate(weights):
        check(f"weights[{i}]", value, (None, width), like=first)
        width = len(value)
    if offsets is not None:
        check("offsets", offsets, (None, len(weights[0])), like=first)
        if index is None and len(offsets) != 1:
            raise ValueError(f"index: needed where offsets has other than one row, got None for {len(offsets)}")
    elif index is not None:
        raise ValueError("index: expected None where offsets is None")
    if index is not None:
        check("index", index, (count,), (torch.int64,), like=first)
        check_indices("index", index, len(offsets))
    library = library_for(first)
    # A GPU takes PyTorch's products: a step's are 5 GFLOP, which cuBLAS does in a millisecond even without tensor cores.
    if library is None or library.cuda:
        return reference.mlp(inputs, weights, offsets, index, bf16)
    return _evaluate(inputs, weights, offsets, index, bool(bf16))


@functools.lru_cache(maxsize=64)
def _network(widths: tuple, input_widths: tuple, bf16: bool) -> _Network:
    return _Network(
        len(widths) - 1, len(input_widths), int(bf16), (_I32 * len(widths))(*widths),
        (_I32 * len(input_widths))(*input_widths),
    )


def _layout(inputs: Sequence[Tensor], weights: Sequence[Tensor], bf16: bool) -> _Network:
    widths = (weights[0].shape[1], *(len(w) for w in weights))
    return _network(widths, tuple(x.shape[1] for x in inputs), bf16)


def _pointers(tensors: Sequence[Optional[Tensor]]) -> ctypes.Array:
    return (ctypes.c_void_p * len(tensors))(*(None if t is None else t.data_ptr() for t in tensors))


@custom_op("geneface::mlp", mutates_args=())
def _evaluate(
    inputs: Sequence[Tensor], weights: Sequence[Tensor], offsets: Optional[Tensor], index: Optional[Tensor], bf16: bool
) -> Tensor:
    inputs, weights = dense(*inputs), dense(*weights)
    out = inputs[0].new_empty(len(inputs[0]), len(weights[-1]))
    rows, offsets, index = _shared(offsets, index)
    _FORWARD(
        out.device, _layout(inputs, weights, bf16), len(out), _pointers(inputs), _pointers(weights), rows, offsets,
        index, out,
    )
    return out


def _shared(offsets: Optional[Tensor], index: Optional[Tensor]):
    """Number of rows of the offsets; both tensors dense."""
    rows = 0 if offsets is None else len(offsets)
    return rows, *(None if t is None else t.contiguous() for t in (offsets, index))


@_evaluate.register_fake
def _(inputs, weights, offsets, index, bf16):
    return inputs[0].new_empty(inputs[0].shape[0], weights[-1].shape[0])


@custom_op("geneface::mlp_backward", mutates_args=())
def _evaluate_backward(
    grad: Tensor, inputs: Sequence[Tensor], weights: Sequence[Tensor], offsets: Optional[Tensor],
    index: Optional[Tensor], bf16: bool, need_inputs: Sequence[bool], need_weights: bool, need_offsets: bool,
) -> List[Tensor]:
    """Gradients of inputs, weights and offsets, one after the other; those that are not needed come empty."""
    (grad,), inputs, weights = dense(grad), dense(*inputs), dense(*weights)
    grad_inputs = [torch.empty_like(x) if need else None for x, need in zip(inputs, need_inputs)]
    grad_weights = [torch.empty_like(w) if need_weights else None for w in weights]
    rows, offsets, index = _shared(offsets, index)
    grad_offsets = torch.empty_like(offsets) if need_offsets else None
    _BACKWARD(
        grad.device, _layout(inputs, weights, bf16), len(grad), _pointers(inputs), _pointers(weights), rows, offsets,
        index, grad, _pointers(grad_inputs), _pointers(grad_weights) if need_weights else None, grad_offsets,
    )
    return [grad.new_empty(0) if t is None else t for t in (*grad_inputs, *grad_weights, grad_offsets)]


@_evaluate_backward.register_fake
def _(grad, inputs, weights, offsets, index, bf16, need_inputs, need_weights, need_offsets):
    needed = [*zip(inputs, need_inputs), *((w, need_weights) for w in weights), (offsets, need_offsets)]
    return [grad.new_empty(t.shape if need else 0) for t, need in needed]


def _setup(ctx, inputs, output):
    values, weights, offsets, index, ctx.bf16 = inputs
    ctx.counts = len(values), len(weights)
    ctx.save_for_backward(*values, *weights, offsets, index)


def _backward(ctx, grad):
    inputs, weights = ctx.counts
    *tensors, offsets, index = ctx.saved_tensors
    need_inputs, need_weights, need_offsets = ctx.needs_input_grad[:3]
    grads = _evaluate_backward(
        grad, tensors[:inputs], tensors[inputs:], offsets, index, ctx.bf16, need_inputs, any(need_weights), need_offsets
    )
    needed = [*need_inputs, *[any(need_weights)] * weights, need_offsets]
    grads = [value if need else None for value, need in zip(grads, needed)]
    return grads[:inputs], grads[inputs:-1], grads[-1], None, None


_evaluate.register_autograd(_backward, setup_context=_setup)
