"""Depth and normals of a head as pictures."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from geneface.config import RenderConfig
from geneface.errors import UserError
from geneface.frame.choice import check_framing
from geneface.frame.maps import DepthMaps, NormalMaps, depth, normals
from geneface.nerf.render import AvatarRenderer, Layers
from geneface.nerf.views import View
from geneface.render import render
from tests.test_render import HEIGHT, WIDTH, avatar, motion  # noqa: F401  fixture

SIZE, FOCAL, CENTRE = 121, 300.0, (55.0, 64.0)
INTRINSICS = np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]], np.float32)
MIDDLE, RADIUS = np.array([0.02, -0.01, 0.8]), 0.09


def rays() -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    return np.stack([(columns - CENTRE[0]) / FOCAL, (rows - CENTRE[1]) / FOCAL, np.ones((SIZE, SIZE))], -1)


def sphere() -> tuple[Layers, np.ndarray]:
    """An opaque sphere as the renderer gives it, its lower edge faint; and its true points [H,W,3]."""
    unit = rays() / np.linalg.norm(rays(), axis=-1, keepdims=True)
    along = unit @ MIDDLE
    inside = RADIUS**2 - (MIDDLE @ MIDDLE - along**2)
    distance = along - np.sqrt(np.maximum(inside, 0))
    alpha = np.where(inside > 0, 0.8, 0)
    alpha[110:] *= 0.5
    alpha, value = torch.from_numpy(alpha), torch.from_numpy(np.where(inside > 0, distance, 0)) * torch.from_numpy(alpha)
    nothing = torch.zeros(SIZE, SIZE, 3)
    return Layers(nothing, nothing, alpha.float(), value.float(), nothing, nothing[..., 0]), unit * distance[..., None]


def test_depth_is_the_distance_from_the_cameras_plane():
    layers, points = sphere()
    z = depth(layers, INTRINSICS)
    solid = layers.head_alpha.numpy() >= 0.5
    assert solid.any() and np.isnan(z[~solid]).all()
    assert z[solid] == pytest.approx(points[..., 2][solid], abs=1e-5)


def test_normals_point_to_the_camera_with_y_up():
    layers, points = sphere()
    found = normals(depth(layers, INTRINSICS), INTRINSICS)
    true = (points - MIDDLE) / RADIUS * [1, -1, -1]
    solid = layers.head_alpha.numpy() >= 0.5
    assert np.isnan(found[~solid]).all()
    assert np.linalg.norm(found[solid], axis=-1) == pytest.approx(1)
    angle = np.degrees(np.arccos((found * true).sum(-1).clip(-1, 1)))
    front = solid & (true[..., 2] > 0.5)
    assert np.median(angle[front]) < 1.5 and np.quantile(angle[front], 0.99) < 12


class Camera:
    """Stands for a renderer that shows the sphere; keeps the view that was asked for."""

    size, intrinsics, view = (SIZE, SIZE), INTRINSICS, None

    def layers(self, landmarks, head_to_camera, view):
        self.view = view
        return sphere()[0]


def test_pictures_are_millimetres_and_coded_normals():
    camera = Camera()
    picture = DepthMaps(camera).frame(None, None, View(3))
    assert picture.dtype == np.uint16 and camera.view == View(3)
    row, column = 60, 62  # where the sphere is nearest
    assert picture[row, column] == pytest.approx(1000 * (MIDDLE[2] - RADIUS), abs=1.5) and picture[0, 0] == 0
    coded = NormalMaps(camera).frame(None, None)
    assert coded.dtype == np.uint8 and coded[row, column, 2] >= 253 and (coded[0, 0] == 0).all()
    assert coded[row, 40, 0] < 110 < 145 < coded[row, 84, 0]  # left and right of it
    assert coded[84, column, 1] < 110 < 145 < coded[40, column, 1]  # below and above


def test_a_render_of_maps_is_a_folder_of_pngs(avatar, tmp_path):
    render(avatar, motion(3), tmp_path / "depth", RenderConfig(frame="depth", yaw=5))
    names = sorted(p.name for p in (tmp_path / "depth").iterdir())
    assert names == ["000000.png", "000001.png", "000002.png"]
    picture = np.asarray(Image.open(tmp_path / "depth" / "000001.png"))
    assert picture.shape == (HEIGHT, WIDTH) and 500 <= picture[picture > 0].min() <= picture.max() <= 700
    maker = DepthMaps(AvatarRenderer(avatar))
    expected = maker.frame(motion(3).landmarks[1], avatar.camera.head_to_camera[1], View(5))
    assert np.array_equal(picture, expected)
    render(avatar, motion(1), tmp_path / "normals", RenderConfig(frame="normals"))
    assert np.asarray(Image.open(tmp_path / "normals" / "000000.png")).shape == (HEIGHT, WIDTH, 3)


def test_maps_are_not_written_as_a_video(avatar):
    with pytest.raises(UserError, match="folder of PNGs"):
        check_framing(avatar, RenderConfig(frame="depth"), "out.mp4")
