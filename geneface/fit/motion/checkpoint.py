"""Checkpoints of a training: everything that it needs to go on as if it had not stopped, in one safetensors file."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ...errors import UserError
from ...types import write_atomically


def save(path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, state: dict[str, Any],
         identity: dict[str, Any]) -> None:
    """Write a checkpoint, atomically.

    Args:
        state: what `restore` gives back (JSON values).
        identity: of the run: what must be unchanged for it to go on (JSON values).
    """
    tensors = {f"{prefix}.{name}": value for prefix, module in modules.items()
               for name, value in module.state_dict().items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{key}": value for key, value in moments.items()}
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    header = json.dumps({"state": state, "identity": identity})
    write_atomically(path, lambda part: save_file(tensors, part, {"geneface": header}))


def restore(path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer,
            identity: dict[str, Any]) -> dict[str, Any] | None:
    """Undo `save`; None where there is no checkpoint.

    Raises:
        UserError: damaged, or of another run.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["geneface"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        same = header["identity"] == json.loads(json.dumps(identity))
        if same:
            for prefix, module in modules.items():
                module.load_state_dict(_under(f"{prefix}.", tensors))
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in _under("optimiser.", tensors).items():
                number, key = name.split(".")
                moments.setdefault(int(number), {})[key] = value
            optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    except (SafetensorError, RuntimeError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: unreadable checkpoint ({error}); delete {path.parent} to start anew") from error
    if not same:
        raise UserError(f"{path}: is of another corpus or configuration; delete {path.parent} to start anew")
    return header["state"]


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}
