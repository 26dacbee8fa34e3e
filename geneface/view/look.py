"""How the head of the viewer looks: colours at its vertices, with the shade that a head casts on itself.

The film and the page draw the same: `load_look` is all that either knows of materials.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from .. import ops
from ..face.arkit import indices
from ..face.surface import vertex_normals
from ..formats.headmesh import IRIS_BELOW, IRIS_RADIUS, MATERIALS, PUPIL_RADIUS, HeadModel, load_head

KINDS = ("skin", "brow", "lash", "inside", "eye")
_KIND = {"skin": 0, "lips": 0, "brows": 1, "lashes": 2, "mouth": 3, "tongue": 3, "teeth": 3,
         "white": 4, "iris": 4, "pupil": 4}
_BROWS, _LASHES = (0.46, 0.33, 0.27), (0.30, 0.21, 0.18)  # lighter than one hair is: there is skin between them
_BLUSH = np.array([0.62, 0.21, 0.17], np.float32)  # linear RGB
_ROSY = ((0.046, -0.024, 0.082, 0.017, 0.30), (0.0, -0.022, 0.118, 0.012, 0.28), (0.087, 0.0, -0.01, 0.022, 0.40),
         (0.0, -0.088, 0.09, 0.014, 0.16))  # cheeks, nose, ears, chin: x (either side), y, z, radius [m]; how much
_LIPS_AT, _REACH = 0.088, 0.016  # where the mouth begins, and how deep light comes into it [m]
_EYE_SPAN = 0.014  # half the side of the eye's texture [m]
_DIRECTIONS, _MAP, _BIAS = 40, 144, 0.003  # of the light that is tried, side of its maps [px], slack [m]
_POSES = ((), ("jawOpen",), ("eyeBlink*",))  # a vertex is as open to the light as in the best of these


@dataclass(frozen=True)
class Look:
    """The head ready to be drawn: a vertex that has several colours is there several times.

    Attributes:
        head: the geometry.
        corners: [M] int32 vertex of the head that each coloured vertex is.
        triangles: [F,3] int32 coloured vertices, the faces in the order of `kind`.
        kind: [F] int64 index into `KINDS`, in rising order.
        colour: [M,3] float32 linear RGB, own shade included; on eyes only the shade.
        gloss: [M] float32 how much light it mirrors: 0 matt, 1 wet.
        eye_uv: [M,2] float32 place in `eye_texture` in [0,1], v down.
        eye_texture: [S,S,3] uint8 sRGB, an eye from in front.
    """

    head: HeadModel
    corners: np.ndarray
    triangles: np.ndarray
    kind: np.ndarray
    colour: np.ndarray
    gloss: np.ndarray
    eye_uv: np.ndarray
    eye_texture: np.ndarray


@lru_cache(maxsize=1)
def load_look() -> Look:
    """The bundled head's look (made once per process; treat its arrays as read-only)."""
    head = load_head()
    names = list(MATERIALS)
    material = np.empty(len(head.triangles), np.int64)
    for part in head.parts:
        material[part.triangles] = names.index(part.material)
    side = np.where(head.vertices[:, 0] < 0, 1, 0)
    height = head.vertices[:, 1] - head.eye_centres[side, 1]
    kind = np.array([_KIND[name] for name in names])[material]
    order = np.argsort(kind, kind="stable")
    faces, material, kind = head.triangles[order].astype(np.int64), material[order], kind[order]
    kept, triangles = np.unique(faces * len(KINDS) + kind[:, None], return_inverse=True)
    corners, on = kept // len(KINDS), kept % len(KINDS)
    triangles = triangles.reshape(faces.shape)

    # Where skin and lips meet, vertices have the mean colour, so that they run into each other.
    palette = {name: MATERIALS[name].colour for name in names} | {"brows": _BROWS, "lashes": _LASHES}
    palette |= {name: (1.0, 1.0, 1.0) for name in ("white", "iris", "pupil")}
    values = np.array([[*linear(np.array(palette[name])), 1 - MATERIALS[name].roughness] for name in names])
    each = np.repeat(values[material], 3, axis=0)
    count = np.bincount(triangles.ravel(), minlength=len(kept))
    mixed = np.stack([np.bincount(triangles.ravel(), column, len(kept)) / count for column in each.T], 1)
    colour, gloss = mixed[:, :3], mixed[:, 3]
    place = head.vertices[corners]
    for x, y, z, radius, amount in _ROSY:
        offset = np.column_stack([np.abs(place[:, 0]) - x, place[:, 1] - y, place[:, 2] - z])
        share = amount * (on == 0) * np.exp(-0.5 * np.square(offset / radius).sum(1))
        colour = colour + (_BLUSH - colour) * share[:, None]
    shade = 0.30 + 0.70 * openness(head)[corners]
    shade = np.where(on == 3, 0.06 + 0.94 * np.exp(-np.maximum(_LIPS_AT - place[:, 2], 0) / _REACH), shade)
    gloss = np.where(on == 3, gloss * shade, gloss)
    # The upper lid and its lashes shade the eye.
    shade = np.where(on == 4, np.clip(0.95 - height[corners] / 0.016, 0.45, 1), shade)
    local = (place - head.eye_centres[side[corners]])[:, :2] + [0, IRIS_BELOW]
    uv = local * [1, -1] / (2 * _EYE_SPAN) + 0.5
    arrays = [corners.astype(np.int32), triangles.astype(np.int32), kind, (colour * shade[:, None]).astype(np.float32),
              gloss.astype(np.float32), np.where(on[:, None] == 4, uv, 0.5).astype(np.float32), paint_eye()]
    for array in arrays:
        array.setflags(write=False)
    return Look(head, *arrays)


def linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values in [0,1] (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def paint_eye(side: int = 160) -> np.ndarray:
    """[side,side,3] uint8 sRGB: white, iris with dark rim and fibres, pupil; `_EYE_SPAN` from the middle to a side."""
    y, x = ((np.indices((side, side)) + 0.5) / side * 2 - 1) * _EYE_SPAN
    radius, angle = np.hypot(x, y), np.arctan2(y, x)

    def beyond(edge: float, soft: float) -> np.ndarray:
        step = np.clip((radius - edge) / soft + 0.5, 0, 1)
        return (step * step * (3 - 2 * step))[..., None]

    white = np.array(MATERIALS["white"].colour) - np.clip(radius - 0.008, 0, 1)[..., None] * [8, 22, 22]
    fibres = 0.90 + 0.10 * np.sin(23 * angle) + 0.07 * np.sin(41 * angle + 1)
    iris = np.array(MATERIALS["iris"].colour) * (fibres * (0.85 + 0.45 * radius / IRIS_RADIUS))[..., None]
    ring = 0.35 * np.exp(-np.square((radius - 0.0028) / 0.0008))[..., None]
    iris = iris + (np.array([0.55, 0.45, 0.30]) - iris) * ring
    iris = iris * (1 - 0.6 * beyond(IRIS_RADIUS - 0.0005, 0.0010))
    eye = iris + (white - iris) * beyond(IRIS_RADIUS, 0.0006)
    pupil = np.array(MATERIALS["pupil"].colour)
    eye = pupil + (eye - pupil) * beyond(PUPIL_RADIUS, 0.0005)
    return np.round(np.clip(eye, 0, 1) * 255).astype(np.uint8)


def openness(head: HeadModel) -> np.ndarray:
    """[N] share of an even sky that each vertex sees past the head itself, weighted by the cosine, in [0,1]."""
    best = np.zeros(len(head.vertices))
    triangles = torch.from_numpy(np.array(head.triangles, np.int32))
    for names in _POSES:
        weights = np.zeros(len(head.deltas), np.float32)
        weights[indices(*names)] = 0.7
        vertices = head.shapes(weights)
        normals = vertex_normals(vertices, head.triangles)
        seen, total = np.zeros(len(vertices)), np.zeros(len(vertices))
        for axis in _sphere(_DIRECTIONS):
            right = np.cross([0.31, 0.90, 0.30], axis)
            right /= np.linalg.norm(right)
            turned = vertices @ np.stack([right, np.cross(axis, right), -axis], 1).astype(np.float32)
            flat = (turned[:, :2] / 0.32 + 0.5) * _MAP
            screen = np.column_stack([flat, turned[:, 2] + 10]).astype(np.float32)
            _, _, depth = ops.rasterize(torch.from_numpy(screen), triangles, _MAP, _MAP)
            column, row = np.clip(flat.astype(int), 0, _MAP - 1).T
            nearest = depth.numpy()[row, column]
            cosine = np.clip(normals @ axis, 0, None)
            seen += cosine * ((nearest == 0) | (screen[:, 2] < nearest + _BIAS))
            total += cosine
        best = np.maximum(best, seen / np.maximum(total, 1e-9))
    return best


def _sphere(count: int) -> np.ndarray:
    """[count,3] unit vectors spread evenly (Fibonacci sphere)."""
    k = np.arange(count) + 0.5
    height, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], 1)
