"""The layout of a multiresolution grid as the native kernels take it."""
import ctypes
import functools
from typing import Sequence


class Grid(ctypes.Structure):
    """`geneface_grid` of geneface_ops.h."""

    _fields_ = [
        ("dims", ctypes.c_int32), ("levels", ctypes.c_int32), ("features", ctypes.c_int32),
        ("log2_table_size", ctypes.c_int32), ("hashed", ctypes.c_int32),
        ("offsets", ctypes.POINTER(ctypes.c_int64)), ("resolutions", ctypes.POINTER(ctypes.c_int64)),
    ]


def grid_layout(
    dims: int, features: int, log2_table_size: int, hashed: bool, offsets: Sequence[int], resolutions: Sequence[int]
) -> Grid:
    """The C layout of a `GridSpec` given by its values; keeps the arrays that it points to alive."""
    # Custom ops hand over lists of numbers; a dictionary needs tuples of plain integers.
    return _layout(
        dims, features, log2_table_size, bool(hashed), tuple(int(v) for v in offsets), tuple(int(v) for v in resolutions)
    )


@functools.lru_cache(maxsize=64)
def _layout(dims, features, log2_table_size, hashed, offsets, resolutions) -> Grid:
    levels = len(resolutions)
    return Grid(
        dims, levels, features, log2_table_size, int(hashed), (ctypes.c_int64 * (levels + 1))(*offsets),
        (ctypes.c_int64 * levels)(*resolutions),
    )
