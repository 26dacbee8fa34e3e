"""The square of a video that is worked on, and where it lies in the whole picture."""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

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
        """[side,side,3] uint8: the crop of source frame [H,W,3] number `index`, at the source's scale.

        Beyond the source's edges, its edge goes on.
        """
        require(frame.shape[:2] == (self.source_height, self.source_width),
                f"frame: expected {self.source_width}x{self.source_height} px, got {frame.shape[1]}x{frame.shape[0]}")
        if not self.path:
            rows, columns = (np.arange(at, at + self.side) for at in (self.y, self.x))
            if 0 <= min(self.x, self.y) and rows[-1] < len(frame) and columns[-1] < frame.shape[1]:
                return frame[self.y:self.y + self.side, self.x:self.x + self.side]
            return frame[np.ix_(rows.clip(0, len(frame) - 1), columns.clip(0, frame.shape[1] - 1))]
        import cv2

        x, y = self.path[index]
        middle = (x + (self.side - 1) / 2, y + (self.side - 1) / 2)
        return cv2.getRectSubPix(np.ascontiguousarray(frame), (self.side, self.side), middle)

    def apply(self, frame: np.ndarray, size: int, index: int = 0) -> np.ndarray:
        """[size,size,3] uint8 from source frame [H,W,3] number `index`: aspect kept, scaled with a filter."""
        return _scaled(self.piece(frame, index), size)

    def paste(self, frame: np.ndarray, picture: np.ndarray, index: int = 0) -> np.ndarray:
        """The way back: source frame [H,W,3] uint8 number `index` with `picture` [size,size,3] uint8 where the crop
        lies in it.

        Returns:
            [H,W,3] uint8; `frame` is left as it is. What of the picture lies beyond the frame's edges is left out.
        """
        height, width = frame.shape[:2]
        require((width, height) == (self.source_width, self.source_height),
                f"frame: expected {self.source_width}x{self.source_height} px, got {width}x{height}")
        rows, columns = self.window(index)
        result = frame.copy()
        result[rows, columns] = self.laid(picture, index)
        return result

    def window(self, index: int = 0) -> tuple[slice, slice]:
        """Rows and columns of source frame number `index` whose pixels' centres lie in the crop; may be none."""
        x, y = self.corner(index)
        (top, bottom), (left, right) = (
            (max(0, math.ceil(at - 0.5)), max(0, min(end, math.ceil(at + self.side - 0.5))))
            for at, end in ((y, self.source_height), (x, self.source_width))
        )
        return slice(top, max(top, bottom)), slice(left, max(left, right))

    def laid(self, picture: np.ndarray, index: int = 0) -> np.ndarray:
        """`picture` [size,size,C], uint8 or float32, at the pixels of `window(index)`."""
        import cv2

        rows, columns = self.window(index)
        if rows.start == rows.stop or columns.start == columns.stop:
            return np.zeros((rows.stop - rows.start, columns.stop - columns.start, *picture.shape[2:]), picture.dtype)
        x, y = self.corner(index)
        shift = np.array([[1, 0, columns.start - x], [0, 1, rows.start - y]], np.float64)  # from the window to the crop
        return cv2.warpAffine(
            _scaled(picture, self.side), shift, (columns.stop - columns.start, rows.stop - rows.start),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)


def _scaled(picture: np.ndarray, size: int) -> np.ndarray:
    """[size,size,C] from a square picture."""
    if len(picture) == size:
        return np.ascontiguousarray(picture)
    import cv2

    # Area averaging is exact for whole ratios and blurs little between; it never rings.
    filter_ = cv2.INTER_AREA if len(picture) > size else cv2.INTER_LANCZOS4
    return cv2.resize(picture, (size, size), interpolation=filter_)
