"""Triangle meshes: normals, finer triangles, and cutting along a line."""
from __future__ import annotations

import numpy as np


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[V,3] unit normals, of the triangles around a vertex by area."""
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    face = np.cross(b - a, c - a)
    total = np.stack([np.bincount(triangles.ravel(), np.repeat(face[:, i], 3), len(vertices)) for i in range(3)], 1)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def cut(triangles: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split triangles along the line where a function of the surface, linear in each triangle, is zero.

    Args:
        triangles: [F,3] vertex indices.
        field: [V] values at the vertices.

    Returns:
        Triangles [G,3], each on one side of the line, turned as they were; the triangle [G] that each comes from; the
        edges [N,2] on which the new vertices V, V+1, ... lie; and their place [N] on them, 0 at the first end.
    """
    inside = field > 0
    count = inside[triangles].sum(1)
    crossed = (count == 1) | (count == 2)
    split = triangles[crossed]
    # The corner that is alone on its side comes first.
    alone = (inside[split] == (count[crossed] == 1)[:, None]).argmax(1)
    a, b, c = split[np.arange(len(split))[:, None], (alone[:, None] + np.arange(3)) % 3].T
    both = np.sort(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]), axis=1)
    edges, new = np.unique(both, axis=0, return_inverse=True)
    ab, ac = (new.reshape(-1) + len(field)).reshape(2, -1)
    pieces = [np.stack(corners, 1) for corners in ((a, ab, ac), (ab, b, c), (ab, c, ac))]
    whole = np.flatnonzero(~crossed)
    origin = np.concatenate([whole] + 3 * [np.flatnonzero(crossed)])
    first, last = field[edges].T
    return np.concatenate([triangles[whole], *pieces]), origin, edges, first / np.where(first == last, 1, first - last)


def halve(triangles: np.ndarray, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle in four.

    Args:
        triangles: [F,3] vertex indices.
        vertices: how many vertices there are.

    Returns:
        Triangles [4F,3], turned as they were, and the edges [N,2] whose middles are the new vertices.
    """
    sides = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=-1).reshape(-1, 2)
    edges, new = np.unique(sides, axis=0, return_inverse=True)
    a, b, c = triangles.T
    ab, bc, ca = (new.reshape(-1, 3) + vertices).T
    return np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]), edges
