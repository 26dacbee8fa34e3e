"""glTF 2.0 files as documents: JSON beside one binary buffer, read with every range checked, and written.

glTF 2.0 specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html (sections 3.6 and 4.4).
"""
from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ..errors import UserError, one_line
from ..guard import MAX_BYTES, finite, read_bytes
from ..types import write_atomically

MAX_VALUES = 2**25  # numbers in one accessor, or of one sampled curve
MAX_READ = 2**28  # numbers in all accessors that are read
MAX_ITEMS = 2**22  # values in the JSON part
_MAGIC, _JSON, _BIN = b"glTF", b"JSON", b"BIN\0"
_COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_CODES = {np.dtype(kind): code for code, kind in _COMPONENTS.items()}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


class Damaged(ValueError):
    """A document that breaks the glTF specification; the text says where."""


@dataclass
class Document:
    """One glTF 2.0 asset with its binary data.

    Attributes:
        json: the JSON part; its only buffer, where it has any, is `binary`.
        binary: contents of the buffer.
    """

    json: dict[str, Any]
    binary: bytearray = field(default_factory=bytearray)
    _values_read: int = 0

    @classmethod
    def open(cls, path: Path) -> "Document":
        """Read a .glb or .gltf file with the buffers and images it names, which must lie in its folder.

        Raises:
            UserError: missing, too large, damaged, or with data anywhere else.
        """
        content = read_bytes(path, MAX_BYTES)
        with damage(path):
            text, binary = _chunks(content) if content[:4] == _MAGIC else (content, None)
            document = cls(_parse(text))
            document._collect(path, binary)
            return document

    def save(self, path: Path, text: bool = False) -> None:
        """Write a binary file (.glb), or one of `text` with the buffer inside (.gltf); never half of it."""
        content = dict(self.json)
        binary = bytes(self.binary)
        if binary:
            content["buffers"] = [{**(self.json.get("buffers") or [{}])[0], "byteLength": len(binary)}]
        if text:
            if binary:
                encoded = base64.b64encode(binary).decode("ascii")
                content["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{encoded}"
            data = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        else:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            parts = [_chunk(_JSON, text, b" ")] + ([_chunk(_BIN, binary, b"\0")] if binary else [])
            data = b"".join([struct.pack("<4sII", _MAGIC, 2, 12 + sum(map(len, parts))), *parts])
        write_atomically(path, lambda temporary: Path(temporary).write_bytes(data))

    def items(self, name: str) -> list[dict[str, Any]]:
        """The top-level list `name` ("nodes", "meshes", ...), empty where there is none. Raises Damaged."""
        value = self.json.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Damaged(f"{name} is no list of objects")
        return value

    def item(self, name: str, index: Any) -> dict[str, Any]:
        """Entry `index` of the top-level list `name`. Raises Damaged where there is none."""
        values = self.json.get(name, [])
        there = isinstance(values, list) and type(index) is int and 0 <= index < len(values)
        if not there or not isinstance(values[index], dict):
            raise Damaged(f"there is no entry {str(index)[:40]!r} in {name}")
        return values[index]

    def append(self, name: str, value: dict[str, Any]) -> int:
        """Add an entry to the top-level list `name`; its index."""
        self.json.setdefault(name, []).append(value)
        return len(self.json[name]) - 1

    def view(self, content: bytes, target: int | None = None) -> int:
        """Add a bufferView of these bytes; its index."""
        self.binary.extend(bytes(-len(self.binary) % 4))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        self.binary.extend(content)
        return self.append("bufferViews", view)

    def add(self, values: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Add an accessor of `values` [N] or [N,2..4] (float32, uint8/16/32); its index.

        `bounds`: with min and max, which POSITION and the times of keyframes must have.
        """
        values = np.ascontiguousarray(values)
        accessor = self._head(values, bounds) | {"bufferView": self.view(values.tobytes(), target)}
        return self.append("accessors", accessor)

    def add_sparse(self, values: np.ndarray, bounds: bool = False) -> int:
        """Add an accessor of `values` [N,3] float32 that stores the rows that are not zero only; its index."""
        accessor = self._head(values, bounds)
        rows = np.flatnonzero((values != 0).any(1))
        if len(rows):
            kind = np.uint16 if len(values) <= 65535 else np.uint32
            accessor["sparse"] = {
                "count": len(rows),
                "indices": {"bufferView": self.view(rows.astype(kind).tobytes()),
                            "componentType": _CODES[np.dtype(kind)]},
                "values": {"bufferView": self.view(np.ascontiguousarray(values[rows]).tobytes())},
            }
        return self.append("accessors", accessor)

    @staticmethod
    def _head(values: np.ndarray, bounds: bool) -> dict[str, Any]:
        width = values.shape[1] if values.ndim > 1 else 1
        accessor = {"componentType": _CODES[values.dtype], "count": len(values), "type": _TYPES[width]}
        if bounds:
            table = values.reshape(len(values), width)
            accessor |= {"min": table.min(0).tolist(), "max": table.max(0).tolist()}
        return accessor

    def read(self, index: Any) -> np.ndarray:
        """[N] or [N,width] float64 values of accessor `index`, normalised integers as numbers in [-1,1].

        Raises:
            Damaged: a range outside of the buffer, a count beyond bounds, or values that are not finite.
        """
        accessor = self.item("accessors", index)
        kind, width = _COMPONENTS.get(accessor.get("componentType")), _WIDTHS.get(accessor.get("type"))
        count = _count(accessor.get("count"), "an accessor's count")
        if kind is None or width is None or count * width > MAX_VALUES:
            raise Damaged(f"accessor {index} has an unknown type or too many values")
        self._values_read += count * width
        if self._values_read > MAX_READ:
            raise Damaged("its accessors hold too many values in all")
        if "bufferView" in accessor:
            values = self._values(accessor, kind, count, width)
        else:
            values = np.zeros((count, width), kind)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            changes = _count(sparse.get("count"), "the count of a sparse accessor")
            rows_kind = _COMPONENTS.get(sparse["indices"].get("componentType"))
            if rows_kind is None or np.dtype(rows_kind).kind != "u" or changes > count:
                raise Damaged(f"accessor {index}: sparse indices of a wrong type or number")
            rows = self._values(sparse["indices"], rows_kind, changes, 1)[:, 0].astype(np.int64)
            if changes and rows.max() >= count:
                raise Damaged(f"accessor {index}: a sparse index beyond its {count} values")
            values = values.copy()
            values[rows] = self._values(sparse["values"], kind, changes, width)
        with np.errstate(invalid="ignore"):  # of NaN, which is refused where values are used
            values = values.astype(np.float64)
        if accessor.get("normalized") and kind is not np.float32:
            values = np.maximum(values / np.iinfo(kind).max, -1)
        if not np.isfinite(values).all():
            raise Damaged(f"accessor {index} holds NaN or infinite values")
        return values[:, 0] if width == 1 else values

    def _values(self, place: dict[str, Any], kind: type, count: int, width: int) -> np.ndarray:
        """[count,width] raw values at a bufferView and byteOffset."""
        view = self.item("bufferViews", place.get("bufferView"))
        if view.get("extensions"):
            raise Damaged(f"its data is compressed ({', '.join(view['extensions'])}); export it without compression")
        if view.get("buffer", 0) != 0:
            raise Damaged(f"there is no buffer {view['buffer']!r}")
        size = np.dtype(kind).itemsize * width
        stride = _count(view.get("byteStride", size), "a byteStride")
        start = _count(view.get("byteOffset", 0), "a byteOffset")
        inside = _count(place.get("byteOffset", 0), "a byteOffset")
        length = _count(view.get("byteLength"), "a byteLength")
        end = inside + stride * (count - 1) + size if count else 0
        if start + length > len(self.binary) or end > length or stride < size:
            raise Damaged("an accessor reaches beyond its buffer")
        if not count:
            return np.zeros((0, width), kind)
        flat = np.frombuffer(self.binary, np.uint8, stride * (count - 1) + size, start + inside)
        rows = np.lib.stride_tricks.as_strided(flat, (count, size), (stride, 1), writeable=False)
        return np.ascontiguousarray(rows).view(np.dtype(kind).newbyteorder("<")).reshape(count, width)

    def _collect(self, path: Path, binary: bytes | None) -> None:
        """Bring all buffers, and images that lie in files, into `binary`."""
        starts = []
        for number, buffer in enumerate(self.items("buffers")):
            length = _count(buffer.get("byteLength"), "a buffer's byteLength")
            if "uri" in buffer:
                content = _resource(path, buffer["uri"], MAX_BYTES - len(self.binary))
            elif number == 0 and binary is not None:
                content = binary
            else:
                raise Damaged(f"buffer {number} has no data")
            if len(content) < length:
                raise Damaged(f"buffer {number} has {len(content)} bytes of {length}; the file is cut off")
            self.binary.extend(bytes(-len(self.binary) % 8))
            starts.append(len(self.binary))
            self.binary.extend(content[:length])
            if len(self.binary) > MAX_BYTES:
                raise Damaged(f"its buffers are larger than {MAX_BYTES >> 20} MB")
        for view in self.items("bufferViews"):
            for place in (view, *(view.get("extensions") or {}).values()):
                number = place.get("buffer", 0)
                if type(number) is not int or not 0 <= number < len(starts):
                    raise Damaged(f"there is no buffer {number!r}")
                if starts[number]:
                    place["byteOffset"] = _count(place.get("byteOffset", 0), "a byteOffset") + starts[number]
                place["buffer"] = 0
        if starts:
            first = {key: value for key, value in self.json["buffers"][0].items() if key != "uri"}
            self.json["buffers"] = [first | {"byteLength": len(self.binary)}]
        for image in self.items("images"):
            uri = image.get("uri")
            if isinstance(uri, str) and not uri.startswith("data:"):
                kind = _IMAGES.get(Path(unquote(uri)).suffix.lower())
                if kind is None:
                    raise Damaged(f"image {uri[:80]} is neither PNG nor JPEG")
                image["bufferView"] = self.view(_resource(path, uri, MAX_BYTES - len(self.binary)))
                image["mimeType"] = kind
                del image["uri"]


class damage:
    """Within it, what breaks the specification of glTF becomes one UserError that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, Damaged):
            raise UserError(f"{self._path}: {one_line(error)}") from error
        # A file may hold a value of any JSON type anywhere.
        if isinstance(error, (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError)):
            raise UserError(f"{self._path}: damaged glTF ({kind.__name__}: {one_line(error)})") from error


def _chunks(content: bytes) -> tuple[bytes, bytes | None]:
    """JSON and binary chunk of a .glb file."""
    if len(content) < 20:
        raise Damaged("the file is cut off")
    _, version, length = struct.unpack_from("<4sII", content)
    if version != 2:
        raise Damaged(f"binary glTF of version {version}, only 2 can be read")
    if length > len(content):
        raise Damaged(f"the file is cut off ({len(content)} bytes of {length})")
    chunks: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= length and len(chunks) < 2:
        size, kind = struct.unpack_from("<I4s", content, at)
        if at + 8 + size > length:
            raise Damaged("a chunk is cut off")
        chunks.append((kind, content[at + 8:at + 8 + size]))
        at += 8 + size
    if not chunks or chunks[0][0] != _JSON:
        raise Damaged("its first chunk is not JSON")
    return chunks[0][1], chunks[1][1] if len(chunks) > 1 and chunks[1][0] == _BIN else None


def _chunk(kind: bytes, content: bytes, padding: bytes) -> bytes:
    content += padding * (-len(content) % 4)
    return struct.pack("<I4s", len(content), kind) + content


def _parse(text: bytes) -> dict[str, Any]:
    if sum(map(text.count, (b",", b"[", b"{"))) > MAX_ITEMS:
        raise Damaged(f"its JSON part has more than {MAX_ITEMS} values")
    try:
        content = json.loads(text.decode("utf-8-sig"), parse_float=finite, parse_constant=finite)
    except UnicodeDecodeError as error:
        raise Damaged("not a glTF file (neither GLB nor text); export it again") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(f"not a glTF file ({str(error)[:80]})") from error
    asset = content.get("asset") if isinstance(content, dict) else None
    if not isinstance(asset, dict) or not str(asset.get("version", "")).startswith("2."):
        raise Damaged("not a glTF 2 file (no asset of version 2.x)")
    return content


def _resource(path: Path, uri: Any, limit: int) -> bytes:
    """Contents of a data URI, or of a file in the folder of `path`."""
    if not isinstance(uri, str):
        raise Damaged("a uri is no text")
    if uri.startswith("data:"):
        head, _, data = uri.partition(",")
        if not head.endswith(";base64"):
            raise Damaged("a data uri is not in base64")
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise Damaged("a data uri is not in base64") from error
    name = unquote(uri)
    folder = path.parent.resolve()
    foreign = ":" in name or "\\" in name or not name.isprintable()
    outside = foreign or Path(name).is_absolute() or ".." in Path(name).parts
    if outside or not (folder / name).resolve().is_relative_to(folder):
        raise Damaged(f"it refers to {uri[:80]!r}, which is not a file in its own folder")
    return read_bytes(folder / name, limit)


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= 2**40:
        raise Damaged(f"{what} is {one_line(repr(value), 40)}")
    return value
