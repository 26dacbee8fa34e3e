"""A device that is not there: tensors that say they live on it, while the CPU computes them.

PyTorch's "meta" device lends its name, because the autograd engine needs no hardware for it.
"""
from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
# Operations in which tensors of the CPU may meet those of a GPU; numbers (no dimensions) may anywhere.
_MIXED = ("aten::_to_copy", "aten::copy_", "aten::index")


class _Pretended(Tensor):
    """`held` is the CPU tensor with the values."""

    @staticmethod
    def __new__(cls, held: Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=False,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def numpy(self, *_, **__):
        raise RuntimeError("numpy: the tensor is on a device; .cpu() first")

    def tolist(self) -> list:
        return self.held.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """`torch.tensor(values, device=...)` keeps its values: of the real "meta" device it would not."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == DEVICE:
            del kwargs["device"]
            return function(*args, **kwargs).to(DEVICE)
        return function(*args, **kwargs)


class PretendedDevice(TorchDispatchMode):
    """Context in which tensors can be made on, and moved to, the device that it returns."""

    def __enter__(self) -> torch.device:
        super().__enter__()
        self._literals = _Literals()
        self._literals.__enter__()
        return DEVICE

    def __exit__(self, *error) -> None:
        self._literals.__exit__(*error)
        super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _run(function, args: tuple, kwargs: dict):
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    pretended = [value for value in tensors if isinstance(value, _Pretended)]
    name = function.name().split(".")[0]
    if pretended and name not in _MIXED:
        others = [value for value in tensors if not isinstance(value, _Pretended) and value.dim() > 0]
        if others:
            raise RuntimeError(f"{name}: tensors of two devices, shapes {[list(value.shape) for value in tensors]}")
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if wanted is not None:
        wrap = torch.device(wanted) == DEVICE
    else:
        wrap = bool(pretended) if name != "aten::copy_" else isinstance(args[0], _Pretended)
    bare = tree_map(lambda value: value.held if isinstance(value, _Pretended) else value, (args, kwargs))
    result = function(*bare[0], **bare[1])
    if not wrap:
        return result
    # What was changed in place, or returned as it came, stays the same object.
    known = {id(value.held): value for value in pretended}
    return tree_map(lambda value: known[id(value)] if id(value) in known else _wrapped(value), result)


def _wrapped(value):
    return _Pretended(value) if isinstance(value, Tensor) and not isinstance(value, _Pretended) else value
