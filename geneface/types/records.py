"""What the boundary objects have in common: checks, atomic writing, and saving as npz without pickle."""
from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import UserError


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def check_array(name: str, value: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Check shape (None matches any length) and, for floats, that every value is finite.

    Raises:
        ValueError: naming the array.
    """
    require(isinstance(value, np.ndarray), f"{name}: expected a numpy array, got {type(value).__name__}")
    fits = value.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, value.shape))
    require(fits, f"{name}: expected shape {shape}, got {value.shape}")
    if value.dtype.kind == "f":
        require(bool(np.isfinite(value).all()), f"{name}: holds NaN or infinite values")


def write_atomically(path: Path, write) -> None:
    """Call `write(temporary_path)` beside `path`, then rename: `path` is never half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # safetensors leaves files that only their owner may read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class NpzRecord:
    """Saving and loading shared by the dataclasses that are one npz file."""

    schema_version: ClassVar[int] = 1

    def save(self, path: str | Path) -> None:
        """Write to `path` (npz). Arrays stay arrays, scalars go to the JSON header."""
        arrays, scalars = {}, {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            else:
                scalars[field.name] = value
        header = {"type": type(self).__name__, "schema_version": self.schema_version, "scalars": scalars}

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)

        write_atomically(Path(path), write)

    @classmethod
    def load(cls, path: str | Path):
        """Read what `save` wrote.

        Raises:
            UserError: no such file, another type, another schema version, or damaged contents.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                arrays = {name: archive[name] for name in archive.files if name != "header"}
        except Exception as error:
            raise UserError(f"{path}: not a readable {cls.__name__} file ({error})") from error
        if header.get("type") != cls.__name__:
            raise UserError(f"{path}: holds a {header.get('type')}, expected a {cls.__name__}")
        if header.get("schema_version") != cls.schema_version:
            raise UserError(
                f"{path}: {cls.__name__} schema {header.get('schema_version')}, this version reads "
                f"{cls.schema_version}; make the file again"
            )
        try:
            return cls(**arrays, **header["scalars"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: damaged {cls.__name__}: {error}") from error
