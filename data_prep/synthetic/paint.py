"""Procedural skin: colour and gloss painted once on a cylinder around the mean head, looked up per pixel.

Texture coordinates are azimuth around the head's vertical axis and height, of a point's place on the *mean* identity
(its canonical position), so that freckles, brows and blush stay on the skin whatever the identity and expression.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from geneface import ops

SIZE = 1024  # texels per side
AZIMUTH = 2.2  # the texture spans azimuths of +- this [rad], 0 in front
TOP, BOTTOM = -0.15, 0.25  # and these heights [m]
_FEW_MM = SIZE / (BOTTOM - TOP) / 1000  # texels per millimetre of height


def linear(red: int, green: int, blue: int) -> np.ndarray:
    """Linear RGB of an sRGB colour given in 0..255 (IEC 61966-2-1)."""
    c = np.array([red, green, blue]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def cylinder(points: np.ndarray) -> np.ndarray:
    """[...,2] texture coordinates in [0,1] of canonical positions [...,3]."""
    u = np.arctan2(points[..., 0], -points[..., 2]) / (2 * AZIMUTH) + 0.5
    return np.stack([u, (points[..., 1] - TOP) / (BOTTOM - TOP)], -1)


def octaves(rng: np.random.Generator, sizes: tuple[float, ...]) -> np.ndarray:
    """[SIZE,SIZE] sum of smooth noises of unit variance with blob sizes [texels], itself of unit variance."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for size in sizes:
        noise = gaussian_filter(rng.standard_normal((SIZE, SIZE), dtype=np.float32), size, mode="wrap")
        total += noise / noise.std()
    return total / total.std()


