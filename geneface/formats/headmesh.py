"""The head of the face basis as other programs want it: glTF's axes, parts by material, eyes that can be told apart.

Axes are glTF's: y up, the face looks along z, the person's left is at positive x [m]; the origin is that of the head
frame, the skull's centre. The eyes get an iris and a pupil, the brows their colour: triangles are cut along their
outlines, and the new vertices follow the expressions as the edges do that they lie on. The others are the basis' own,
in its order.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..face.arkit import index
from ..face.basis import FaceBasis, load_basis
from ..face.pose import y_up
from ..face.surface import cut, halve, vertex_normals

IRIS_RADIUS, PUPIL_RADIUS = 0.0059, 0.0022  # of an adult in room light [m]
IRIS_BELOW = 0.001  # the middle of the eyeball: there it has its pole, and the lids leave the pupil free [m]


@dataclass(frozen=True)
class Material:
    """How a part looks: colour [0,1] sRGB, roughness [0,1] of a dielectric (1 is matt)."""

    colour: tuple[float, float, float]
    roughness: float


MATERIALS = {
    "skin": Material((0.80, 0.62, 0.53), 0.6),
    "lips": Material((0.70, 0.40, 0.37), 0.4),
    "brows": Material((0.33, 0.23, 0.18), 0.8),
    "lashes": Material((0.14, 0.10, 0.09), 0.8),
    "mouth": Material((0.42, 0.17, 0.17), 0.5),
    "tongue": Material((0.72, 0.39, 0.38), 0.4),
    "teeth": Material((0.90, 0.87, 0.80), 0.25),
    "white": Material((0.93, 0.91, 0.89), 0.15),
    "iris": Material((0.30, 0.42, 0.48), 0.15),
    "pupil": Material((0.02, 0.02, 0.02), 0.15),
}
_REGIONS = {  # of the basis, and what they are made of; the rest is skin
    "mouth_cavity": "mouth", "tongue": "tongue", "teeth": "teeth", "eyelashes": "lashes",
    "eyeball_left": "white", "eyeball_right": "white",
}


@dataclass(frozen=True)
class Part:
    """Triangles of one material.

    Attributes:
        name: unique: the material's, for eyes with "_left" or "_right".
        material: key of `MATERIALS`.
        eye: 0 on the person's left eyeball, 1 on the right one, None elsewhere.
        triangles: which of the head's triangles.
    """

    name: str
    material: str
    eye: int | None
    triangles: slice


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A head for other programs; axes and units as the module says. Arrays are read-only.

    Attributes:
        vertices: [N,3] float32 at rest [m].
        deltas: [52,N,3] float32 displacements at weight 1 [m], in the order of `ARKIT_NAMES`.
        triangles: [F,3] int32, counter-clockwise seen from outside, part by part.
        normals: [N,3] float32 unit vectors at rest.
        uv: [N,2] float32 texture coordinates in [0,1], v down as in glTF, of MakeHuman's skins; where the texture's
            seam runs (below the chin, back of the head, inside of mouth and eyes) a vertex has the place of one side
            only.
        parts: the materials' triangles, one after the other.
        eyes: vertices of the left and of the right eyeball.
        eye_centres: [2,3] what they turn about [m].
        jaw_hinge: [3] middle of the axis, along x, about which the lower teeth turn as the jaw opens [m].
        jaw_open: how far they turn at jawOpen 1 [rad].
        jaw_side: how far about the vertical through the hinge at jawLeft 1 [rad]: a turn that moves the lower teeth
            sideways as far in the mean as the basis does, which shifts them.
        basis_index: [N] int32 which of the basis' vertices each is, rising; -1 for those that were cut in, at the end.
    """

    vertices: np.ndarray
    deltas: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    parts: tuple[Part, ...]
    eyes: tuple[np.ndarray, np.ndarray]
    eye_centres: np.ndarray
    jaw_hinge: np.ndarray
    jaw_open: float
    jaw_side: float
    basis_index: np.ndarray

    @property
    def lid_deltas(self) -> np.ndarray:
        """`deltas` that leave the eyeballs alone: for files whose eyes turn as joints or nodes."""
        deltas = self.deltas.copy()
        deltas[:, np.concatenate(self.eyes)] = 0
        return deltas

    def shapes(self, expression: np.ndarray) -> np.ndarray:
        """[...,N,3] vertices with the weights `expression` [...,52] [m]."""
        moved = np.asarray(expression, np.float32) @ self.deltas.reshape(len(self.deltas), -1)
        return self.vertices + moved.reshape(*np.shape(expression)[:-1], *self.vertices.shape)


