"""Surfaces of known shapes, and the mesh of an avatar's head."""
from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from geneface import pipeline
from geneface.errors import UserError
from geneface.export.fusion import DepthView, fuse
from geneface.export.holes import close_holes
from geneface.export.mesh import (
    HeadMesh, camera_directions, fisheye, head_mesh, neutral_landmarks, towards,
)
from geneface.export.surface_nets import surface_nets
from geneface.face.surface import vertex_normals
from geneface.nerf.head import HeadSpec
from geneface.nerf.pack import pack_portrait
from geneface.nerf.portrait import Portrait
from geneface.nerf.torso import TorsoSpec
from geneface.types import Avatar, CameraTrack, MotionSequence
from tests.nerf.mock_person import landmarks68

trimesh = pytest.importorskip("trimesh")


def triangles(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def ball(size: int, radius: float) -> np.ndarray:
    x, y, z = np.mgrid[:size, :size, :size] - (size - 1) / 2
    return np.sqrt(x**2 + y**2 + z**2) - radius


def test_surface_of_a_ball_is_closed_round_and_faces_outward():
    vertices, quads = surface_nets(ball(25, 8.0), np.ones((25,) * 3, bool))
    mesh = trimesh.Trimesh(vertices, triangles(quads), process=False)
    assert mesh.is_watertight and mesh.euler_number == 2
    assert np.linalg.norm(vertices - 12, axis=1) == pytest.approx(8, abs=0.15)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)  # positive: outward


def test_surface_ends_where_nothing_is_known():
    known = np.ones((25,) * 3, bool)
    known[15:] = False
    vertices, quads = surface_nets(ball(25, 8.0), known)
    assert vertices[:, 0].max() < 14 and vertices[:, 0].min() == pytest.approx(4, abs=0.2)
    assert not trimesh.Trimesh(vertices, triangles(quads), process=False).is_watertight


def test_small_holes_are_closed_and_wide_borders_left():
    vertices, quads = surface_nets(ball(25, 8.0), np.ones((25,) * 3, bool))
    whole = triangles(quads)
    middle = vertices[whole].mean(1)
    small = np.linalg.norm(middle - [12, 12, 20], axis=1) < 2
    wide = middle[:, 0] < 9
    vertices, mended = close_holes(vertices, whole[~small & ~wide], widest=30)
    mesh = trimesh.Trimesh(vertices, mended, process=False)
    assert mesh.euler_number == 1 and mesh.is_winding_consistent  # a bowl: one border, the wide one
    closed = close_holes(vertices, mended, widest=500)
    assert trimesh.Trimesh(*closed, process=False).volume == pytest.approx(
        trimesh.Trimesh(*close_holes(vertices, whole[~wide], 500), process=False).volume, rel=0.01
    )
    untouched = close_holes(vertices, mended, widest=10)
    assert untouched[0] is vertices and untouched[1] is mended


def test_holes_that_touch_at_a_vertex_are_closed_one_by_one():
    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0), [0.0], indexing="ij"), -1).reshape(-1, 3)
    number = np.arange(36).reshape(6, 6)
    corners = [(i, j) for i in range(5) for j in range(5) if (i, j) not in ((1, 1), (2, 2))]
    quads = np.array([[number[i, j], number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]] for i, j in corners])
    vertices, mended = close_holes(grid, triangles(quads), widest=4)
    assert len(vertices) == 38 and sorted(map(tuple, vertices[36:, :2])) == [(1.5, 1.5), (2.5, 2.5)]
    assert trimesh.Trimesh(vertices, mended, process=False).area == pytest.approx(25)
    assert (np.cross(*(vertices[mended[:, k]] - vertices[mended[:, 0]] for k in (1, 2)))[:, 2] > 0).all()


def test_no_surface_without_a_change_of_sign():
    vertices, quads = surface_nets(np.ones((4, 5, 6)), np.ones((4, 5, 6), bool))
    assert vertices.shape == (0, 3) and quads.shape == (0, 4)


