import pytest
import torch

from geneface import ops
from geneface.ops import GridSpec, native, reference

from .compare import GRADIENT, HALF, SIZES, VALUE, assert_near

SPECS = [
    GridSpec(dims=3, levels=16, features=2, base_resolution=16, max_resolution=2048, log2_table_size=12),
    GridSpec(dims=3, levels=5, features=2, base_resolution=4, max_resolution=100, log2_table_size=10, hashed=False),
    GridSpec(dims=2, levels=16, features=2, base_resolution=16, max_resolution=2048, log2_table_size=12),
    GridSpec(dims=2, levels=7, features=1, base_resolution=3, max_resolution=300, log2_table_size=9, hashed=False),
    GridSpec(dims=2, levels=1, features=4, base_resolution=5, max_resolution=9, log2_table_size=8),
    GridSpec(dims=3, levels=3, features=8, base_resolution=2, max_resolution=40, log2_table_size=8),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.dims}d{s.features}f{'hash' if s.hashed else 'tile'}")
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_reference(backend, spec, size):
    x, table, weight = torch.rand(size, spec.dims), torch.randn(spec.rows, spec.features), torch.randn(size, spec.width)
    expected_x, expected_table = x.clone().requires_grad_(), table.clone().requires_grad_()
    expected = reference.grid_encode(expected_x, expected_table, spec)
    (expected * weight).sum().backward()

    x, table = backend.tensor(x, grad=True), backend.tensor(table, grad=True)
    actual = ops.grid_encode(x, table, spec)
    (actual * backend.tensor(weight)).sum().backward()
    assert_near(actual, expected, VALUE)
    assert_near(table.grad, expected_table.grad, GRADIENT)
    assert_near(x.grad, expected_x.grad, GRADIENT)


def test_interpolates_between_vertices(backend):
    spec = GridSpec(dims=2, levels=1, features=1, base_resolution=1, max_resolution=1, log2_table_size=3)
    table = torch.tensor([[1.0], [3.0], [10.0], [20.0], [0], [0], [0], [0]])  # (0,0) (1,0) (0,1) (1,1), padding
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.25, 0.5]])
    values = ops.grid_encode(backend.tensor(x), backend.tensor(table), spec).cpu().flatten()
    bottom, top = 1 + 0.25 * 2, 10 + 0.25 * 10
    torch.testing.assert_close(values, torch.tensor([1.0, 3.0, 10.0, 20.0, (bottom + top) / 2]))


def test_positions_outside_are_clamped(backend):
    spec = SPECS[0]
    table = backend.tensor(torch.randn(spec.rows, spec.features))
    x = backend.tensor(torch.tensor([[-0.3, 0.5, 1.7]]), grad=True)
    outside = ops.grid_encode(x, table, spec)
    inside = ops.grid_encode(backend.tensor(torch.tensor([[0.0, 0.5, 1.0]])), table, spec)
    assert torch.equal(outside, inside)
    outside.sum().backward()
    assert x.grad[0, 0] == 0 and x.grad[0, 2] == 0 and x.grad[0, 1] != 0


@pytest.mark.parametrize("dims", [2, 3])
def test_gradcheck(dims):
    spec = GridSpec(dims=dims, levels=2, features=2, base_resolution=2, max_resolution=5, log2_table_size=5)
    x = torch.rand(5, dims, dtype=torch.float64, requires_grad=True)
    table = torch.randn(spec.rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, table: ops.grid_encode(x, table, spec), (x, table))


def test_same_bits_for_any_number_of_threads(backend):
    spec = SPECS[0]
    x, table = torch.rand(20000, 3), torch.randn(spec.rows, 2)
    results = []
    for threads in (1, 2, 3, 50):  # more threads than levels cut levels up
        native.set_threads(threads)
        try:
            a, b = backend.tensor(x, grad=True), backend.tensor(table, grad=True)
            values = ops.grid_encode(a, b, spec)
            values.square().sum().backward()
            results.append((values.detach(), a.grad, b.grad))
        finally:
            native.set_threads(None)
    for other in results[1:]:
        assert all(torch.equal(p, q) for p, q in zip(results[0], other))


def test_non_contiguous_input(backend):
    spec = SPECS[0]
    x = backend.tensor(torch.rand(3, 50)).t()
    table = backend.tensor(torch.randn(2, spec.rows)).t().requires_grad_()
    wide = ops.grid_encode(x, table, spec)
    assert torch.equal(wide, ops.grid_encode(x.contiguous(), table.detach().contiguous(), spec))
    wide.transpose(0, 1).square().sum().backward()  # the gradient comes back non-contiguous
    assert table.grad.abs().sum() > 0


