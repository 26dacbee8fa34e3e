import pytest
import torch

from geneface import ops
from geneface.ops import native, reference

from .compare import SIZES, VALUE, assert_near

OPTIONS = {"lr": 3e-2, "betas": (0.9, 0.99), "eps": 1e-15}


def _table(size):
    """Value, gradient and moments of a table of `size` rows: some at rest, some moved by their momentum alone."""
    value, grad, mean = (torch.randn(size, 2) for _ in range(3))
    grad[torch.rand(size) < 0.6] = 0
    grad[40:90] = 0  # whole vectors
    mean[torch.rand(size) < 0.6] = 0
    mean[40:80] = 0
    return value, grad, mean, torch.rand(size, 2)


@pytest.mark.parametrize("size", [*SIZES, 40000])
@pytest.mark.parametrize("step", [1, 7])
def test_agrees_with_reference(backend, size, step):
    expected = _table(size)
    actual = [backend.tensor(t) for t in expected]
    reference.adam_step(*expected, step, **OPTIONS)
    ops.adam_step(*actual, step, **OPTIONS)
    for a, e in zip(actual, expected, strict=True):
        assert_near(a, e, VALUE)


def test_moves_values_as_adam_does(backend):
    start, grads = torch.randn(133, 2), torch.randn(5, 133, 2)
    grads[:, :70] = 0  # never touched
    grads[torch.rand(5, 133) < 0.5] = 0
    known = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([known], **OPTIONS)
    value, mean, square = (backend.tensor(t) for t in (start, torch.zeros(133, 2), torch.zeros(133, 2)))
    for step, grad in enumerate(grads, 1):
        known.grad = grad
        optimiser.step()
        ops.adam_step(value, backend.tensor(grad), mean, square, step, **OPTIONS)
    assert_near(value, known, 1e-4)


def test_rows_at_rest_stay_bit_for_bit(backend):
    value, grad, mean, square = (backend.tensor(t) for t in _table(1000))
    before = [t.clone() for t in (value, mean, square)]
    ops.adam_step(value, grad, mean, square, 3, **OPTIONS)
    still = ((grad == 0) & (mean == 0)).all(1)
    assert 0 < still.sum() < 1000
    for now, old in zip((value, mean, square), before, strict=True):
        assert torch.equal(now[still], old[still])
        assert (now[~still] != old[~still]).all()


def test_not_a_number_is_not_hidden(backend):
    value, grad, mean, square = (backend.tensor(t) for t in _table(33))
    grad[5, 1] = float("nan")
    ops.adam_step(value, grad, mean, square, 1, **OPTIONS)
    assert value[5, 1].isnan() and value.isnan().sum() == 1


def test_tensors_that_are_not_contiguous(backend):
    arguments = [backend.tensor(t.t()).t() for t in _table(100)]
    expected = [t.clone(memory_format=torch.contiguous_format) for t in arguments]
    ops.adam_step(*arguments, 2, **OPTIONS)
    ops.adam_step(*expected, 2, **OPTIONS)
    for a, e in zip(arguments, expected, strict=True):
        assert_near(a, e, VALUE)


def test_same_for_any_number_of_threads(backend):
    results = []
    try:
        for threads in (1, 3):
            ops.set_threads(threads)
            torch.manual_seed(1)
            arguments = [backend.tensor(t) for t in _table(50000)]
            ops.adam_step(*arguments, 2, **OPTIONS)
            results.append(arguments)
    finally:
        ops.set_threads(None)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.skipif(not native.cpu_variants(), reason="native kernels are not built")
def test_custom_op_is_well_formed():
    from geneface.ops.adam import _step

    torch.library.opcheck(_step, (*_table(40), 3, 1e-2, 0.9, 0.99, 1e-15))


T = torch.rand(4, 2)


@pytest.mark.parametrize("name, arguments", [
    ("value", (None, T, T, T, 1, 0.1)), ("value", (T.half(), T, T, T, 1, 0.1)), ("grad", (T, T[:3], T, T, 1, 0.1)),
    ("exp_avg", (T, T, T.double(), T, 1, 0.1)), ("exp_avg_sq", (T, T, T, T[0], 1, 0.1)), ("step", (T, T, T, T, 0, 0.1)),
    ("betas", (T, T, T, T, 1, 0.1, (0.9, 1.0))),
])
def test_wrong_arguments_are_named(name, arguments):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.adam_step(*arguments)
