"""The surface where a sampled function is zero, by surface nets (Gibson 1998)."""
from __future__ import annotations

from itertools import product

import numpy as np

_CORNERS = np.array(list(product((0, 1), repeat=3)))
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


def surface_nets(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zero surface of a function on a grid: one vertex for each cell that it passes, one quad for each grid edge.

    Args:
        values: [A,B,C] samples, negative inside.
        known: [A,B,C] bool: samples that mean something. The surface ends where its cells touch others.

    Returns:
        vertices [V,3] in grid steps, axes as the array's; quads [Q,4] of their indices, counter-clockwise seen from
        outside if the array's axes are right-handed.
    """
    inside = values < 0
    cells = tuple(n - 1 for n in values.shape)

    def corner(array: np.ndarray, index: int) -> np.ndarray:
        return array[tuple(slice(o, o + n) for o, n in zip(_CORNERS[index], cells))]

    count = sum(corner(inside, i).astype(np.int8) for i in range(8))
    crossed = (count > 0) & (count < 8) & np.logical_and.reduce([corner(known, i) for i in range(8)])
    place = np.argwhere(crossed)
    at = np.stack([corner(values, i)[crossed] for i in range(8)], axis=1).astype(float)
    points, crossings = np.zeros((len(place), 3)), np.zeros((len(place), 1))
    for a, b in _EDGES:
        cut = (at[:, a] < 0) != (at[:, b] < 0)
        share = at[cut, a] / (at[cut, a] - at[cut, b])
        points[cut] += _CORNERS[a] + share[:, None] * (_CORNERS[b] - _CORNERS[a])
        crossings[cut] += 1
    vertices = place + points / np.maximum(crossings, 1)
    number = np.full(cells, -1)
    number[crossed] = np.arange(len(place))
    return vertices, np.concatenate([_quads(inside, number, axis) for axis in range(3)])


def _quads(inside: np.ndarray, number: np.ndarray, axis: int) -> np.ndarray:
    """[Q,4] vertices of the four cells around each grid edge along `axis` whose ends lie on different sides."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    inside, number = (np.moveaxis(array, (axis, first, second), (0, 1, 2)) for array in (inside, number))
    near, far = inside[:-1, 1:-1, 1:-1], inside[1:, 1:-1, 1:-1]
    around = np.stack([number[:, :-1, :-1], number[:, 1:, :-1], number[:, 1:, 1:], number[:, :-1, 1:]], axis=-1)
    chosen = (near != far) & (around >= 0).all(-1)
    quads = around[chosen]
    return np.where(near[chosen][:, None], quads, quads[:, ::-1])
