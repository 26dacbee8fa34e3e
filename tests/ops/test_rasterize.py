import pytest
import torch

from geneface import ops
from geneface.ops import reference


def random_mesh(faces, width, height):
    """Overlapping triangles, some off the image, some behind the camera, some without area."""
    vertices = torch.rand(3 * faces, 3) * torch.tensor([width * 1.4, height * 1.4, 4.0])
    vertices += torch.tensor([-0.2 * width, -0.2 * height, 1.0])
    vertices[::31, 2] = -1.0
    triangles = torch.arange(3 * faces, dtype=torch.int32).view(-1, 3)
    triangles[5::11, 2] = triangles[5::11, 1]
    return vertices, triangles


@pytest.mark.parametrize("faces", [0, 1, 31, 32, 33, 1000])
def test_agrees_with_reference(backend, faces):
    vertices, triangles = random_mesh(faces, 50, 37)
    expected = reference.rasterize(vertices, triangles, 37, 50)
    face, barycentric, depth = (v.cpu() for v in ops.rasterize(
        backend.tensor(vertices), backend.tensor(triangles), 37, 50))
    assert face.shape == (37, 50) and face.dtype == torch.int32
    assert torch.equal(face, expected[0])
    torch.testing.assert_close(barycentric, expected[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(depth, expected[2], rtol=1e-6, atol=0)


def test_against_brute_force(backend):
    """Every pixel against every triangle by solving for the ray's intersection in space."""
    focal, width, height = 30.0, 24, 17
    points = torch.rand(36, 3, dtype=torch.float64) * 2 - 1
    points[:, 2] += 3
    centre = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    projected = torch.cat([points[:, :2] / points[:, 2:] * focal + centre, points[:, 2:]], dim=1).float()
    triangles = torch.arange(36, dtype=torch.int32).view(12, 3)
    face, barycentric, depth = (v.cpu() for v in ops.rasterize(
        backend.tensor(projected), backend.tensor(triangles), height, width))
    hits = 0
    for row in range(height):
        for column in range(width):
            ray = torch.tensor([(column + 0.5 - width / 2) / focal, (row + 0.5 - height / 2) / focal, 1.0]).double()
            found = []
            for f in range(12):  # point = sum of b_i p_i, with the b_i summing to 1, on the ray
                b = torch.linalg.solve(points[3 * f:3 * f + 3].t(), ray)
                b = b / b.sum()
                if bool((b >= 0).all()):
                    found.append((float(b @ points[3 * f:3 * f + 3, 2]), f, b))
            if not found:
                assert face[row, column] == -1 and depth[row, column] == 0
                continue
            z, f, b = min(found, key=lambda hit: hit[0])
            hits += 1
            assert face[row, column] == f
            assert float(depth[row, column]) == pytest.approx(z, rel=1e-4)
            torch.testing.assert_close(barycentric[row, column].double(), b, rtol=0, atol=1e-4)
    assert hits > 40


def test_shared_edges_leave_no_holes(backend):
    """A square of two triangles, its diagonal through pixel centres: all covered, ties to the first."""
    vertices = torch.tensor([[0.0, 0, 1], [8, 0, 1], [8, 8, 1], [0, 8, 1]])
    triangles = torch.tensor([[0, 1, 2], [0, 3, 2]], dtype=torch.int32)  # of opposite winding
    face, barycentric, depth = (v.cpu() for v in ops.rasterize(backend.tensor(vertices), backend.tensor(triangles), 8, 8))
    expected = torch.tensor([[0 if column >= row else 1 for column in range(8)] for row in range(8)])
    assert torch.equal(face.long(), expected)
    torch.testing.assert_close(barycentric.sum(-1), torch.ones(8, 8))
    assert torch.equal(depth, torch.ones(8, 8))


def test_nothing_drawn(backend):
    vertices = torch.tensor([[0.0, 0, -1], [8, 0, -1], [8, 8, -1]])
    triangles = torch.tensor([[0, 1, 2], [0, 0, 1]], dtype=torch.int32)
    face, barycentric, depth = ops.rasterize(backend.tensor(vertices), backend.tensor(triangles), 4, 6)
    assert (face == -1).all() and (barycentric == 0).all() and (depth == 0).all()


def test_wrong_arguments_are_named():
    vertices, triangles = random_mesh(2, 8, 8)
    for name, arguments in {
        "vertices": (vertices[:, :2], triangles, 8, 8),
        "triangles": (vertices, triangles.long(), 8, 8),
        "height": (vertices, triangles, 0, 8),
        "width": (vertices, triangles, 8, -1),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.rasterize(*arguments)
    with pytest.raises(ValueError, match="^triangles:"):
        ops.rasterize(vertices, triangles + 100, 8, 8)
