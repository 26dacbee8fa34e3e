"""Drawing the head without a graphics card: lit at its vertices, rasterised at twice the size, averaged at edges."""
from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from torch import Tensor

from .. import ops
from ..face.surface import vertex_normals
from .look import KINDS, Look, linear, load_look

DISTANCE, LOOK_AT = 1.1, -0.008  # of the camera, and its height [m]
SHOWN = 0.225, 0.305  # what fits the picture at least: width and height [m]
_FINER = 2  # samples a pixel, each way
_STEP = 0.004  # neighbours this far apart in depth belong to different surfaces [m]
_LAMPS = (  # towards them, linear RGB, how much of it wet surfaces mirror
    ((-0.50, 0.55, 0.80), (1.00, 0.95, 0.88), 1.0),
    ((0.85, 0.10, 0.60), (0.26, 0.30, 0.36), 0.3),
    ((0.55, 0.45, -0.80), (0.36, 0.38, 0.42), 0.2),
)
_SKY, _GROUND = np.array([0.40, 0.42, 0.46], np.float32), np.array([0.24, 0.20, 0.18], np.float32)
_BLEED = np.array([0.42, 0.26, 0.20], np.float32)  # how far light wraps into the shade: furthest red, under skin
_ENTRY = 0.006  # a mouth open this far lets all light in [m]


