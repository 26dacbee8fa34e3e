"""The head for other programs: the basis' own shapes, parts that can be told apart, joints where the basis has them."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.face.arkit import ARKIT_NAMES, index, indices
from geneface.face.basis import load_basis
from geneface.face.pose import y_up
from geneface.face.surface import cut, halve, vertex_normals
from geneface.formats.headmesh import IRIS_RADIUS, MATERIALS, PUPIL_RADIUS, load_head


@pytest.fixture(scope="module")
def head():
    return load_head()


def areas(vertices, triangles):
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def test_vertices_are_those_of_the_basis(head):
    weights = np.random.default_rng(0).uniform(0, 1, (3, 52)).astype(np.float32)
    expected = y_up(load_basis().vertices(None, weights))
    own = head.basis_index >= 0
    assert (np.diff(head.basis_index[own]) > 0).all() and own[: own.sum()].all() and own.sum() > 4700
    np.testing.assert_allclose(head.shapes(weights)[:, own], expected[:, head.basis_index[own]], atol=1e-6)
    np.testing.assert_array_equal(np.unique(head.triangles), np.arange(len(head.vertices)))
    assert head.deltas.shape == (52, len(head.vertices), 3)


def test_parts_are_all_of_the_triangles_once(head):
    covered = np.concatenate([np.arange(len(head.triangles))[part.triangles] for part in head.parts])
    np.testing.assert_array_equal(covered, np.arange(len(head.triangles)))
    assert {part.material for part in head.parts} == set(MATERIALS)
    assert len({part.name for part in head.parts}) == len(head.parts)
    assert areas(head.vertices, head.triangles).min() >= 0 and np.isfinite(head.normals).all()


def test_cut_vertices_lie_on_the_surface_in_every_expression(head):
    """Painting changes no shape: areas are those of the basis' triangles, lower lashes apart."""
    basis, weights = load_basis(), np.zeros(52, np.float32)
    weights[indices("jawOpen", "mouthSmile*", "browInnerUp", "eyeLookUp*")] = 0.7
    lashes = np.isin(basis.triangles, basis.regions["eyelashes"]).all(1)
    skip = next(part.triangles for part in head.parts if part.name == "lashes")
    expected = areas(basis.vertices(None, weights), basis.triangles[~lashes]).sum()
    assert areas(head.shapes(weights), np.delete(head.triangles, skip, 0)).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("eye, side", [(0, 1), (1, -1)])
def test_pupil_lies_in_the_iris_and_the_iris_in_the_eye(head, eye, side):
    by_name = {part.name: np.unique(head.triangles[part.triangles]) for part in head.parts}
    name = ("left", "right")[eye]
    assert side * head.eye_centres[eye, 0] == pytest.approx(0.031, abs=5e-4)
    radii = {}
    for material in ("white", "iris", "pupil"):
        vertices = by_name[f"{material}_{name}"]
        assert np.isin(vertices, head.eyes[eye]).all() and (side * head.vertices[vertices, 0] > 0).all()
        local = head.vertices[vertices] - head.eye_centres[eye]
        radii[material] = np.hypot(local[:, 0], local[:, 1] + 0.001).max()
        assert material == "white" or (local[:, 2] > 0.013).all()
    assert radii["iris"] == pytest.approx(IRIS_RADIUS, abs=4e-4)
    assert radii["pupil"] == pytest.approx(PUPIL_RADIUS, abs=4e-4)


def test_jaw_turns_the_lower_teeth_about_its_hinge(head):
    teeth = np.flatnonzero(np.isin(head.basis_index, load_basis().regions["teeth_lower"]))
    assert len(teeth) == 68
    assert np.degrees(head.jaw_open) == pytest.approx(22.27, abs=0.01)
    assert np.degrees(head.jaw_side) == pytest.approx(7.33, abs=0.01)
    c, s = np.cos(head.jaw_open), np.sin(head.jaw_open)
    turned = (head.vertices[teeth] - head.jaw_hinge) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T + head.jaw_hinge
    opened = head.vertices[teeth] + head.deltas[index("jawOpen"), teeth]
    assert np.linalg.norm(turned - opened, axis=1).max() < 6e-4
    c, s = np.cos(head.jaw_side), np.sin(head.jaw_side)  # to the person's left, positive x
    turned = (head.vertices[teeth] - head.jaw_hinge) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + head.jaw_hinge
    aside = head.vertices[teeth] + head.deltas[index("jawLeft"), teeth]
    assert abs((turned - aside)[:, 0].mean()) < 1e-4 and np.abs(turned - aside)[:, 0].max() < 4e-3


def test_lid_deltas_leave_the_eyeballs_and_nothing_else(head):
    lids = head.lid_deltas
    assert not lids[:, head.eyes[0]].any() and not lids[:, head.eyes[1]].any()
    rest = np.setdiff1d(np.arange(len(head.vertices)), np.concatenate(head.eyes))
    np.testing.assert_array_equal(lids[:, rest], head.deltas[:, rest])
    moved = {name for name, delta in zip(ARKIT_NAMES, head.deltas - lids) if delta.any()}
    assert moved and all(name.startswith("eyeLook") for name in moved)


def test_cut_splits_where_the_field_is_zero():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    made, origin, edges, place = cut(triangles, points[:, 0] - 0.25)
    after = np.concatenate([points, points[edges[:, 0]] + place[:, None] * (points[edges[:, 1]] - points[edges[:, 0]])])
    np.testing.assert_allclose(after[4:, 0], 0.25)
    assert len(after) == 7 and len(made) == 6
    assert areas(after, made)[after[made][:, :, 0].mean(1) < 0.25].sum() == pytest.approx(0.25)
    np.testing.assert_allclose(np.bincount(origin, areas(after, made)), 0.5)
    np.testing.assert_allclose(vertex_normals(after, made), np.tile([0, 0, 1.0], (7, 1)))
    same, *_ = cut(triangles, np.ones(4))
    np.testing.assert_array_equal(same, triangles)


def test_halve_keeps_area_and_turn():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    made, edges = halve(np.array([[0, 1, 2], [0, 2, 3]]), 4)
    after = np.concatenate([points, points[edges].mean(1)])
    assert len(after) == 9
    np.testing.assert_allclose(areas(after, made), 0.125)
    np.testing.assert_allclose(vertex_normals(after, made)[:, 2], 1)
