"""Reader for CTranslate2's `model.bin` (github.com/OpenNMT/CTranslate2, MIT), so that no inference engine is needed.

Layout, little endian: u32 format version, string name of the specification, u32 its revision, u32 number of variables;
for each variable a string name, u8 rank, u32 sizes, u8 type, u32 bytes, data. A string is u16 length including its
closing zero, then the characters.
"""
from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ..errors import UserError

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_VERSION = 6


def read_variables(path: str | Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Variables of a CTranslate2 model whose names start with `prefix`; the others are skipped unread.

    Returns:
        name without `prefix` -> array of the stored type.

    Raises:
        UserError: no such file, not a CTranslate2 model, another format version, or cut short.
    """
    path = Path(path)
    out: dict[str, np.ndarray] = {}
    try:
        with open(path, "rb") as file:
            def number(code: str) -> int:
                size = struct.calcsize(code)
                return struct.unpack(code, file.read(size))[0]

            def string() -> str:
                return file.read(number("<H")).rstrip(b"\0").decode("utf-8")

            version = number("<I")
            if version != _VERSION:
                raise UserError(f"{path}: CTranslate2 format {version}, not {_VERSION}; run geneface assets verify")
            string()
            number("<I")
            for _ in range(number("<I")):
                name = string()
                shape = [number("<I") for _ in range(number("<B"))]
                kind, size = number("<B"), number("<I")
                if not name.startswith(prefix):
                    file.seek(size, 1)
                    continue
                data = file.read(size)
                if len(data) != size:
                    raise UserError(f"{path}: cut short; run geneface assets fetch")
                out[name[len(prefix):]] = np.frombuffer(data, _TYPES[kind]).reshape(shape)
    except OSError as error:
        raise UserError(f"{path}: unreadable ({error}); run geneface assets fetch") from error
    except (struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a CTranslate2 model ({error}); run geneface assets verify") from error
    return out
