import pytest
import torch

from geneface import ops
from geneface.ops import GridSpec, native, reference

from .compare import GRADIENT, SIZES, VALUE, assert_near
from .test_grid_encode import SPECS


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.dims}d{s.features}f{'hash' if s.hashed else 'tile'}")
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_reference(backend, spec, size):
    x, table, weight = torch.rand(size, spec.dims), torch.randn(spec.rows, spec.features), torch.randn(size)
    expected_table = table.clone().requires_grad_()
    expected = reference.grid_total_variation(x, expected_table, spec)
    (expected * weight).sum().backward()

    table = backend.tensor(table, grad=True)
    actual = ops.grid_total_variation(backend.tensor(x), table, spec)
    (actual * backend.tensor(weight)).sum().backward()
    assert_near(actual, expected, VALUE)
    assert_near(table.grad, expected_table.grad, GRADIENT)


def test_by_hand(backend):
    spec = GridSpec(dims=2, levels=1, features=1, base_resolution=2, max_resolution=2, log2_table_size=4)
    table = torch.zeros(spec.rows, 1)
    table[:9, 0] = torch.tensor([1.0, 4.0, 9.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # vertices, x fastest
    x = torch.tensor([[0.1, 0.4], [0.9, 0.2], [0.6, 0.7]])  # cells (0,0), (1,0), (1,1)
    expected = torch.tensor([(4 - 1.0) ** 2 + (3 - 1) ** 2, (9 - 4.0) ** 2 + (0 - 4) ** 2, 0.0])
    table = backend.tensor(table, grad=True)
    values = ops.grid_total_variation(backend.tensor(x), table, spec)
    torch.testing.assert_close(values.detach().cpu(), expected)
    values[0].backward()
    gradient = torch.zeros(spec.rows)
    gradient[0], gradient[1], gradient[3] = -2 * (3 + 2), 2 * 3, 2 * 2
    torch.testing.assert_close(table.grad.cpu().flatten(), gradient)


def test_a_constant_grid_is_smooth(backend):
    spec = SPECS[1]
    table = backend.tensor(torch.full((spec.rows, spec.features), 0.7))
    assert not ops.grid_total_variation(backend.tensor(torch.rand(100, 3)), table, spec).any()


@pytest.mark.parametrize("dims", [2, 3])
def test_gradcheck(dims):
    spec = GridSpec(dims=dims, levels=2, features=2, base_resolution=2, max_resolution=5, log2_table_size=5)
    x = torch.rand(5, dims, dtype=torch.float64)
    table = torch.randn(spec.rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda table: ops.grid_total_variation(x, table, spec), (table,))


def test_same_bits_for_any_number_of_threads(backend):
    spec = SPECS[0]
    x, table = torch.rand(5000, 3), torch.randn(spec.rows, 2)
    results = []
    for threads in (1, 3, 50):
        native.set_threads(threads)
        try:
            leaf = backend.tensor(table, grad=True)
            values = ops.grid_total_variation(backend.tensor(x), leaf, spec)
            values.sum().backward()
            results.append((values.detach(), leaf.grad))
        finally:
            native.set_threads(None)
    for other in results[1:]:
        assert all(torch.equal(p, q) for p, q in zip(results[0], other))


def test_non_contiguous_input(backend):
    spec = SPECS[2]
    x = backend.tensor(torch.rand(2, 50)).t()
    table = backend.tensor(torch.randn(2, spec.rows)).t().requires_grad_()
    values = ops.grid_total_variation(x, table, spec)
    assert torch.equal(values, ops.grid_total_variation(x.contiguous(), table.detach().contiguous(), spec))
    values.sum().backward()
    assert table.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "name, x, table",
    [
        ("x", torch.rand(4, 2), torch.rand(SPECS[0].rows, 2)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 1)),
        ("table", torch.rand(4, 3), torch.rand(SPECS[0].rows, 2).bfloat16()),
    ],
)
def test_wrong_arguments_are_named(name, x, table):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.grid_total_variation(x, table, SPECS[0])