class HeadPainter:
    """Draws the viewer's head at a fixed size, from the front.

    Args:
        width, height: of the picture [px].
        background: sRGB in [0,1].
    """

    def __init__(self, width: int, height: int, background: tuple[float, float, float]) -> None:
        self.look: Look = load_look()
        self.width, self.height = width, height
        self._triangles = torch.from_numpy(np.array(self.look.triangles))
        self._faces = self._triangles.long()
        self._kind = torch.from_numpy(np.array(self.look.kind, np.int8))
        self._background = torch.from_numpy(linear(np.array(background, np.float32)))
        self._eye_uv = torch.from_numpy(np.array(self.look.eye_uv))
        self._eye = torch.from_numpy(linear(self.look.eye_texture.astype(np.float32) / 255))
        inside = np.zeros(len(self.look.corners), bool)
        inside[self.look.triangles[self.look.kind == KINDS.index("inside")]] = True
        self._inside = inside
        self._thin = ~np.isin(self.look.kind, [KINDS.index("skin"), KINDS.index("eye")])  # seen from behind too
        # sRGB of linear light in steps so fine that none shows.
        steps = np.linspace(0, 1, 4096)
        srgb = np.where(steps <= 0.0031308, 12.92 * steps, 1.055 * np.maximum(steps, 1e-6) ** (1 / 2.4) - 0.055)
        self._srgb = torch.from_numpy(np.round(srgb * 255).astype(np.uint8))
        self._empty = self._encoded(self._background).numpy()

    def draw(self, vertices: np.ndarray, opening: float = _ENTRY) -> np.ndarray:
        """[height,width,3] uint8 picture.

        Args:
            vertices: [N,3] float32 of the head, turned and placed [m].
            opening: of the mouth [m]; a closed one is dark inside.
        """
        scale = DISTANCE * min(self.width / SHOWN[0], self.height / SHOWN[1])
        depth = DISTANCE - vertices[:, 2]
        across = self.width / 2 + scale * vertices[:, 0] / depth
        down = self.height / 2 - scale * (vertices[:, 1] - LOOK_AT) / depth
        picture = np.broadcast_to(self._empty, (self.height, self.width, 3)).copy()
        left, right = (int(np.clip(edge, 0, self.width)) for edge in (across.min() - 1, across.max() + 2))
        top, bottom = (int(np.clip(edge, 0, self.height)) for edge in (down.min() - 1, down.max() + 2))
        if left < right and top < bottom:
            screen = np.column_stack([_FINER * (across - left), _FINER * (down - top), depth]).astype(np.float32)
            normals = vertex_normals(vertices, self.look.head.triangles).astype(np.float32)
            box = self._box(vertices, normals, screen[self.look.corners], bottom - top, right - left, opening)
            picture[top:bottom, left:right] = box
        return picture

    def _box(self, vertices, normals, screen: np.ndarray, height: int, width: int, opening: float) -> np.ndarray:
        """[height,width,3] uint8: what lies within it, of projected coloured vertices `screen` [M,3]."""
        columns = _FINER * width
        x, y = screen[self.look.triangles, :2].transpose(2, 1, 0)
        away = (x[1] - x[0]) * (y[2] - y[0]) > (x[2] - x[0]) * (y[1] - y[0])
        front = torch.from_numpy(np.flatnonzero(~away | self._thin))
        face, weights, depth = ops.rasterize(torch.from_numpy(screen), self._triangles[front], _FINER * height, columns)
        face, weights = face.view(-1), weights.view(-1, 3)
        samples = height, _FINER, width, _FINER
        fine, kind = self._edges(face.view(samples), front, depth.view(samples))
        # Inside a surface the first sample stands for its pixel.
        pixel = ((kind >= 0) | fine).flatten().nonzero().flatten()
        first = pixel // width * (_FINER * columns) + pixel % width * _FINER
        edge = fine.flatten()[pixel].nonzero().flatten()
        others = torch.tensor([row * columns + column for row in range(_FINER) for column in range(_FINER)][1:])
        sample = torch.cat([first, (first[edge, None] + others).flatten()])
        share = torch.ones(len(sample))
        share[edge] = share[len(pixel):] = 1 / _FINER**2
        pixel = torch.cat([pixel, pixel[edge].repeat_interleave(len(others))])
        found = face.index_select(0, sample)
        seen = (found >= 0).nonzero().flatten()
        pixel, share = pixel.index_select(0, seen), share.index_select(0, seen)
        found = front.index_select(0, found.index_select(0, seen))
        w = weights.index_select(0, sample.index_select(0, seen))[..., None]
        corners = self._faces.index_select(0, found)
        lit = self._lit(vertices, normals, opening)
        colour = sum(lit.index_select(0, corners[:, k]) * w[:, k] for k in range(3))
        eyes = (self._kind[found] == KINDS.index("eye")).nonzero().flatten()
        if len(eyes):
            place = ((self._eye_uv[corners[eyes]] * w[eyes]).sum(1).clamp(0, 0.999) * len(self._eye)).long()
            colour[eyes] = colour[eyes] * self._eye[place[:, 1], place[:, 0]] + self._glint(
                torch.from_numpy(normals[self.look.corners]), corners[eyes], w[eyes])
        colour = (colour - self._background) * share[:, None]
        picture = self._background.repeat(height * width, 1).index_add_(0, pixel, colour)
        return self._encoded(picture).view(height, width, 3).numpy()

    def _edges(self, face: Tensor, front: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [height,width] whose samples [height,_FINER,width,_FINER] are not all of one smooth surface, and the
        kind of each pixel's first sample, -1 where there is none."""
        corner = face[:, 0, :, 0]
        kind = torch.where(corner >= 0, self._kind[front][corner.clamp(min=0).long()], -1)
        samples = [depth[:, row, :, column] for row in range(_FINER) for column in range(_FINER)]
        far, near = reduce(torch.maximum, samples), reduce(torch.minimum, samples)
        fine = (far - near > _STEP) | (kind == KINDS.index("eye"))
        below, beside = kind[1:] != kind[:-1], kind[:, 1:] != kind[:, :-1]
        fine[1:] |= below
        fine[:-1] |= below
        fine[:, 1:] |= beside
        fine[:, :-1] |= beside
        return fine, kind

    def _encoded(self, light: Tensor) -> Tensor:
        return self._srgb[(light.clamp(0, 1) * 4095 + 0.5).long()]

    @staticmethod
    def _glint(normals: Tensor, corners: Tensor, w: Tensor) -> Tensor:
        """[P,1] light that the wet eye mirrors, pixel by pixel."""
        normal = torch.nn.functional.normalize((normals[corners] * w).sum(1), dim=1)
        total = torch.zeros(len(corners))
        for direction, _, wet in _LAMPS[:2]:
            half = np.array(direction) / np.linalg.norm(direction) + [0, 0, 1]
            half = torch.from_numpy((half / np.linalg.norm(half)).astype(np.float32))
            total += wet * (normal @ half).clamp(min=0) ** 300
        return 0.9 * total[:, None]

    def _lit(self, vertices: np.ndarray, normals: np.ndarray, opening: float) -> Tensor:
        """[M,3] float32 linear light that the coloured vertices send to the camera."""
        look = self.look
        view = np.array([0, LOOK_AT, DISTANCE], np.float32) - vertices
        view /= np.linalg.norm(view, axis=1, keepdims=True)
        light = _GROUND + (_SKY - _GROUND) * (0.5 + 0.5 * normals[:, 1:2])
        mirrored = np.zeros(len(vertices), np.float32)
        for direction, colour, wet in _LAMPS:
            axis = (np.array(direction) / np.linalg.norm(direction)).astype(np.float32)
            light += np.clip(((normals @ axis)[:, None] + _BLEED) / (1 + _BLEED), 0, None) ** 1.4 * np.float32(colour)
            half = axis + view
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            mirrored += wet * np.clip((normals * half).sum(1), 0, None) ** 28
        shine = 0.32 * look.gloss**2 * mirrored[look.corners] * (look.gloss < 0.8)
        out = look.colour * light[look.corners] + shine[:, None]
        out[self._inside] *= 0.15 + 0.85 * min(opening / _ENTRY, 1.0)
        return torch.from_numpy(out.astype(np.float32))
