"""Occupancy: carving, recording, the bit field."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.nerf.occupancy import DepthBand, OccupancyGrid

AABB = torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1])
INTRINSICS = torch.tensor([[80.0, 0, 20], [0, 80, 16], [0, 0, 1]])


def bits(grid: OccupancyGrid) -> np.ndarray:
    """[G,G,G] bool (z, y, x)."""
    flat = np.unpackbits(grid.bits.numpy(), bitorder="little").astype(bool)
    return flat.reshape(grid.size, grid.size, grid.size)


def disc(width: int, height: int, x: float, y: float, radius: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return ((columns - x) ** 2 + (rows - y) ** 2 < radius**2).float()


def views(radius: float):
    for angle in (-0.5, 0.0, 0.5):
        pose = torch.eye(4)
        pose[0, 0] = pose[2, 2] = np.cos(angle)
        pose[0, 2], pose[2, 0] = np.sin(angle), -np.sin(angle)
        pose[2, 3] = 0.5
        yield pose, disc(40, 32, 20, 16, radius)


def test_carving_keeps_the_ball_and_little_else():
    grid = OccupancyGrid(32)
    # A ball of radius 0.05 m at 0.5 m is seen as a disc of about 8 px radius.
    grid.carve(AABB, INTRINSICS, views(8.0))
    centres = grid.centres(AABB)
    distance, height = (v.view(32, 32, 32) for v in (centres.norm(dim=1), centres[:, 1].abs()))
    occupied = torch.from_numpy(bits(grid))
    assert occupied[distance < 0.045].all()
    assert not occupied[height > 0.07].any()
    assert occupied.float().mean() < 0.25  # of a cube of 0.2 m; a ball would fill 0.065
    assert grid.share() == pytest.approx(float(occupied.float().mean()))


def head_band() -> DepthBand:
    """Of an ellipsoid head whose face is a plane 6 cm before its middle, 5 cm to each side."""
    rows, columns = np.mgrid[-0.05:0.05:6j, -0.05:0.05:6j]
    face = np.stack([columns.ravel(), rows.ravel(), np.full(36, -0.06)], -1)
    height, turn = (v.ravel() for v in np.mgrid[-1:1:40j, 0 : 2 * np.pi : 40j])
    around = np.sqrt(1 - height**2)
    head = np.stack([0.08 * around * np.sin(turn), 0.12 * height, -0.07 * around * np.cos(turn)], -1)
    return DepthBand(face, head)


@pytest.mark.parametrize("point, inside", [
    ((0.0, 0.0, -0.09), False), ((0.0, 0.0, -0.075), True), ((0.0, 0.0, -0.06), True), ((0.0, 0.0, 0.0), False),
    # Above the face: the ellipsoid's front is at -0.046, and hair has room before it.
    ((0.0, -0.09, -0.07), True), ((0.0, -0.09, -0.09), False), ((0.0, -0.09, 0.04), False),
    # Beside the head, hair is about as deep as the rim.
    ((0.1, 0.0, 0.03), True), ((0.1, 0.0, -0.12), False),
])
def test_depth_band(point, inside):
    assert head_band().contains(torch.tensor([point])).tolist() == [inside]


def test_cells_without_light_fall_empty_and_margin_grows_others():
    grid = OccupancyGrid(16)
    grid.hull[0] = False  # front slice may never be occupied
    grid.decay(0.0)
    at = torch.tensor([[0.001, 0.001, 0.001], [-0.099, -0.099, -0.099]])  # cell 8, 8, 8; cell 0, 0, 0
    grid.record(at, torch.tensor([0.5, 0.9]), AABB)
    grid.refresh(0.1)
    assert np.argwhere(bits(grid)).tolist() == [[8, 8, 8]]
    grid.refresh(0.1, margin=1)
    assert bits(grid)[7:10, 7:10, 7:10].all()
    assert bits(grid).sum() == 27 + 4  # and slice 1 beside the corner cell
    grid.decay(0.1)
    grid.refresh(0.1)
    assert bits(grid).sum() == 0


def test_record_keeps_the_largest_weight():
    grid = OccupancyGrid(8)
    grid.decay(0.0)
    grid.record(torch.zeros(3, 3), torch.tensor([0.2, 0.7, 0.4]), AABB)
    assert grid.seen.max() == pytest.approx(0.7) and (grid.seen > 0).sum() == 1


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="even"):
        OccupancyGrid(31)