def test_borders_of_cells_and_of_the_cube(backend):
    """Corners of the unit cube, cell borders, just below one, and positions outside."""
    spec = SPECS[0]
    edges = torch.tensor([0.0, 1.0, 0.5, 1 / 16, 15 / 16, 1 - 1e-7, -1.0, 2.0])
    x = torch.cartesian_prod(edges, edges, edges)
    table = torch.randn(spec.rows, spec.features)
    actual = ops.grid_encode(backend.tensor(x), backend.tensor(table), spec)
    assert_near(actual, reference.grid_encode(x, table, spec), VALUE)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.dims}d{s.features}f{'hash' if s.hashed else 'tile'}")
@pytest.mark.parametrize("size", (*SIZES, 2100))
def test_bfloat16_table(backend, spec, size):
    x, table = torch.rand(size, spec.dims), torch.randn(spec.rows, spec.features)
    small = backend.tensor(table.bfloat16())
    rounded = reference.grid_encode(x, table.bfloat16().float(), spec)
    actual = ops.grid_encode(backend.tensor(x), small, spec)
    assert_near(actual, rounded, VALUE)  # only the table is rounded: the sum is not
    assert_near(actual, reference.grid_encode(x, table, spec), HALF)


def test_positions_have_a_gradient_through_a_bfloat16_table(backend):
    spec = SPECS[2]
    x, table = torch.rand(40, 2), torch.randn(spec.rows, 2).bfloat16()
    expected = x.clone().requires_grad_()
    reference.grid_encode(expected, table.float(), spec).square().sum().backward()
    actual = backend.tensor(x, grad=True)
    ops.grid_encode(actual, backend.tensor(table), spec).square().sum().backward()
    assert_near(actual.grad, expected.grad, GRADIENT)


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda s: f"{s.dims}d{'hash' if s.hashed else 'tile'}")
def test_gradient_of_samples_in_a_row(backend, spec):
    """Neighbours on a ray share cells, and at the finest levels rows of the table."""
    steps = torch.linspace(0, 1, 300)[:, None] * torch.tensor([0.02, 0.1, 0.3])[: spec.dims] + 0.3
    x = torch.cat([steps, steps.flip(0), steps[:40]])
    table, weight = torch.randn(spec.rows, spec.features), torch.randn(len(x), spec.width)
    expected = table.clone().requires_grad_()
    (reference.grid_encode(x, expected, spec) * weight).sum().backward()
    actual = backend.tensor(table, grad=True)
    (ops.grid_encode(backend.tensor(x), actual, spec) * backend.tensor(weight)).sum().backward()
    assert_near(actual.grad, expected.grad, GRADIENT)


def test_only_the_needed_gradient(backend):
    spec = SPECS[2]
    x, table = backend.tensor(torch.rand(10, 2), grad=True), backend.tensor(torch.randn(spec.rows, 2))
    ops.grid_encode(x, table, spec).sum().backward()
    assert x.grad is not None and table.grad is None


@pytest.mark.parametrize(
    "name, x, table",
    [
        ("x", torch.rand(4, 2), torch.rand(SPECS[0].rows, 2)),
        ("x", torch.zeros(4, 3, dtype=torch.int64), torch.rand(SPECS[0].rows, 2)),
        ("x", [[0.0, 0.0, 0.0]], torch.rand(SPECS[0].rows, 2)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows + 1, 2)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 2, dtype=torch.float64)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 2, dtype=torch.float16)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 1, dtype=torch.bfloat16)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 2, dtype=torch.bfloat16, device="meta")),
    ],
)
def test_wrong_arguments_are_named(name, x, table):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.grid_encode(x, table, SPECS[0])


def test_spec_resolutions_and_rows():
    spec = GridSpec(dims=3, levels=8, features=2, base_resolution=16, max_resolution=2048, log2_table_size=16)
    assert spec.resolutions == tuple(16 * 2**l for l in range(8))
    assert spec.offsets[1] == 4920  # 17^3 = 4913 vertices, rounded up to a multiple of 8
    assert spec.offsets[2] == 4920 + 33**3 + 7  # 35937 vertices
    assert spec.offsets[3] - spec.offsets[2] == 2**16
    assert spec.width == 16 and spec.rows == spec.offsets[-1]
    assert GridSpec(**spec.to_dict()) == spec


@pytest.mark.parametrize(
    "name, change",
    [("dims", {"dims": 4}), ("features", {"features": 3}), ("levels", {"levels": 0}),
     ("resolutions", {"base_resolution": 64, "max_resolution": 16}), ("log2_table_size", {"log2_table_size": 30})],
)
def test_wrong_spec_is_named(name, change):
    fine = dict(dims=2, levels=2, features=2, base_resolution=16, max_resolution=32, log2_table_size=8)
    with pytest.raises(ValueError, match=f"^{name}:"):
        GridSpec(**{**fine, **change})
