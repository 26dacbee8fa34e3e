"""Checkpoints of a fit: one safetensors file, so nothing is unpickled when a fit goes on."""
from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..types import write_atomically

SCHEMA_VERSION = 1


def save_checkpoint(
    path: Path, module: nn.Module, average: dict[str, Tensor], optimisers: dict[str, torch.optim.Optimizer],
    header: dict,
) -> None:
    """Write module, its weight average and optimiser states; `header` is JSON (step, seconds, generators)."""
    from safetensors.torch import save_file

    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors["generator"] = torch.get_rng_state()
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    metadata = {"geneface": json.dumps({"schema_version": SCHEMA_VERSION} | header)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def read_header(path: Path) -> dict:
    """JSON header of a checkpoint. Raises UserError where it is missing, damaged or of another schema."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("geneface", "{}"))
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({error}); fit again without --resume") from error
    if header.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{path}: checkpoint of another version; fit again without --resume")
    return header


def load_checkpoint(
    path: Path, module: nn.Module, average: dict[str, Tensor], optimisers: dict[str, torch.optim.Optimizer]
) -> dict:
    """Read what `save_checkpoint` wrote into the same objects; returns the header.

    Raises:
        UserError: the file is damaged, or was written by a fit with other sizes.
    """
    from safetensors.torch import load_file

    header = read_header(path)
    tensors = load_file(path)

    def part(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        module.load_state_dict(part("module."))
        stored = part("average.")
        for name, value in average.items():
            value.copy_(stored[name])
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"{path}: was written by a fit with other options; use the same ones, or fit again without --resume"
        ) from error
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in part(f"optimiser.{name}.").items():
            index, field = key.split(".", 1)
            state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["generator"])
    return header
