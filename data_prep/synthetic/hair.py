"""Hair: a chin-length bob with a side parting, as a dark cap under some thousand locks.

Each lock is a ribbon that starts on the scalp, is combed away from the parting, slides over the head under gravity and
hangs from where it leaves it. Positions are in the head frame [m].
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from .body import grid_triangles

LOCKS = 1900
STEPS = 17  # points along a lock
_CENTRE = np.array([0.0, -0.02, 0.012])  # of the skull, for the radial head shape
_PARTING = 0.022  # x of the parting, to the image's right [m]
# Height of the hairline over azimuth (0 in front, pi behind) [rad, m].
_HAIRLINE = np.array([
    [0.0, -0.094], [0.25, -0.0945], [0.5, -0.091], [0.75, -0.081], [0.95, -0.066], [1.15, -0.04], [1.35, -0.006],
    [1.6, 0.018], [1.9, 0.035], [2.4, 0.062], [np.pi, 0.075],
])
# The front edge of hanging hair: nothing hangs before this depth, over height (both [m]).
_CURTAIN = np.array([
    [-0.14, -0.20], [-0.105, -0.105], [-0.085, -0.083], [-0.06, -0.062], [-0.03, -0.050], [0.0, -0.044],
    [0.05, -0.040], [0.09, -0.036], [0.13, -0.030],
])


@dataclass(frozen=True)
class Hair:
    """Cap and locks as one mesh.

    Attributes:
        vertices: [N,3] head frame [m].
        normals: [N,3] shading normals.
        tangents: [N,3] direction of growth (unit).
        strand: [N,3] random number of the lock, place across it in [-1,1], place along it in [0,1].
        triangles: [M,3].
        shading: [S,3] the part of the triangles that is enough to cast shadows: the cap and every third lock.
    """

    vertices: np.ndarray
    normals: np.ndarray
    tangents: np.ndarray
    strand: np.ndarray
    triangles: np.ndarray
    shading: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [...,3] scaled to length 1 (zero stays zero)."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def azimuth(points: np.ndarray) -> np.ndarray:
    """Unsigned angle around the head's vertical axis, 0 in front, pi behind, of points [...,3]."""
    return np.abs(np.arctan2(points[..., 0], -(points[..., 2] - _CENTRE[2])))


def on_scalp(points: np.ndarray) -> np.ndarray:
    """Distance above the hairline [m] of head-frame points [...,3]; positive on the scalp."""
    return np.interp(azimuth(points), *_HAIRLINE.T) - points[..., 1]


class _HeadShape:
    """Radius of the head in every direction from the skull's centre."""

    def __init__(self, vertices: np.ndarray) -> None:
        local = vertices - _CENTRE
        self._radius = np.linalg.norm(local, axis=1)
        self._tree = cKDTree(local / self._radius[:, None])

    def push_out(self, points: np.ndarray, clearance: np.ndarray) -> np.ndarray:
        """Points [N,3] moved radially to at least `clearance` [N] above the head."""
        local = points - _CENTRE
        radius = np.linalg.norm(local, axis=1)
        distance, near = self._tree.query(local / radius[:, None], k=8)
        weight = 1 / (distance + 0.02)
        surface = (self._radius[near] * weight).sum(1) / weight.sum(1)
        return _CENTRE + local * (np.maximum(radius, surface + clearance) / radius)[:, None]


def _roots(vertices: np.ndarray, canonical: np.ndarray, triangles: np.ndarray, rng: np.random.Generator):
    """[LOCKS,3] points spread over the scalp, and their outward normals."""
    corners = vertices[triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1) * (on_scalp(canonical[triangles].mean(1)) > 0)
    place = canonical[triangles].mean(1)
    parting = np.exp(-(((place[:, 0] - _PARTING) / 0.007) ** 2)) * (place[:, 2] < 0.06)
    area *= 1 + 5 * parting + 1.0 * np.exp(-((on_scalp(place) / 0.012) ** 2))  # dense where the skin would show
    pick = rng.choice(len(area), LOCKS, p=area / area.sum())
    weights = rng.dirichlet([1, 1, 1], LOCKS)
    return (corners[pick] * weights[..., None]).sum(1), unit(cross[pick])