def sphere_view(back: np.ndarray, radius: float, middle: np.ndarray, speck: bool) -> DepthView:
    """A camera a metre from the origin, in direction `back`, that sees a sphere; and a speck far beside it."""
    size, focal = 120, 400.0
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    right = np.cross([0.0, 1, 0], -back)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(-back, right), -back])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, [0, 0, 1.0]
    rows, columns = np.mgrid[:size, :size] + 0.5
    ray = np.stack([(columns - size / 2) / focal, (rows - size / 2) / focal, np.ones((size, size))], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    distance, alpha = np.full((size, size), 5.0), np.zeros((size, size))
    for centre, r in ((middle, radius), *([(np.array([0.11, 0.1, 0.0]), 0.008)] if speck else [])):
        at = rotation @ centre + [0, 0, 1.0]
        along = ray @ at
        inside = r**2 - (at @ at - along**2)
        hit = (inside > 0) & (along - np.sqrt(np.maximum(inside, 0)) < distance)
        distance[hit], alpha[hit] = (along - np.sqrt(np.maximum(inside, 0)))[hit], 1
    return DepthView(intrinsics, pose, distance, alpha)


def test_views_of_a_sphere_fuse_to_its_near_side():
    middle, radius = np.array([0.01, -0.02, 0.01]), 0.07
    views = [sphere_view(towards(np.radians(yaw), 0.1), radius, middle, True) for yaw in (-20, 0, 20)]
    vertices, quads = fuse(views, np.full(3, -0.13), np.full(3, 0.13), 0.004)
    assert len(quads) > 400
    out = np.linalg.norm(vertices - middle, axis=1)
    assert np.median(out) == pytest.approx(radius, abs=0.002)
    assert out == pytest.approx(radius, abs=0.006)  # at the rim, a voxel of 4 mm and more; and the speck is gone
    assert vertices[:, 2].min() == pytest.approx(middle[2] - radius, abs=0.003)
    assert vertices[:, 2].max() < middle[2] + 0.05  # open behind
    normals = vertex_normals(vertices, triangles(quads))
    front = (vertices - middle)[:, 2] < -0.03
    assert ((normals * (vertices - middle)).sum(1)[front] > 0.9 * radius).all()


def test_directions_towards_cameras():
    assert towards(0.0, 0.0) == pytest.approx([0, 0, -1])
    assert towards(np.pi / 2, 0.0) == pytest.approx([1, 0, 0])  # the picture's right
    assert towards(0.0, np.pi / 2) == pytest.approx([0, -1, 0])  # up


def test_recorded_directions_are_those_of_the_cameras():
    """A head that turns to the picture's left by 0.2 is seen from its right by as much."""
    poses = np.tile(np.eye(4), (100, 1, 1))
    poses[50:, :3, :3] = [[np.cos(0.2), 0, np.sin(0.2)], [0, 1, 0], [-np.sin(0.2), 0, np.cos(0.2)]]
    poses[:, 2, 3] = 0.9
    yaw, pitch = camera_directions(CameraTrack(np.eye(3), poses, 8, 8, 25.0))
    assert yaw == pytest.approx([0, 0.2], abs=1e-6) and pitch == pytest.approx([0, 0], abs=1e-6)


def test_texture_shows_the_face_upright():
    grid = np.stack(np.meshgrid(np.linspace(-0.08, 0.08, 9), np.linspace(-0.1, 0.1, 9)), -1).reshape(-1, 2)
    vertices = np.column_stack([grid, 3 * (grid**2).sum(1) - 0.1])
    uv, out = fisheye(vertices)
    assert uv.min() >= 0 and uv.max() <= 1
    place = uv.reshape(9, 9, 2)
    assert (np.diff(place[..., 0], axis=1) > 0).all()  # the picture's right is the texture's
    assert (np.diff(place[..., 1], axis=0) < 0).all()  # and v goes up, where y goes down
    assert place[4, 4] == pytest.approx([0.5, 0.5]) and out.argmax() in (0, 8, 40, 72, 80)


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """A ball of opaque material in the box of a head: all that an avatar file needs, made, not fitted."""
    torch.manual_seed(0)
    head = HeadSpec(levels=4, max_resolution=32, log2_table_size=9, motion_levels=2, motion_resolution=32, hidden=16)
    portrait = Portrait(head, TorsoSpec(levels=4, max_resolution=32, log2_table_size=9, hidden=16), 5, 32, 40, 40)
    portrait.head.aabb.copy_(torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1]))
    density = portrait.head.density_net.layers[-1].weight
    with torch.no_grad():  # sigma = scale * exp(0) everywhere; only the occupancy gives the shape
        density[0] = 0
    centres = portrait.occupancy.centres(portrait.head.aabb)
    portrait.occupancy.hull.copy_((centres.norm(dim=1) < 0.07).view(32, 32, 32))
    portrait.occupancy.seen.copy_(portrait.occupancy.hull.float())
    portrait.occupancy.refresh(0.5)
    landmarks = landmarks68(np.array([0.02, 0.0, 0.015, 0.001, 0.0])).astype(np.float32)
    field, tensors = pack_portrait(portrait, 0.004)
    poses = np.tile(np.eye(4, dtype=np.float32), (5, 1, 1))
    poses[:, 2, 3] = 0.6
    intrinsics = np.array([[100, 0, 20], [0, 100, 20], [0, 0, 1]], np.float32)
    return Avatar(
        field, tensors, np.zeros(3, np.float32), landmarks, np.zeros((5, 52), np.float32),
        CameraTrack(intrinsics, poses, 40, 40, 25.0), np.zeros((40, 40, 3), np.uint8), {}, {},
    )


