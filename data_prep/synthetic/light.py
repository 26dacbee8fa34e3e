"""Soft studio lighting: radiance of the surroundings, and how much of it reaches each vertex.

Light arrives from a fixed set of directions. For every vertex cosine times visibility over the directions is made
once, by rasterising the mesh from each of them, and kept in spherical harmonics; the irradiance of a frame is then that times
the light seen in the head's own frame, so shadows and occlusion turn with the head (precomputed radiance transfer,
Sloan et al. 2002).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from geneface import ops

DIRECTIONS = 96
_MAP = 192  # side of a visibility map [px]
_BIAS = 0.0035  # a vertex this far behind the nearest surface still counts as lit [m]


@dataclass(frozen=True)
class Lamp:
    """One soft light: towards `direction` (camera frame), `sharpness` of its lobe, linear RGB radiance."""

    direction: tuple[float, float, float]
    sharpness: float
    colour: tuple[float, float, float]


LAMPS = (
    Lamp((-0.55, -0.60, -0.75), 7.0, (5.4, 4.95, 4.5)),  # key: large soft box, upper left in front
    Lamp((0.85, -0.15, -0.70), 3.0, (0.62, 0.70, 0.82)),  # fill: cooler, from the right
    Lamp((0.75, -0.55, 0.65), 9.0, (2.6, 2.7, 2.9)),  # rim: behind on the right, parts hair from the background
    Lamp((-0.80, -0.30, 0.65), 9.0, (1.2, 1.2, 1.3)),  # and a weaker one behind on the left
)
_SKY, _GROUND = np.array([0.50, 0.54, 0.59]), np.array([0.26, 0.22, 0.20])


def sphere_directions(count: int = DIRECTIONS) -> np.ndarray:
    """[count,3] unit vectors spread evenly (Fibonacci sphere)."""
    k = np.arange(count) + 0.5
    height = 1 - 2 * k / count
    turn = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], -1)


def radiance(directions: np.ndarray) -> np.ndarray:
    """[...,3] linear RGB radiance that arrives from unit `directions` [...,3] of the camera frame."""
    up = 0.5 - 0.5 * directions[..., 1:2]  # y points down
    total = _GROUND + (_SKY - _GROUND) * up
    for lamp in LAMPS:
        axis = np.array(lamp.direction) / np.linalg.norm(lamp.direction)
        total = total + np.exp(lamp.sharpness * (directions @ axis - 1))[..., None] * np.array(lamp.colour)
    return total


def harmonics(normals: torch.Tensor) -> torch.Tensor:
    """[N,9] real spherical harmonics to degree 2 of unit vectors [N,3]."""
    return ops.spherical_harmonics(normals, degree=3)


def irradiance_harmonics() -> torch.Tensor:
    """[9,3] coefficients with harmonics(n) @ them = unshadowed irradiance / pi (Ramamoorthi and Hanrahan 2001)."""
    directions = sphere_directions(4096)
    basis = _harmonics(directions, degree=3)
    coefficients = basis.T @ radiance(directions) * (4 * np.pi / len(directions))
    band = np.repeat([np.pi, 2 * np.pi / 3, np.pi / 4], [1, 3, 5])[:, None] / np.pi
    return torch.from_numpy((coefficients * band).astype(np.float32))


def transfer(vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """[count,16] transfer vectors: with `light_harmonics` they give a vertex' irradiance / pi, self-shadowing included.

    Args:
        vertices: [V,3] [m].
        normals: [V,3] outward unit normals.
        triangles: [F,3] that cast shadows.
        count: how many vertices, from the first, to make them for.
    """
    centre = (vertices.min(0) + vertices.max(0)) / 2
    radius = np.linalg.norm(vertices - centre, axis=1).max() * 1.01
    faces = torch.from_numpy(triangles.astype(np.int32))
    weights = np.empty((count, DIRECTIONS), np.float32)
    for column, direction in enumerate(sphere_directions()):
        side = np.cross(direction, [0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        local = (vertices - centre) @ np.stack([side, np.cross(direction, side), -direction], 1)
        # So far off that perspective plays no part.
        screen = local * [_MAP / 2 / radius, _MAP / 2 / radius, 1] + [_MAP / 2, _MAP / 2, 50 * radius]
        _, _, depth = ops.rasterize(torch.from_numpy(screen.astype(np.float32)), faces, _MAP, _MAP)
        depth = depth.numpy()
        depth = np.where(depth > 0, depth, np.inf)
        screen = screen[:count]
        # Percentage-closer filtering over the four nearest map pixels softens the shadow's edge.
        corner = np.floor(screen[:, :2] - 0.5).astype(int)
        visible = np.zeros(count)
        for dx in (0, 1):
            for dy in (0, 1):
                x = np.clip(corner[:, 0] + dx, 0, _MAP - 1)
                y = np.clip(corner[:, 1] + dy, 0, _MAP - 1)
                visible += 0.25 * (screen[:, 2] <= depth[y, x] + _BIAS)
        weights[:, column] = np.clip(normals[:count] @ direction, 0, None) * visible
    return weights * np.float32(4 / DIRECTIONS) @ _harmonics(sphere_directions())


def _harmonics(directions: np.ndarray, degree: int = 4) -> np.ndarray:
    """[N,degree**2] real spherical harmonics of unit directions [N,3]."""
    return ops.spherical_harmonics(torch.from_numpy(directions.astype(np.float32)), degree=degree).numpy()


def light_harmonics(turn: np.ndarray) -> np.ndarray:
    """[16,3] the surroundings' radiance in a frame that `turn` [3,3] takes to the camera frame."""
    directions = sphere_directions(512)
    return _harmonics(directions).T @ radiance(directions @ turn.T).astype(np.float32) * np.float32(4 * np.pi / 512)
