"""Shape of a multiresolution hash grid (Müller et al. 2022, Instant Neural Graphics Primitives)."""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property


@dataclass(frozen=True)
class GridSpec:
    """How a feature table is laid out over the levels of a multiresolution grid.

    Level l covers the unit square or cube with `resolutions[l]` cells per axis, growing geometrically
    from `base_resolution` to `max_resolution`. A level whose vertices all fit gets one table row per
    vertex (x fastest); a finer level shares `2**log2_table_size` rows, by a spatial hash or by tiling.

    Attributes:
        dims: dimensions of the position, 2 or 3.
        levels: number of levels L.
        features: features per level C, 1, 2, 4 or 8.
        base_resolution, max_resolution: cells per axis of the coarsest and the finest level.
        log2_table_size: rows per level are at most 2 to this power.
        hashed: spatial hash where vertices outnumber rows; False tiles instead (row = vertex number
            modulo table size), which keeps neighbours together and so is kinder to caches.
    """

    dims: int
    levels: int
    features: int
    base_resolution: int
    max_resolution: int
    log2_table_size: int
    hashed: bool = True

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ValueError(f"dims: must be 2 or 3, got {self.dims}")
        if self.features not in (1, 2, 4, 8):
            raise ValueError(f"features: must be 1, 2, 4 or 8, got {self.features}")
        if not 1 <= self.levels <= 32:
            raise ValueError(f"levels: must be 1 to 32, got {self.levels}")
        if not 1 <= self.base_resolution <= self.max_resolution <= 1 << 16:
            raise ValueError(
                f"resolutions: need 1 <= base <= max <= 65536, got {self.base_resolution} and {self.max_resolution}"
            )
        if not 3 <= self.log2_table_size <= 24:
            raise ValueError(f"log2_table_size: must be 3 to 24, got {self.log2_table_size}")

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Cells per axis of each level."""
        if self.levels == 1:
            return (self.base_resolution,)
        growth = math.log(self.max_resolution / self.base_resolution) / (self.levels - 1)
        # The guard keeps an exact power (16 * 2**l) from rounding up to the next integer.
        return tuple(math.ceil(self.base_resolution * math.exp(growth * l) - 1e-6) for l in range(self.levels))

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First table row of each level, and one past the last (L + 1 values)."""
        offsets = [0]
        for resolution in self.resolutions:
            rows = min(1 << self.log2_table_size, (resolution + 1) ** self.dims)
            offsets.append(offsets[-1] + (rows + 7) // 8 * 8)  # multiples of 8 start on a cache line
        return tuple(offsets)

    @property
    def rows(self) -> int:
        """Rows of the feature table."""
        return self.offsets[-1]

    @property
    def width(self) -> int:
        """Features per encoded position, L * C."""
        return self.levels * self.features

    def dense(self, level: int) -> bool:
        """True where each vertex of `level` has a row of its own."""
        return (self.resolutions[level] + 1) ** self.dims <= 1 << self.log2_table_size

    def to_dict(self) -> dict:
        """Constructor arguments, for file headers: `GridSpec(**spec.to_dict()) == spec`."""
        return asdict(self)