def surface(canonical: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[SIZE,SIZE,3] canonical position of the outermost skin at each texel, holes filled by a plain cylinder."""
    uv = cylinder(canonical)
    radius = np.hypot(canonical[:, 0], canonical[:, 2])
    corners = uv[triangles][..., 0]
    triangles = triangles[np.ptp(corners, axis=1) < 0.3]  # not across the seam at the back
    screen = np.concatenate([uv * SIZE, 10 - radius[:, None]], 1).astype(np.float32)
    face, weights, _ = ops.rasterize(
        torch.from_numpy(screen), torch.from_numpy(triangles.astype(np.int32)), SIZE, SIZE)
    face, weights = face.numpy(), weights.numpy()
    row, column = (np.indices((SIZE, SIZE)) + 0.5) / SIZE
    angle = (column - 0.5) * 2 * AZIMUTH
    out = np.stack([0.07 * np.sin(angle), TOP + row * (BOTTOM - TOP), -0.07 * np.cos(angle)], -1)
    seen = face >= 0
    out[seen] = (canonical[triangles[face[seen]]] * weights[seen][..., None]).sum(1)
    return out.astype(np.float32)


def _spot(where: np.ndarray, centre, radius) -> np.ndarray:
    """[SIZE,SIZE] Gaussian blob around `centre` [3] with standard deviations `radius` (number or [3]) [m]."""
    return np.exp(-0.5 * (((where - np.asarray(centre)) / np.asarray(radius)) ** 2).sum(-1))


def _toward(colour: np.ndarray, target: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return colour + (target - colour) * np.clip(amount, 0, 1)[..., None]


def _brow_strokes(where: np.ndarray, contour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[SIZE,SIZE] coverage of one eyebrow, hair by hair.

    Args:
        where: [SIZE,SIZE,3] canonical position of each texel.
        contour: [2,5,3] points of the brow's upper and lower edge, from the nose outwards.
    """
    from PIL import Image, ImageDraw

    scale = 2  # drawn larger, then averaged: smooth hairs
    canvas = Image.new("L", (SIZE * scale, SIZE * scale))
    draw = ImageDraw.Draw(canvas)
    side = np.sign(contour[0, 0, 0])
    middle = contour.mean(0)
    front = np.abs(np.arange(SIZE) / SIZE - 0.5) * 2 * AZIMUTH < 1.3
    knots = np.linspace(0, 1, 5)
    for _ in range(420):
        along = rng.beta(1.15, 1.25)
        x = side * np.interp(along, knots, middle[:, 0])
        arc = np.interp(along, knots, middle[:, 1])
        thickness = np.interp(along, [0, 0.25, 0.7, 1], [0.0024, 0.0033, 0.0022, 0.0006])
        y = arc + thickness * rng.uniform(-1, 1)
        lean = np.interp(along, [0, 0.2, 0.6, 1], [1.25, 0.75, 0.25, -0.45]) + 0.2 * rng.normal()
        lean *= 1 - 0.9 * (y - arc) / 0.0036 * np.interp(along, [0, 0.5], [0.1, 0.6])
        length = 0.0062 * rng.uniform(0.6, 1.1) * np.interp(along, [0, 0.3, 1], [0.7, 1, 0.6])
        ends = []
        for t in (0, 0.5, 1):
            px, py = side * (x + t * length * np.cos(lean)), y - t * length * np.sin(lean) * (1 - 0.35 * t)
            row = int(np.clip((py - TOP) / (BOTTOM - TOP), 0, 0.999) * SIZE)
            column = np.where(front, np.abs(where[row, :, 0] - px), 9).argmin() + 0.5
            ends.append((float(column) * scale, (py - TOP) / (BOTTOM - TOP) * SIZE * scale))
        draw.line(ends, fill=int(rng.uniform(120, 230) * np.interp(along, [0, 0.18], [0.45, 1.0])), width=scale)
    return np.asarray(canvas.resize((SIZE, SIZE), Image.BOX), dtype=np.float32) / 255


def paint_skin(canonical: np.ndarray, triangles: np.ndarray, eyes: np.ndarray, brows: np.ndarray, lips: np.ndarray,
               hairline: Callable[[np.ndarray], np.ndarray], seed: int) -> torch.Tensor:
    """[1,4,SIZE,SIZE] texture: linear RGB albedo, gloss.

    Args:
        canonical: [V,3] mean neutral head.
        triangles: [F,3] of its skin.
        eyes: [2,3] centres of the eyeballs.
        brows: [2,2,5,3] left and right; upper and lower edge; points from the nose outwards.
        lips: [3] middle of the closed lips.
        hairline: height above the hairline [m] of canonical positions [...,3].
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    where = surface(canonical, triangles)
    base = linear(226, 178, 153)
    colour = np.broadcast_to(base, (SIZE, SIZE, 3)).astype(np.float32)
    colour = colour * (1 + 0.035 * octaves(rng, (40, 16, 6))[..., None] * np.array([0.6, 1, 1.1], np.float32))
    redness = octaves(rng, (28, 9))
    blush = linear(216, 134, 118)
    for side in (-1, 1):
        colour = _toward(colour, blush, 0.42 * _spot(where, (side * 0.047, 0.022, -0.075), (0.017, 0.014, 0.03)))
        colour = _toward(colour, blush, 0.3 * _spot(where, (side * 0.085, 0.0, 0.01), 0.03))  # ears
    nose = np.array([0, 0.021, -0.118])
    colour = _toward(colour, blush, 0.35 * _spot(where, nose, (0.014, 0.010, 0.02)))
    colour = _toward(colour, blush, 0.22 * _spot(where, lips + [0, 0.032, 0.004], (0.016, 0.010, 0.02)))
    colour = _toward(colour, blush, 0.10 * np.clip(redness, 0, 2))
    colour = _toward(colour, linear(232, 192, 160), 0.35 * _spot(where, (0, -0.07, -0.1), (0.04, 0.02, 0.05)))
    for eye in eyes:
        socket = eye + [0, 0, -0.018]
        lid = _spot(where, socket + [0, -0.009, 0], (0.015, 0.0055, 0.02))
        below = _spot(where, socket + [-np.sign(eye[0]) * 0.004, 0.014, 0], (0.012, 0.005, 0.02))
        colour = _toward(colour, linear(178, 118, 108), 0.45 * lid)
        colour = _toward(colour, linear(188, 130, 122), 0.34 * below)
    # Freckles and a few moles: small dark spots, most over nose and cheeks.
    freckles = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(520):
        x, y = rng.normal(0, 0.034), rng.normal(0.012, 0.014)
        column = int((np.arctan2(x, 0.088) / (2 * AZIMUTH) + 0.5) * SIZE)
        row = int((y - TOP) / (BOTTOM - TOP) * SIZE)
        freckles[row % SIZE, column % SIZE] += rng.uniform(0.3, 1.0)
    colour = _toward(colour, linear(168, 108, 82), 0.30 * np.clip(gaussian_filter(freckles, 1.3) * 9, 0, 1))
    for x, y in ((0.037, 0.043), (-0.051, 0.066), (-0.022, -0.058)):
        angle = np.arctan2(x, 0.09)
        mole = np.zeros((SIZE, SIZE), np.float32)
        mole[int((y - TOP) / (BOTTOM - TOP) * SIZE), int((angle / (2 * AZIMUTH) + 0.5) * SIZE)] = 1
        mole = gaussian_filter(mole, 1.7)
        colour = _toward(colour, linear(110, 66, 52), 0.8 * mole / mole.max())
    pores = octaves(rng, (1.2,))
    colour = colour * (1 - 0.02 * np.clip(pores, -2, 2)[..., None])
    for contour in brows:
        strokes = _brow_strokes(where, contour, rng)
        soft = gaussian_filter(strokes, 1.6 * _FEW_MM)
        colour = _toward(colour, linear(84, 56, 42), np.clip(0.85 * strokes + 0.9 * soft, 0, 0.93))
    # Below the hairline the skin darkens softly into the roots.
    height = hairline(where)
    colour = _toward(colour, linear(120, 84, 66), 0.7 * np.clip(1 + height / 0.006, 0, 1))
    gloss = 0.35 + 0.06 * octaves(rng, (5, 2))
    gloss = gloss + 0.35 * _spot(where, nose + [0, -0.01, 0], (0.008, 0.02, 0.03)) \
        + 0.25 * _spot(where, (0, -0.06, -0.1), (0.03, 0.015, 0.05))
    texture = np.concatenate([np.clip(colour, 0.004, 0.95), np.clip(gloss, 0.05, 1)[..., None]], -1)
    return torch.from_numpy(texture.astype(np.float32)).permute(2, 0, 1)[None].contiguous()


def paint_background(width: int, height: int, seed: int) -> np.ndarray:
    """[height,width,3] linear RGB: an out-of-focus room: gradient wall, window glow, soft furniture shapes."""
    rng = np.random.default_rng(seed)
    y, x = (np.indices((height, width)) + 0.5) / max(width, height)
    glow = (1.05 - 0.35 * y) * (0.78 + 0.45 * np.exp(-((x - 0.15) / 0.45) ** 2))
    picture = linear(126, 146, 152) * glow[..., None]
    for cx, cy, w, h, soft, tint in (
        (0.09, 0.20, 0.10, 0.21, 0.020, linear(222, 220, 206)),  # window
        (0.87, 0.62, 0.085, 0.34, 0.012, linear(94, 74, 60)),  # shelf
        (0.87, 0.24, 0.060, 0.045, 0.012, linear(176, 120, 84)),  # picture
        (0.12, 0.86, 0.11, 0.17, 0.025, linear(86, 108, 82)),  # plant
        (0.62, 0.03, 0.22, 0.02, 0.015, linear(146, 160, 162)),  # ceiling edge
    ):
        inside = 1 / (1 + np.exp(np.clip((np.abs(x - cx) - w) / soft * 4, -30, 30)))
        inside = inside / (1 + np.exp(np.clip((np.abs(y - cy) - h) / soft * 4, -30, 30)))
        picture = picture + (tint - picture) * (0.75 * inside)[..., None]
    blotches = gaussian_filter(rng.standard_normal((height, width)), max(width, height) / 14, mode="reflect")
    return (picture * (1 + 0.05 * blotches / blotches.std())[..., None]).astype(np.float32).clip(0.002, 1)
