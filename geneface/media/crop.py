"""The square of a video that is worked on, and where it lies in the whole picture."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from ..types import require


@dataclass(frozen=True)
class Crop:
    """A square of the source picture.

    A point p of the crop, scaled to `size`, lies at `corner(index)` + p * side / size in frame `index` of the source.

    Attributes:
        x, y: top left corner in the source [px]; of the first frame where it moves.
        side: [px].
        source_width, source_height: [px].
        path: top left corner in every frame [px], empty where it does not move.
    """

    x: int
    y: int
    side: int
    source_width: int
    source_height: int
    path: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        require(self.side > 0, f"side: must be positive, got {self.side}")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Crop":
        """The crop of a person's manifest (`manifest["crop"]`)."""
        path = tuple((float(x), float(y)) for x, y in data.get("path", ()))
        return cls(*(int(data[name]) for name in ("x", "y", "side", "source_width", "source_height")), path)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def corner(self, index: int) -> tuple[float, float]:
        """Top left corner in frame `index` [source px]."""
        return self.path[index] if self.path else (self.x, self.y)

    def piece(self, frame: np.ndarray, index: int = 0) -> np.ndarray:
        """[side,side,3] uint8: the crop of source frame [H,W,3] number `index`, at the source's scale."""
        require(frame.shape[:2] == (self.source_height, self.source_width),
                f"frame: expected {self.source_width}x{self.source_height} px, got {frame.shape[1]}x{frame.shape[0]}")
        if not self.path:
            return frame[self.y:self.y + self.side, self.x:self.x + self.side]
        x, y = self.path[index]
        middle = (x + (self.side - 1) / 2, y + (self.side - 1) / 2)
        return cv2.getRectSubPix(np.ascontiguousarray(frame), (self.side, self.side), middle)

    def apply(self, frame: np.ndarray, size: int, index: int = 0) -> np.ndarray:
        """[size,size,3] uint8 from source frame [H,W,3] number `index`: aspect kept, scaled with a filter."""
        piece = self.piece(frame, index)
        if self.side == size:
            return np.ascontiguousarray(piece)
        if self.side > size:
            # Area averaging is exact for whole ratios and blurs little between; it never rings.
            return cv2.resize(piece, (size, size), interpolation=cv2.INTER_AREA)
        return cv2.resize(piece, (size, size), interpolation=cv2.INTER_LANCZOS4)