@lru_cache(maxsize=1)
def load_head() -> HeadModel:
    """The bundled basis' mean head (made once per process)."""
    return head_model(load_basis())


def head_model(basis: FaceBasis) -> HeadModel:
    """A basis' mean head. The basis must have texture coordinates and the bundled one's regions."""
    names = list(MATERIALS)
    label = np.full(len(basis.triangles), names.index("skin"))
    for region, material in _REGIONS.items():
        label[np.isin(basis.triangles, basis.regions[region]).all(1)] = names.index(material)
    triangles, label = _without_lower_lashes(basis, label, names.index("lashes"))
    # Everything of a vertex that is linear along an edge, in one array: rest place, expressions, texture.
    flat = np.concatenate([
        y_up(basis.mean), y_up(basis.expression).transpose(1, 0, 2).reshape(len(basis.mean), -1), basis.uv
    ], axis=1).astype(np.float32)
    eyes = [basis.regions["eyeball_left"], basis.regions["eyeball_right"]]
    centres = np.stack([_sphere(flat[eye, :3]) for eye in eyes])

    def grow(on: np.ndarray, made: np.ndarray, of: np.ndarray, edges: np.ndarray, place: np.ndarray) -> None:
        """Put triangles `made`, labelled `of`, in the place of those `on`; new vertices lie on `edges` at `place`."""
        nonlocal flat, triangles, label
        first, last = flat[edges[:, 0]], flat[edges[:, 1]]
        flat = np.concatenate([flat, first + place[:, None].astype(np.float32) * (last - first)])
        triangles, label = np.concatenate([triangles[~on], made]), np.concatenate([label[~on], of])

    def paint(field: np.ndarray, over: str, colour: str) -> None:
        """Where `field` [V] is positive, what is made of `over` gets `colour`."""
        on = label == names.index(over)
        made, origin, edges, place = cut(triangles[on], field)
        inside = np.concatenate([field, np.zeros(len(edges))])[made].sum(1) > 0
        grow(on, made, np.where(inside, names.index(colour), names.index(over)), edges, place)

    paint(_lips(basis), "skin", "lips")
    paint(_brows(flat[:, :3], centres), "skin", "brows")
    white = label == names.index("white")
    made, edges = halve(triangles[white], len(flat))
    grow(white, made, np.full(len(made), names.index("white")), edges, np.full(len(edges), 0.5))
    for over, colour, radius in (("white", "iris", IRIS_RADIUS), ("iris", "pupil", PUPIL_RADIUS)):
        local = flat[:, :3] - centres[(flat[:, 0] < 0).astype(int)]
        paint(np.where(local[:, 2] > 0, radius - np.hypot(local[:, 0], local[:, 1] + IRIS_BELOW), -1), over, colour)

    white = np.isin(label, [names.index(name) for name in ("white", "iris", "pupil")])
    side = np.where(white, (flat[triangles[:, 0], 0] < 0).astype(int), -1)
    order = np.lexsort((side, label))
    used, triangles = np.unique(triangles[order], return_inverse=True)
    flat, triangles, label, side = flat[used], triangles.reshape(-1, 3).astype(np.int32), label[order], side[order]
    vertices, deltas, uv = flat[:, :3], flat[:, 3:-2].reshape(len(flat), -1, 3).transpose(1, 0, 2), flat[:, -2:]
    hinge, open_angle, side_angle = _jaw(basis)
    arrays = [vertices, deltas, triangles, vertex_normals(vertices, triangles).astype(np.float32), uv]
    arrays = [np.ascontiguousarray(array) for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    return HeadModel(
        *arrays, _parts(names, label, side), tuple(np.unique(triangles[side == eye]) for eye in (0, 1)), centres,
        hinge, open_angle, side_angle, np.where(used < len(basis.mean), used, -1).astype(np.int32),
    )


def _without_lower_lashes(basis: FaceBasis, label: np.ndarray, lashes: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and labels. The basis' lashes are solid strips; the lower ones look like a black line."""
    low = basis.mean[basis.triangles][..., 1].mean(1) > basis.mean[basis.regions["eyeball_left"], 1].mean()
    keep = (label != lashes) | ~low
    return basis.triangles[keep], label[keep]


def _lips(basis: FaceBasis) -> np.ndarray:
    """[V] positive on the lips: their vertices, the outline smoothed over the neighbours, both sides alike."""
    cover = np.zeros(len(basis.mean))
    cover[basis.regions["lips"]] = 1
    skin = basis.faces_of("skin")
    ends = skin[:, [[0, 1], [1, 2], [2, 0], [1, 0], [2, 1], [0, 2]]].reshape(-1, 2).T
    around = np.bincount(ends[0], cover[ends[1]], len(cover)) / np.bincount(ends[0], minlength=len(cover)).clip(1)
    cover = (cover + around) / 2
    return np.maximum(cover, cover[basis.mirror]) - 0.5


def _parts(names: list[str], label: np.ndarray, side: np.ndarray) -> tuple[Part, ...]:
    starts = np.flatnonzero(np.diff(label * 3 + side, prepend=-9))
    parts = []
    for start, end in zip(starts, [*starts[1:], len(label)]):
        material, eye = names[label[start]], None if side[start] < 0 else int(side[start])
        name = material if eye is None else f"{material}_{('left', 'right')[eye]}"
        parts.append(Part(name, material, eye, slice(int(start), int(end))))
    return tuple(parts)


def _sphere(points: np.ndarray) -> np.ndarray:
    """[3] centre of the sphere that fits `points` [N,3] best."""
    points = points.astype(np.float64)
    system = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(system, np.square(points).sum(1), rcond=None)[0][:3].astype(np.float32)


def _brows(points: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """[V] how far the points [V,3] lie within the brows: arcs over the eyes, thin at their outer ends [m]."""
    along = np.abs(points[:, 0])
    arc = eyes[0, 1] + 0.0175 + 0.004 * np.sin(np.clip((along - 0.012) / 0.042, 0, 1) * np.pi)
    width = np.interp(along, [0.006, 0.018, 0.034, 0.058], [-0.003, 0.0040, 0.0034, -0.001])
    return np.where(points[:, 2] > 0.03, width - np.abs(points[:, 1] - arc), -0.01)


def _jaw(basis: FaceBasis) -> tuple[np.ndarray, float, float]:
    """See `HeadModel.jaw_hinge`, `jaw_open` and `jaw_side`: fits to the lower teeth (Kabsch 1976)."""
    teeth = basis.regions["teeth_lower"]
    rest, opened, aside = (
        y_up(basis.mean[teeth] + delta).astype(np.float64)
        for delta in (0, basis.expression[index("jawOpen"), teeth], basis.expression[index("jawLeft"), teeth])
    )
    u, _, vt = np.linalg.svd((opened - opened.mean(0)).T @ (rest - rest.mean(0)))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    shift = opened.mean(0) - turn @ rest.mean(0)
    y, z = np.linalg.solve(np.eye(2) - turn[1:, 1:], shift[1:])  # what stays where it is, in the sagittal plane
    side = np.arcsin((aside - rest)[:, 0].mean() / (rest[:, 2].mean() - z))
    return np.array([0, y, z], np.float32), float(np.arctan2(turn[2, 1], turn[1, 1])), float(side)
