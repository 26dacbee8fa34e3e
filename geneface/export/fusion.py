"""The head's surface, fused from what cameras around it see."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .surface_nets import surface_nets

TRUST = 4  # voxels before and behind a seen surface that it tells of
SMOOTH = 1.0  # deviation of the smoothing of the distances, in voxels
EDGE = 4  # depth that changes by more than so many voxels from pixel to pixel belongs to no surface
SOLID, EMPTY = 0.5, 0.1  # opacities from which on a pixel shows a surface, and up to which it shows none


@dataclass(frozen=True)
class DepthView:
    """What one camera sees.

    Attributes:
        intrinsics: [3,3] pinhole matrix [px].
        head_to_camera: [4,4] rigid transform [m].
        distance: [H,W] along the rays [m], of any value where `alpha` is low.
        alpha: [H,W] opacity.
    """

    intrinsics: np.ndarray
    head_to_camera: np.ndarray
    distance: np.ndarray
    alpha: np.ndarray


def fuse(views: Iterable[DepthView], low: np.ndarray, high: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Surface of what is in a box: mean of truncated signed distances (Curless and Levoy 1996), largest part only.

    Args:
        low, high: [3] corners of the box [m].
        voxel: size of a voxel [m].

    Returns:
        vertices [V,3] [m], quads [Q,4] counter-clockwise seen from outside. Open where no camera looked.
    """
    shape = tuple(int(n) for n in np.ceil((high - low) / voxel) + 1)
    grid = low + voxel * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    total, weight = np.zeros(len(grid)), np.zeros(len(grid))
    reach = TRUST * voxel
    for view in views:
        distance, alpha, pixel = _seen(view, grid, voxel)
        here = np.linalg.norm(grid @ view.head_to_camera[:3, :3].T + view.head_to_camera[:3, 3], axis=1)
        ahead = np.where(alpha[pixel] < EMPTY, reach, distance[pixel] - here)  # nan where nothing is known
        told = ahead > -reach
        total[told] += np.minimum(ahead[told], reach)
        weight[told] += 1
    # Blurring fills gaps of a voxel or two from what is around them. Means are blurred, whatever number of views they
    # are of: sums would draw the surface towards where fewer look.
    mean = total / np.maximum(weight, 1)
    near, share = (gaussian_filter(array.reshape(shape), SMOOTH) for array in (mean, (weight > 0).astype(float)))
    known = share > 0.2
    values = np.where(known, near / np.where(known, share, 1), reach)
    vertices, quads = surface_nets(values, known)
    return _largest_part(low + voxel * vertices, quads)


def _seen(view: DepthView, points: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Distances [H,W], nan where they are no surface's; opacities [H,W]; and rows and columns of points [N,3]."""
    camera = points @ view.head_to_camera[:3, :3].T + view.head_to_camera[:3, 3]
    image = camera @ view.intrinsics.T
    column, row = np.floor(image[:, :2] / image[:, 2:]).astype(int).T
    height, width = view.alpha.shape
    pixel = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    solid = view.alpha >= SOLID
    distance = np.where(solid, view.distance, 0)
    # Beside an edge, the mean depth of a ray lies between two surfaces.
    jump = maximum_filter(distance, 3) - minimum_filter(distance, 3) > EDGE * voxel
    return np.where(solid & ~jump, distance, np.nan), view.alpha, pixel


def _largest_part(vertices: np.ndarray, quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected part with the most quads."""
    if not len(quads):
        return vertices[:0], quads
    rows, columns = quads.ravel(), np.roll(quads, 1, axis=1).ravel()
    links = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(vertices),) * 2)
    part = connected_components(links, directed=False)[1]
    quads = quads[part[quads[:, 0]] == np.bincount(part[quads[:, 0]]).argmax()]
    used, numbers = np.unique(quads, return_inverse=True)
    return vertices[used], numbers.reshape(quads.shape)