def _comb(roots: np.ndarray, normals: np.ndarray, shape: _HeadShape, rng: np.random.Generator) -> np.ndarray:
    """Centre lines [LOCKS,STEPS,3] of the locks."""
    count = len(roots)
    side = np.where(roots[:, 0] > _PARTING + 0.002 * rng.normal(size=count), 1.0, -1.0)
    lift = 0.004 + 0.010 * rng.random(count) ** 1.5  # layer above the scalp [m]
    hem = 0.100 + 0.016 * rng.normal(size=count).clip(-2, 1.5)  # height where the lock ends [m]
    edge = 0.014 * rng.random(count) ** 2  # how far behind the curtain's edge
    direction = np.stack([side, 0.05 * rng.normal(size=count), 0.05 + 0.25 * rng.normal(size=count)], -1)
    behind = np.clip((roots[:, 2] - 0.02) / 0.06, 0, 1)[:, None]
    direction = unit(direction * (1 - behind) + behind * np.array([0, 0.6, 0.9]) + behind * side[:, None] * [0.5, 0, 0])
    length = np.clip(hem - roots[:, 1], 0.03, None) * 1.25 + 0.015
    step = (length / (STEPS - 1))[:, None]
    path = [shape.push_out(roots + 0.001 * normals, 0.0015 + 0 * lift)]
    for k in range(1, STEPS):
        rise = 1 - np.exp(-k / 2.0)
        outward = unit(path[-1] - _CENTRE)
        falling = np.clip((path[-1][:, 1:2] + 0.06) / 0.05, 0, 1)  # past the widest part of the skull hair hangs
        direction = unit(direction * (1 - 0.45 * falling * [1.0, 0.0, 1.0]) + [0, 0.30, 0])
        radial = (direction * outward).sum(1, keepdims=True)
        direction = unit(direction - outward * np.where(radial > 0, 0.8 * radial * (1 - falling), radial))
        point = shape.push_out(path[-1] + direction * step, lift * rise)
        limit = np.interp(point[:, 1], *_CURTAIN.T) + edge
        point[:, 2] = np.maximum(point[:, 2], np.where(on_scalp(point) > 0.004, -1, limit))
        point = shape.push_out(point, lift * rise)
        direction = unit(point - path[-1])
        path.append(point)
    lines = np.stack(path, 1)
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    wave = 0.0030 * np.sin(np.linspace(0, 7, STEPS)[None] + phase) * np.linspace(0, 1, STEPS)[None]
    lines[..., 2] += wave
    smooth = gaussian_filter1d(lines, 1.0, axis=1, mode="nearest")
    held = np.exp(-np.arange(STEPS) / 1.2)[None, :, None]  # smoothing must not pull locks out of the scalp
    return smooth + held * (lines[:, :1] - smooth[:, :1])


def make_hair(vertices: np.ndarray, canonical: np.ndarray, triangles: np.ndarray, seed: int) -> Hair:
    """Hair for a head.

    Args:
        vertices: [V,3] the person's neutral skin.
        canonical: [V,3] the same vertices on the mean identity, where the hairline is defined.
        triangles: [F,3] of the skin.
        seed: of the locks' random numbers.
    """
    rng = np.random.default_rng(seed)
    used = np.unique(triangles)
    shape = _HeadShape(vertices[used])
    roots, normals = _roots(vertices, canonical, triangles, rng)
    lines = _comb(roots, normals, shape, rng)
    along = np.linspace(0, 1, STEPS)
    tangents = unit(np.gradient(lines, axis=1))
    outward = unit(lines - (_CENTRE + (lines - _CENTRE) * [0, 0.85, 0]))
    outward = unit(outward - tangents * (outward * tangents).sum(-1, keepdims=True))
    across = np.cross(tangents, outward)
    width = (0.0042 + 0.0020 * rng.random((LOCKS, 1))) * np.interp(along, [0, 0.12, 0.7, 1], [0.3, 1, 0.8, 0.12])
    edges = np.array([-1.0, 1.0])
    ribbon = lines[:, :, None] + across[:, :, None] * (width[..., None] * edges)[..., None]
    ribbon_normals = unit(outward[:, :, None] + 0.55 * across[:, :, None] * edges[:, None])
    strand = np.stack(np.broadcast_arrays(rng.random((LOCKS, 1, 1)), edges, along[:, None]), -1)
    one = grid_triangles(STEPS, 2, closed=False)
    lock_triangles = (one[None] + (np.arange(LOCKS) * STEPS * 2)[:, None, None]).reshape(-1, 3)

    # The cap: scalp triangles, raised a little, so that no skin shines through between locks.
    scalp = triangles[(on_scalp(canonical[triangles]) > 0.002).all(1)]
    members, scalp = np.unique(scalp, return_inverse=True)
    scalp = scalp.reshape(-1, 3)
    raised = shape.push_out(vertices[members], np.interp(on_scalp(canonical[members]), [0.002, 0.03], [0.0005, 0.004]))
    outward_cap = unit(raised - _CENTRE)
    cap_strand = np.tile([0.0, 0.0, -1.0], (len(members), 1))
    offset = LOCKS * STEPS * 2
    return Hair(
        np.concatenate([ribbon.reshape(-1, 3), raised]),
        np.concatenate([ribbon_normals.reshape(-1, 3), outward_cap]),
        np.concatenate([np.broadcast_to(tangents[:, :, None], ribbon.shape).reshape(-1, 3),
                        unit(np.cross(outward_cap, [0.0, 0.0, 1.0]))]),
        np.concatenate([strand.reshape(-1, 3), cap_strand]),
        np.concatenate([lock_triangles, scalp + offset]),
        np.concatenate([lock_triangles.reshape(LOCKS, -1, 3)[::3].reshape(-1, 3), scalp + offset]),
    )