def test_a_face_at_rest_has_its_lips_closed(avatar):
    assert np.array_equal(neutral_landmarks(avatar), avatar.motion_reference[1])


@pytest.fixture(scope="module")
def mesh(avatar, one_thread) -> HeadMesh:
    return head_mesh(avatar, voxel_mm=6, texture=64, device="cpu")


def test_the_mesh_lies_where_the_head_is(mesh):
    """A fog's surface lies where half its light is from: inside the ball, nearer to the cameras than its middle."""
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert radius.max() < 0.075 and mesh.vertices[:, 2].min() < -0.01
    assert mesh.texture.shape == (64, 64, 3) and mesh.colours.shape == (len(mesh.vertices), 3)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1)
    assert mesh.triangles.min() == 0 and mesh.triangles.max() == len(mesh.vertices) - 1


@pytest.mark.parametrize("name", ["head.obj", "head.glb", "head.ply"])
def test_files_hold_the_mesh_with_y_up_and_the_face_along_z(mesh, tmp_path, name):
    mesh.save(tmp_path / name)
    loaded = trimesh.load(tmp_path / name, process=False)
    loaded = loaded.to_mesh() if hasattr(loaded, "to_mesh") else loaded
    assert len(loaded.faces) == len(mesh.triangles)
    flipped = mesh.vertices * [1, -1, -1]
    assert loaded.bounds == pytest.approx(np.stack([flipped.min(0), flipped.max(0)]), abs=1e-5)
    corners = loaded.vertices[loaded.faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
    assert facing[2] > 0 and abs(facing[:2]).max() < 0.2 * facing[2]
    if name.endswith(".ply"):
        assert np.array_equal(loaded.visual.vertex_colors[:, :3], mesh.colours)
        return
    material = loaded.visual.material
    image = getattr(material, "image", None) or material.baseColorTexture
    assert np.array_equal(np.asarray(image.convert("RGB")), mesh.texture)
    order = np.lexsort(np.round(loaded.visual.uv, 4).T)
    assert loaded.visual.uv[order] == pytest.approx(mesh.uv[np.lexsort(np.round(mesh.uv, 4).T)], abs=1e-3)


def test_obj_names_its_own_texture(mesh, tmp_path):
    """Two heads in one folder keep their textures apart."""
    for name in ("a", "b"):
        mesh.save(tmp_path / f"{name}.obj")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mtl", "a.obj", "a.png", "b.mtl", "b.obj", "b.png"]
    assert "mtllib a.mtl" in (tmp_path / "a.obj").read_text() and "map_Kd a.png" in (tmp_path / "a.mtl").read_text()
    assert Image.open(tmp_path / "b.png").size == (64, 64)


def test_other_formats_are_refused(mesh, tmp_path):
    with pytest.raises(UserError, match=".obj, .glb, .ply"):
        mesh.save(tmp_path / "head.fbx")


def test_the_verb_writes_a_mesh(avatar, tmp_path, capsys):
    from geneface.cli.main import run

    avatar.save(tmp_path / "x.avatar")
    words = ["export", str(tmp_path / "x.avatar"), "--mesh", str(tmp_path / "x.ply"), "--voxel", "8", "--texture", "64"]
    assert run([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["format"] == "ply" and result["vertices"] == len(trimesh.load(tmp_path / "x.ply").vertices)
    assert run([*words, "--frame", "3"]) == 2
    assert "--motion" in capsys.readouterr().err
    assert run([*words[:2], "--mesh", str(tmp_path / "x.fbx")]) == 2


def test_the_expression_of_a_frame_has_its_gaze(avatar, monkeypatch, tmp_path):
    asked = []
    mesh = SimpleNamespace(save=lambda path: None)
    monkeypatch.setattr("geneface.export.mesh.head_mesh", lambda avatar, landmarks, *rest: asked.append(landmarks) or mesh)
    motion = MotionSequence(
        np.random.default_rng(0).normal(size=(3, 68, 3)).astype(np.float32), np.zeros((3, 52), np.float32),
        np.zeros(3, np.float32), np.array([[0, 0], [0.2, 0.1], [0.3, 0]], np.float32), 25.0, "test",
    )
    pipeline.export_mesh(avatar, tmp_path / "head.glb", motion, 1)
    assert np.array_equal(asked[0], motion.driving[1])
    with pytest.raises(UserError, match="--frame 3: test has frames 0 to 2"):
        pipeline.export_mesh(avatar, tmp_path / "head.glb", motion, 3)
