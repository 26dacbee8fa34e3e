"""Takes that have jumps: the pieces between them."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST = 12  # valid frames a piece needs to be smoothed on its own


def pieces(valid: np.ndarray, jumps: Sequence[int], least: int = LEAST) -> list[slice]:
    """Runs of frames between jumps, each with enough valid frames; scraps go to the run before (the first to the next).

    Args:
        valid: [T] bool.
        jumps: first frames after jumps.
        least: valid frames that a run has.
    """
    edges = [0, *sorted({jump for jump in jumps if 0 < jump < len(valid)}), len(valid)]
    kept = [edges[0]]
    for start, stop in zip(edges[1:-1], edges[2:]):
        if valid[kept[-1]:start].sum() >= least and valid[start:stop].sum() >= least:
            kept.append(start)
    return [slice(a, b) for a, b in zip(kept, [*kept[1:], len(valid)])]
