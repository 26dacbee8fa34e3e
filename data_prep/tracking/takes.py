"""Takes that have jumps: the pieces between them."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_LEAST = 12  # valid frames a piece needs to be smoothed on its own


def pieces(valid: np.ndarray, jumps: Sequence[int]) -> list[slice]:
    """Runs of frames between jumps, each with enough valid frames; scraps go to the run before (the first to the next).

    Args:
        valid: [T] bool.
        jumps: first frames after jumps.
    """
    edges = [0, *sorted({jump for jump in jumps if 0 < jump < len(valid)}), len(valid)]
    kept = [edges[0]]
    for start, stop in zip(edges[1:-1], edges[2:]):
        if valid[kept[-1]:start].sum() >= _LEAST and valid[start:stop].sum() >= _LEAST:
            kept.append(start)
    return [slice(a, b) for a, b in zip(kept, [*kept[1:], len(valid)])]
