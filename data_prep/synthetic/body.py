"""Neck, shoulders and sweater: a simple mesh of its own, below the head of the face basis.

All positions are in the body frame [m]: the head frame of an upright head (x image-right, y down, z into the head).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NECK_ROWS = 12  # rows of the loft between the head's neck edge and the collar
COLUMNS = 96  # vertices around the torso
# Half width, half depth, height and middle depth of the torso's cross-sections, from inside the collar down [m].
# Proportions of an average adult: shoulder breadth about 40 cm, neck breadth about 11 cm.
_SECTIONS = np.array([
    # half width, half depth, y, z
    [0.0500, 0.0520, 0.1780, 0.0300],
    [0.0530, 0.0550, 0.1660, 0.0290],
    [0.0575, 0.0590, 0.1580, 0.0285],
    [0.0640, 0.0650, 0.1590, 0.0280],
    [0.0690, 0.0690, 0.1670, 0.0275],
    [0.0720, 0.0705, 0.1760, 0.0270],
    [0.0860, 0.0740, 0.1830, 0.0270],
    [0.1080, 0.0800, 0.1905, 0.0270],
    [0.1320, 0.0850, 0.1990, 0.0265],
    [0.1540, 0.0890, 0.2090, 0.0260],
    [0.1720, 0.0930, 0.2220, 0.0250],
    [0.1850, 0.0970, 0.2390, 0.0240],
    [0.1940, 0.1010, 0.2600, 0.0230],
    [0.1990, 0.1050, 0.2900, 0.0220],
    [0.2010, 0.1080, 0.3300, 0.0210],
    [0.2010, 0.1100, 0.4000, 0.0200],
    [0.2010, 0.1100, 0.5200, 0.0200],
])
_RAISE = 0.022  # the whole torso is this much higher than the table says [m]
COLLAR_ROWS = (1, 5)  # sections that are the ribbed collar
_FRONT_DROP = 0.022  # the collar's front hangs lower than its back by twice this [m]


@dataclass(frozen=True)
class Torso:
    """Sweater mesh.

    Attributes:
        vertices: [N,3] body frame [m].
        triangles: [M,3].
        cloth: [N,3] cloth coordinates: around and down the body [m], and 1 on the collar else 0.
        opening: [COLUMNS,3] the ring inside the collar where the neck ends.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    cloth: np.ndarray
    opening: np.ndarray


def grid_triangles(rows: int, columns: int, closed: bool) -> np.ndarray:
    """[M,3] triangles of a rows x columns vertex grid; `closed` joins the last column to the first."""
    j, i = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (i + 1) % columns
    a, b, c, d = j * columns + i, j * columns + right, (j + 1) * columns + i, (j + 1) * columns + right
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])


def make_torso() -> Torso:
    """The sweater, symmetrical, from its cross-sections (interpolated by cubic splines)."""
    from scipy.interpolate import PchipInterpolator

    fine = np.linspace(0, len(_SECTIONS) - 1, 64)
    sections = PchipInterpolator(np.arange(len(_SECTIONS)), _SECTIONS)(fine) - [0, 0, _RAISE, 0]
    azimuth = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)  # 0 in front, towards the image's right
    half_width, half_depth, height, middle = (sections[:, k, None] for k in range(4))
    # Sections turn from round at the neck to a flat-chested superellipse at the shoulders.
    square = np.interp(half_width, [0.07, 0.19], [1.0, 0.72])
    x = half_width * np.sign(np.sin(azimuth)) * np.abs(np.sin(azimuth)) ** square
    depth = half_depth * np.sign(np.cos(azimuth)) * np.abs(np.cos(azimuth)) ** square
    drop = np.interp(half_width, [0.06, 0.09, 0.2], [1.0, 0.9, 0.15]) * _FRONT_DROP
    chest = 0.012 * np.exp(-((height - 0.36) / 0.1) ** 2) * np.clip(np.cos(azimuth), 0, 1)
    y = height + drop * np.cos(azimuth) * np.ones_like(x)
    vertices = np.stack([x, y, middle - depth - chest], -1)
    around = azimuth * 0.12 + 0 * x
    steps = np.linalg.norm(np.diff(vertices, axis=0), axis=-1).mean(1)
    down = np.concatenate([[0], np.cumsum(steps)])[:, None] + 0 * x
    collar = ((fine >= COLLAR_ROWS[0] - 1) & (fine <= COLLAR_ROWS[1]))[:, None] + 0 * x
    return Torso(
        vertices.reshape(-1, 3), grid_triangles(len(fine), COLUMNS, closed=True),
        np.stack([around, down, collar], -1).reshape(-1, 3), vertices[0],
    )


def neck_edge(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[n] vertices of the head mesh's open edge at the neck, in order, starting in front towards the image's right."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    neighbours: dict[int, list[int]] = {}
    for a, b in unique[count == 1]:
        neighbours.setdefault(int(a), []).append(int(b))
        neighbours.setdefault(int(b), []).append(int(a))
    start = max(neighbours, key=lambda v: vertices[v, 1])
    loop, last = [start], -1
    while True:
        step = [v for v in neighbours[loop[-1]] if v != last]
        if not step or step[0] == loop[0]:
            break
        last = loop[-1]
        loop.append(step[0])
        if len(loop) > len(neighbours):
            raise ValueError("triangles: the neck's open edge is not one closed loop")
    ring = np.array(loop)
    around = np.arctan2(vertices[ring, 0], -(vertices[ring, 2] - vertices[ring, 2].mean()))
    if np.median(np.diff(around)) < 0:
        ring, around = ring[::-1], around[::-1]
    return np.roll(ring, -int(np.abs(around).argmin()))


def loft_targets(opening: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """[n,3] points of the collar's `opening` ring [COLUMNS,3] that the neck edge's points [n,3] run down to."""
    def azimuth(ring: np.ndarray) -> np.ndarray:
        return np.unwrap(np.arctan2(ring[:, 0], -(ring[:, 2] - ring[:, 2].mean())))

    ring = azimuth(opening)
    period = 2 * np.pi
    return np.stack([np.interp(azimuth(edge), ring, opening[:, k], period=period) for k in range(3)], -1)


def loft(edge: np.ndarray, tangent: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Neck rows [NECK_ROWS,n,3] from `edge` [n,3], leaving along `tangent` [n,3] [m], down to `target` [n,3].

    A cubic Hermite curve per column: it leaves the head smoothly and enters the collar straight down.
    """
    s = np.linspace(0, 1, NECK_ROWS + 1)[1:, None, None]
    length = np.linalg.norm(target - edge, axis=-1, keepdims=True)
    inward = np.array([0.0, 1.0, 0.0]) * length
    return ((2 * s**3 - 3 * s**2 + 1) * edge + (s**3 - 2 * s**2 + s) * tangent * length
            + (-2 * s**3 + 3 * s**2) * target + (s**3 - s**2) * inward)
