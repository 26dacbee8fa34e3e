"""Limits on what is read: files of strangers end in one line, in bounded memory and time."""
from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UserError, one_line

MAX_BYTES = 1 << 29
"""Largest file of motion that is read, and the largest that a compressed one may become [bytes]."""
MAX_FRAMES = 1 << 20
"""Most frames of a motion that is read: half a day at 25 frames per second."""
MIN_FPS, MAX_FPS = 0.1, 1000.0
MAX_JSON_BYTES = 1 << 27
"""Largest JSON file that is read [bytes]; what Python makes of it takes up to ten times that."""
_MAX_JSON_MARKS = 1 << 23


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Contents of a file. Raises UserError: missing, a folder, empty, unreadable, or larger than `limit` [bytes]."""
    if not path.is_file():
        raise UserError(f"{path}: is a folder; name a file in it" if path.is_dir() else f"{path}: no such file")
    try:
        size = path.stat().st_size
        if not size:
            raise UserError(f"{path}: is empty (0 bytes); export or copy it again")
        if size > limit:
            raise UserError(
                f"{path}: {size / 1e6:.0f} MB is more than a motion of {limit / 1e6:.0f} MB; cut it to parts")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Contents of a UTF-8 text file, with or without byte order mark. Raises UserError: as `read_bytes`, or no text."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 text (byte {error.start}); export it again as text") from error


def lines_of(text: str, path: Path, longest: int = 1 << 17) -> Iterator[str]:
    """Lines of a text with their ends, one at a time. Raises UserError: one is longer than `longest` characters."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    start, number = 0, 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        number += 1
        if end - start > longest:
            raise UserError(f"{path}: line {number} has {end - start} characters; it is damaged or no table")
        yield text[start:end]
        start = end


def finite(number: str) -> float:
    """A number of JSON; for `json.loads` as parse_float and parse_constant. Raises ValueError: it is not finite."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{one_line(number, 20)} is no number of JSON")
    return value


def parse_json(text: str, path: Path) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        UserError: no JSON, NaN or Infinity in it, no object, or nested too deep or in too many parts for a motion.
    """
    if max(text.count("["), text.count("{"), text.count('"')) > _MAX_JSON_MARKS:
        raise UserError(f"{path}: has too many parts for a motion; cut it to parts")

    try:
        content = json.loads(text, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        message = "nested too deep" if isinstance(error, RecursionError) else one_line(error)
        raise UserError(f"{path}: is no readable JSON ({message}); export it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no JSON object; is it a motion?")
    return content


def array(value: Any, name: str, shape: tuple[int | None, ...], path: Path) -> np.ndarray:
    """Numbers of a parsed file as float64 of `shape`, where None is any length.

    Raises:
        UserError: naming `name`: missing, other shape, uneven rows, not numbers, or not finite.
    """
    sides = ", ".join("any" if side is None else str(side) for side in shape)
    try:
        out = np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{path}: {name}: expected numbers [{sides}]; the file is damaged") from error
    if out.ndim != len(shape) or any(side not in (None, length) for side, length in zip(shape, out.shape)):
        raise UserError(f"{path}: {name}: expected numbers [{sides}], got {list(out.shape)}; the file is damaged")
    if not np.isfinite(out).all():
        raise UserError(f"{path}: {name}: holds NaN or infinite values; mend them")
    return out


def check_frames(count: int, path: Path) -> None:
    """Raise UserError unless a motion may have `count` frames."""
    if not 0 < count <= MAX_FRAMES:
        raise UserError(f"{path}: has {one_line(count, 20)} frames; a motion has 1 to {MAX_FRAMES}")


def check_fps(fps: Any, path: Path) -> float:
    """`fps` where a motion may have it. Raises UserError otherwise."""
    try:
        value = float(fps)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not MIN_FPS <= value <= MAX_FPS:
        raise UserError(f"{path}: {one_line(fps, 20)} frames per second; a motion has {MIN_FPS:g} to {MAX_FPS:g}")
    return value


def check_weights(weights: np.ndarray, path: Path) -> np.ndarray:
    """Weights cut to [0,1]. Raises UserError where they go so far beyond that something else is meant."""
    low, high = (weights.min(), weights.max()) if weights.size else (0.0, 0.0)
    if not -1 <= low <= high <= 2:
        raise UserError(f"{path}: weights of {low:g} to {high:g}; they go from 0 to 1, divide percentages by 100")
    return np.clip(weights, 0, 1)


def check_poses(poses: np.ndarray, path: Path) -> np.ndarray:
    """Rigid transforms [T,4,4]. Raises UserError: one of them mirrors, scales, shears, or goes beyond a kilometre."""
    turns = poses[:, :3, :3].astype(np.float64)
    unit = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max(initial=0) < 0.01
    if not (unit and (np.linalg.det(turns) > 0).all() and np.abs(poses[:, :3, 3]).max(initial=0) < 1000):
        raise UserError(f"{path}: head_pose: holds what is no rotation and place of a head [m]; mend or leave it out")
    return poses
