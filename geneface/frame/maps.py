"""The head's shape as pictures: depth and normals."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ..nerf.render import AvatarRenderer, Layers
from ..nerf.views import View

SOLID = 0.5  # opacity from which on a pixel shows the head
SMOOTH = 1 / 150  # deviation of the smoothing of depth that normals are taken from, in sides of the picture


def depth(layers: Layers, intrinsics: np.ndarray) -> np.ndarray:
    """[H,W] distance of the head from the camera's plane (z, not along the ray) [m]; nan where there is none.

    Args:
        intrinsics: [3,3] pinhole matrix [px].
    """
    alpha, along = (value.double().cpu().numpy() for value in (layers.head_alpha, layers.depth))
    solid = alpha >= SOLID
    return np.where(solid, along / np.where(solid, alpha, 1) / np.linalg.norm(_rays(alpha.shape, intrinsics), axis=-1),
                    np.nan)


def normals(z: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """[H,W,3] unit normals of the surface at depth [H,W] [m]: x to the picture's right, y up, z to the camera.

    nan where the depth is.
    """
    solid = np.isfinite(z)
    deviation = SMOOTH * max(z.shape)
    share = gaussian_filter(solid.astype(float), deviation)
    # Goes on for a pixel or two past the rim, so that there are slopes at the rim too.
    smooth = gaussian_filter(np.where(solid, z, 0), deviation) / np.where(share > 0.01, share, np.nan)
    points = smooth[..., None] * _rays(z.shape, intrinsics)
    down, right = np.gradient(points, axis=(0, 1))
    normal = np.cross(down, right) * [1, -1, -1]
    return np.where(solid[..., None], normal / np.linalg.norm(normal, axis=-1, keepdims=True), np.nan)


def _rays(shape: tuple[int, int], intrinsics: np.ndarray) -> np.ndarray:
    """[H,W,3] points of the pixels at depth one."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    pixels = np.stack([columns, rows, np.ones(shape)], axis=-1)
    return pixels @ np.linalg.inv(np.asarray(intrinsics, float)).T


class DepthMaps:
    """Depth of an avatar's head, frame by frame.

    Args:
        renderer: of the avatar.
    """

    def __init__(self, renderer: AvatarRenderer) -> None:
        self._renderer, self.size = renderer, renderer.size

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W] uint16 millimetres, 0 where there is no head. Arguments as of `AvatarRenderer.frame`."""
        z = depth(self._renderer.layers(landmarks, head_to_camera, view=view), self._renderer.intrinsics)
        return np.nan_to_num(1000 * z).round().clip(0, 65535).astype(np.uint16)


class NormalMaps:
    """Normals of an avatar's head, frame by frame.

    Args:
        renderer: of the avatar.
    """

    def __init__(self, renderer: AvatarRenderer) -> None:
        self._renderer, self.size = renderer, renderer.size

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W,3] uint8: 255 * (n + 1) / 2 of `normals`, black where there is no head. Arguments as of
        `AvatarRenderer.frame`."""
        intrinsics = self._renderer.intrinsics
        found = normals(depth(self._renderer.layers(landmarks, head_to_camera, view=view), intrinsics), intrinsics)
        return np.nan_to_num(255 * (found + 1) / 2).round().astype(np.uint8)
