"""A trained module in one safetensors file: half-precision weights, and a JSON header that says how it was made."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

from ..errors import UserError
from ..types import write_atomically

DATA = Path(__file__).resolve().parents[1] / "data"
_SMALL = 1024  # tensors up to so many values keep full precision: statistics, biases

Module = TypeVar("Module", bound=nn.Module)


def save_module(path: str | Path, module: nn.Module, kind: str, version: int, spec: dict, info: dict) -> None:
    """Write weights and description, atomically.

    Args:
        kind: type name in the header.
        version: schema version.
        spec: what the module is built again from (JSON).
        info: what people should know of it (JSON).
    """
    from safetensors.torch import save_file

    tensors = {name: (value.half() if value.numel() > _SMALL else value.float()).detach().contiguous()
               for name, value in module.state_dict().items()}
    header = {"type": kind, "schema_version": version, "spec": spec, "info": info}
    write_atomically(Path(path), lambda part: save_file(tensors, part, {"geneface": json.dumps(header)}))


def load_module(path: str | Path, kind: str, version: int, build: Callable[[dict], Module], what: str,
                make: str) -> tuple[Module, dict]:
    """What `save_module` wrote: the module in evaluation mode without gradients of its own, and `info`.

    Args:
        build: spec -> module.
        what: the thing's name in messages ("motion model").
        make: how one is made ("train one with geneface train-motion CORPUS -o X.safetensors").

    Raises:
        UserError: no such file, another kind of file, another schema, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such {what}; {make}")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("geneface", "{}"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: not a readable {what} ({error}); {make}") from error
    if header.get("type") != kind:
        raise UserError(f"{path}: not a {what}; {make}")
    if header.get("schema_version") != version:
        raise UserError(f"{path}: {what} schema {header.get('schema_version')}, this version reads {version}; "
                        f"{make}, or install the version that made it")
    try:
        module = build(header["spec"])
        module.load_state_dict(tensors)
        info = header["info"]
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: damaged {what} ({' '.join(str(error).split())}); {make}") from error
    return module.eval().requires_grad_(False), info
