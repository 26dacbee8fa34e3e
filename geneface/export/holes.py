"""Small holes of a mesh, closed."""
from __future__ import annotations

import numpy as np

WIDEST = 60  # edges of the longest border that counts as a hole's


def close_holes(vertices: np.ndarray, triangles: np.ndarray, widest: int = WIDEST) -> tuple[np.ndarray, np.ndarray]:
    """Fill each border of at most `widest` edges with a fan about its middle.

    Args:
        vertices: [V,3]. triangles: [F,3], counter-clockwise seen from outside.

    Returns:
        vertices and triangles, those given first.
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    codes = edges[:, 0] * len(vertices) + edges[:, 1]
    border = edges[~np.isin(codes, edges[:, 1] * len(vertices) + edges[:, 0])]
    middles, fans = [], []
    for loop in _loops(border):
        if len(loop) <= widest:
            middle = len(vertices) + len(middles)
            middles.append(vertices[loop].mean(0))
            fans += [(after, before, middle) for before, after in zip(loop, loop[1:] + loop[:1])]
    if not fans:
        return vertices, triangles
    return np.concatenate([vertices, middles]), np.concatenate([triangles, fans])


def _loops(border: np.ndarray) -> list[list[int]]:
    """Closed walks along directed edges [E,2], every edge once; split where they touch themselves."""
    after: dict[int, list[int]] = {}
    for a, b in border.tolist():
        after.setdefault(a, []).append(b)
    loops = []
    for start in list(after):
        while after[start]:
            walk, place = [start], {start: 0}
            while True:
                step = after.get(walk[-1])
                if not step:  # a border that does not close
                    break
                at = step.pop()
                if at in place:
                    loops.append(walk[place[at] :])
                    for gone in walk[place[at] + 1 :]:
                        del place[gone]
                    del walk[place[at] + 1 :]
                    if at == start:
                        break
                else:
                    place[at] = len(walk)
                    walk.append(at)
    return loops
