"""Limits on what is read: files of strangers end in one line, in bounded memory and time."""
from __future__ import annotations

import math
from pathlib import Path

from ..errors import UserError

MAX_BYTES = 1 << 29
"""Largest file of motion that is read, and the largest that a compressed one may become [bytes]."""
MAX_FRAMES = 1 << 20
"""Most frames of a motion that is read: half a day at 25 frames per second."""
MAX_FPS = 1000.0


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Contents of a file. Raises UserError: missing, a folder, unreadable, or larger than `limit` [bytes]."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        size = path.stat().st_size
        if size > limit:
            raise UserError(f"{path}: {size / 1e6:.0f} MB is more than a motion of {limit / 1e6:.0f} MB; cut it to parts")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Contents of a UTF-8 text file, with or without byte order mark. Raises UserError: as `read_bytes`, or no text."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no UTF-8 text (byte {error.start}); export it again as text") from error


def check_frames(count: int, path: Path) -> None:
    """Raise UserError unless a motion may have `count` frames."""
    if not 0 < count <= MAX_FRAMES:
        raise UserError(f"{path}: has {count} frames; a motion has 1 to {MAX_FRAMES}")


def check_fps(fps: float, path: Path) -> float:
    """`fps` where a motion may have it. Raises UserError otherwise."""
    if not (math.isfinite(fps) and 0 < fps <= MAX_FPS):
        raise UserError(f"{path}: {fps:g} frames per second; a motion has more than 0 and at most {MAX_FPS:g}")
    return float(fps)
