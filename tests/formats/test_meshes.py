"""Mesh sequences: read by trimesh and by hand, equal to the basis; folders of others are left alone."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.arkit import index
from geneface.face.basis import load_basis
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_positions, head_rotations, poses_of_angles, y_up
from geneface.formats import WriteOptions, write_motion
from geneface.formats.headmesh import MATERIALS, load_head
from geneface.formats.meshes import ABOUT
from geneface.types import MotionSequence


def take(frames: int = 3, fps: float = 25.0) -> MotionSequence:
    rng = np.random.default_rng(5)
    motion = motion_from_weights(rng.uniform(0, 0.8, (frames, 52)), fps, 'talk "one".wav')
    return replace(motion, head_pose=poses_of_angles(rng.normal(0, 0.1, (frames, 3)), rng.normal(0, 0.01, (frames, 3))))


def options(kind: str) -> WriteOptions:
    return WriteOptions(format=kind)


def basis_vertices(motion: MotionSequence, frame: int) -> np.ndarray:
    head = load_head()
    return y_up(load_basis().vertices(None, motion.expression[frame]))[head.basis_index[head.basis_index >= 0]]


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_trimesh_reads_the_vertices_of_the_basis(kind, tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed (test extra)")
    motion, head = take(), load_head()
    result = write_motion(motion, tmp_path / "out", options(kind))
    assert result["format"] == kind and result["frames"] == 3 and result["triangles"] == len(head.triangles)
    names = sorted(entry.name for entry in (tmp_path / "out").iterdir())
    assert names == [f"{frame:06d}.{kind}" for frame in range(3)] + [ABOUT]
    for frame in (0, 2):
        mesh = trimesh.load(tmp_path / "out" / f"{frame:06d}.{kind}", process=False)
        own = basis_vertices(motion, frame)
        np.testing.assert_allclose(mesh.vertices[: len(own)], own, atol=1e-5)
        np.testing.assert_allclose(mesh.vertices[mesh.faces], head.shapes(motion.expression[frame])[head.triangles],
                                   atol=1e-5)
        assert not np.isnan(mesh.vertex_normals).any()


def test_obj_has_groups_texture_and_normals(tmp_path):
    motion, head = take(1), load_head()
    write_motion(motion, tmp_path / "out", options("obj"))
    lines = (tmp_path / "out" / "000000.obj").read_text("ascii").splitlines()
    rows = {kind: [line.split()[1:] for line in lines if line.startswith(kind + " ")]
            for kind in ("v", "vt", "vn", "f")}
    assert [line[2:] for line in lines if line.startswith("g ")] == [part.name for part in head.parts]
    np.testing.assert_allclose(np.array(rows["vt"], float), head.uv * [1, -1] + [0, 1], atol=1e-6)
    normals = np.array(rows["vn"], float)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=2e-3)
    corners = np.array([[corner.split("/") for corner in row] for row in rows["f"]], int)
    np.testing.assert_array_equal(corners[:, :, 0], head.triangles + 1)
    assert (corners == corners[:, :, :1]).all()
    points = np.array(rows["v"], float)[head.triangles]
    outward = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    assert ((outward * normals[head.triangles].mean(1)).sum(1) > 0).mean() > 0.97


def test_ply_tells_parts_apart_by_colour(tmp_path):
    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed (test extra)")
    write_motion(take(1), tmp_path / "out", options("ply"))
    mesh, head = trimesh.load(tmp_path / "out" / "000000.ply", process=False), load_head()
    colours = np.asarray(mesh.visual.vertex_colors)[:, :3][mesh.faces]
    for part in head.parts:
        expected = np.round(255 * np.array(MATERIALS[part.material].colour))
        assert (colours[part.triangles] == expected).all(), part.name


def test_sequence_json_says_what_the_meshes_leave_out(tmp_path):
    motion = replace(take(2, 30000 / 1001), history=("mouth 1.2",))
    write_motion(motion, tmp_path / "out", options("obj"))
    about = json.loads((tmp_path / "out" / ABOUT).read_text("utf-8"))
    assert about["fps"] == 30000 / 1001 and about["frames"] == 2 and about["first"] == "000000.obj"
    assert about["source"] == motion.source and about["history"] == ["mouth 1.2"]
    assert "Synthetic" in about["comment"]
    matrices = np.array(about["head_to_world"]).reshape(-1, 4, 4)
    np.testing.assert_allclose(matrices[:, :3, :3], head_rotations(motion), atol=1e-6)
    np.testing.assert_allclose(matrices[:, :3, 3], head_positions(motion), atol=1e-6)


def test_open_jaw_is_lower(tmp_path):
    weights = np.zeros((2, 52))
    weights[1, index("jawOpen")] = 1
    write_motion(motion_from_weights(weights, 25, "jaw"), tmp_path / "out", options("obj"))
    chin = np.argmin(load_head().deltas[index("jawOpen"), :, 1])
    texts = [(tmp_path / "out" / f"00000{frame}.obj").read_text("ascii") for frame in range(2)]
    rest, opened = (np.array(text.split("\nv ")[chin + 1].split()[:3], float) for text in texts)
    assert opened[1] - rest[1] == pytest.approx(-0.0343, abs=1e-4) and rest[2] > 0.07


def test_own_folder_is_replaced_and_another_left_alone(tmp_path):
    out = tmp_path / "out"
    write_motion(take(3), out, options("ply"))
    write_motion(take(1), out, options("obj"))
    assert sorted(entry.name for entry in out.iterdir()) == ["000000.obj", ABOUT]
    (out / "notes.txt").write_text("mine")
    for kind in ("obj", "ply"):
        with pytest.raises(UserError, match="other things in it"):
            write_motion(take(1), out, options(kind))
    assert (out / "notes.txt").read_text() == "mine" and (out / "000000.obj").exists()
    other = tmp_path / "models"
    other.mkdir()
    (other / "000000.obj").write_text("v 0 0 0\n")  # named like ours
    with pytest.raises(UserError, match="other things in it"):
        write_motion(take(1), other, options("obj"))
    (other / ABOUT).write_text('{"type": "something else"}')
    with pytest.raises(UserError, match="other things in it"):
        write_motion(take(1), other, options("obj"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        write_motion(take(1), tmp_path / "file", options("obj"))
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_nothing_is_left_of_a_failed_run(tmp_path, monkeypatch):
    from geneface.formats import meshes

    def full(*args, **keys):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(meshes, "vertex_normals", full)
    with pytest.raises(UserError, match="no room left on the disk"):
        write_motion(take(2), tmp_path / "out", options("obj"))
    assert list(tmp_path.iterdir()) == []


def test_command_line_writes_a_folder(tmp_path, capfd):
    take(2).save(tmp_path / "m.npz")
    assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "talk.obj")]) == 2
    assert "-o DIR --format obj" in capfd.readouterr().err
    arguments = ["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "out"), "--format", "ply", "--json"]
    assert run(arguments) == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert result["format"] == "ply" and result["frames"] == 2 and result["fps"] == 25
    assert (tmp_path / "out" / "000001.ply").is_file()
