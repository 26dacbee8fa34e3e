"""What the boundary objects have in common: checks, atomic writing, and saving as npz without pickle.

An npz may come from a stranger: how large it becomes is known from its lists and headers before anything is unpacked.
"""
from __future__ import annotations

import json
import math
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import UserError, one_line


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


MAX_ARRAYS = 64


def read_npz(path: Path, limit: int) -> dict[str, np.ndarray]:
    """Arrays of an npz file, which may take `limit` bytes in all once unpacked.

    Raises:
        ValueError, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError: another file, damaged or hostile.
    """
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        require(len(entries) <= MAX_ARRAYS, f"it holds {len(entries)} arrays, more than {MAX_ARRAYS}")
        total = sum(entry.file_size for entry in entries)
        require(total <= limit, f"its arrays take {total / 1e6:.0f} MB, more than {limit / 1e6:.0f} MB; cut it to parts")
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            require(name not in arrays, f"it holds {one_line(repr(name), 40)} twice")
            plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            require(plain, f"{name}: packed in another way than numpy does")
            with archive.open(entry) as file:
                arrays[name] = read_npy(file, name, entry.file_size)
    return arrays


def read_npy(file, name: str, size: int) -> np.ndarray:
    """The array of an npy of `size` bytes. numpy's own reader makes room for whatever its header claims."""
    version = np.lib.format.read_magic(file)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    require(version in headers, f"{name}: npy version {version} is not known")
    shape, by_columns, dtype = headers[version](file)
    text = dtype.kind == "U" and not shape  # the JSON header
    require((text or dtype.kind in "biuf") and dtype.itemsize > 0, f"{name}: holds {dtype}, not numbers")
    require(all(side >= 0 for side in shape), f"{name}: shape {shape} is negative")
    count = math.prod(shape)
    require(count * dtype.itemsize == size - file.tell(), f"{name}: is not as large as its shape {one_line(shape, 40)}")
    out = np.empty(count, dtype)
    if count:
        rest = memoryview(out.view(np.uint8))
        while len(rest):
            got = file.readinto(rest)
            require(got > 0, f"{name}: is cut off")
            rest = rest[got:]
    return out.reshape(shape, order="F" if by_columns else "C")


class NpzRecord:
    """Saving and loading shared by the dataclasses that are one npz file."""

    schema_version: ClassVar[int] = 1
    max_bytes: ClassVar[int] = 1 << 32
    """The most that a file of it may take once unpacked: tracks of an hour are a tenth of it."""

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
            arrays = read_npz(path, cls.max_bytes)
            header = json.loads(str(arrays.pop("header")))
            require(isinstance(header, dict), "its header is damaged")
        except KeyError as error:
            raise UserError(f"{path}: not a readable {cls.__name__} file (it has no header)") from error
        except Exception as error:  # whatever zip, zlib, numpy and JSON find to say of damaged bytes
            raise UserError(f"{path}: not a readable {cls.__name__} file ({one_line(error)})") from error
        if header.get("type") != cls.__name__:
            raise UserError(f"{path}: holds a {one_line(header.get('type'), 40)}, expected a {cls.__name__}")
        if header.get("schema_version") != cls.schema_version:
            raise UserError(
                f"{path}: {cls.__name__} schema {one_line(header.get('schema_version'), 20)}, this version reads "
                f"{cls.schema_version}; make the file again"
            )
        try:
            return cls(**arrays, **header["scalars"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: damaged {cls.__name__}: {one_line(error)}") from error
