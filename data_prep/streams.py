"""Frames through several threads in order, and pictures on disk."""
from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from geneface.errors import UserError

A = TypeVar("A")
B = TypeVar("B")


def ordered_map(function: Callable[[A], B], items: Iterable[A], workers: int = 2) -> Iterator[B]:
    """`map` over threads: results in order, at most a few items in memory.

    For work that leaves the interpreter lock alone (OpenCV, MediaPipe, file access). When the caller stops, what has not
    begun is not done.
    """
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def encode_jpeg(frame: np.ndarray, quality: int) -> bytes:
    """[H,W,3] uint8 RGB to JPEG without chroma subsampling: red lips keep their edge."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"frame: cannot be encoded, shape {frame.shape}")
    return data.tobytes()


def encode_png(picture: np.ndarray) -> bytes:
    """[H,W,3] RGB or [H,W,4] RGBA uint8 to PNG, fast rather than small."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[-1] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, order), options)
    if not done:
        raise ValueError(f"picture: cannot be encoded, shape {picture.shape}")
    return data.tobytes()


def read_picture(path: Path) -> np.ndarray:
    """[H,W,3] uint8 RGB.

    Raises:
        UserError: missing or damaged.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run geneface prepare again") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise UserError(f"{path}: damaged picture; delete it and run geneface prepare again")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class Sequence:
    """A folder of numbered pictures.

    Args:
        folder: where.
        suffix: ".jpg" or ".png".
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.suffix = folder, suffix

    def path(self, index: int) -> Path:
        return self.folder / f"{index:06d}{self.suffix}"

    def clear(self) -> None:
        """Remove pictures of an earlier run; other files are left alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"[0-9][0-9][0-9][0-9][0-9][0-9]{self.suffix}"):
            path.unlink()

    def write(self, pictures: Iterable[bytes]) -> tuple[int, str]:
        """Write encoded pictures from 000000 on; returns how many, and the SHA-256 of them all."""
        digest, count = hashlib.sha256(), 0
        for data in pictures:
            self.path(count).write_bytes(data)
            digest.update(data)
            count += 1
        return count, digest.hexdigest()

    def read(self, indices: Iterable[int]) -> Iterator[np.ndarray]:
        """[H,W,3] uint8 RGB each, read ahead."""
        return ordered_map(read_picture, (self.path(index) for index in indices))
