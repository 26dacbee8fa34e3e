"""Where tensors live: the names of devices in configurations and on the command line."""
from __future__ import annotations

import torch

from . import ops
from .errors import UserError

AUTO = "auto"


def find_device(name: str = AUTO) -> torch.device:
    """The device of a name.

    Args:
        name: "cpu", "cuda", "cuda:1" and so on, or "auto": the GPU where PyTorch finds one and the CUDA
            kernels are built, the CPU otherwise.

    Raises:
        UserError: no such name, or no such GPU here.
    """
    if name == AUTO:
        usable = torch.cuda.is_available() and ops.backend("cuda") == "native"
        return torch.device("cuda", torch.cuda.current_device()) if usable else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name!r}: must be auto, cpu, cuda, or cuda and a number as in cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r}: geneface computes on cpu and cuda only")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "PyTorch finds no usable GPU"
            raise UserError(f"device {name!r}: {why}; geneface doctor says more, and --device cpu always works")
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UserError(f"device {name!r}: this machine has {count} GPU{'s' * (count > 1)}, numbered from 0")
        device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
    return device
