import pytest
import torch

from geneface import ops
from geneface.ops import native, reference

from .compare import GRADIENT, SIZES, VALUE, assert_near

BF16 = 2e-2
# Input widths, layer widths, rows of offsets (0: none).
NETWORKS = [
    ((32,), (64, 18), 6), ((32, 16, 16), (64, 32), 0), ((31,), (64, 3), 200), ((5, 1, 17), (33, 7, 20, 1), 3),
    ((40,), (3,), 2), ((3,), (130, 2), 1),
]


def _arguments(size, input_widths, widths, rows):
    inputs = [torch.randn(size, width) for width in input_widths]
    shapes = zip(widths, (sum(input_widths), *widths))
    weights = [torch.randn(shape) / shape[1] ** 0.5 for shape in shapes]
    if not rows:
        return inputs, weights, None, None
    offsets = torch.randn(rows, widths[0])
    # Runs of samples that share a row, and rows that come again.
    index = torch.randint(rows, (size // 7 + 1,)).repeat_interleave(7)[:size]
    return inputs, weights, offsets, None if rows == 1 else index


def _gradient(arguments, outputs, bf16=False):
    """[M,outputs] gradients, zero for samples with a hidden value so near 0 that rounding decides its ReLU."""
    inputs, weights, offsets, index = arguments
    gradient = torch.randn(len(inputs[0]), outputs)
    for layers in range(1, len(weights)):
        before_relu = reference.mlp(inputs, weights[:layers], offsets, index, bf16)
        gradient[before_relu.abs().min(1).values < 1e-5] = 0
    return gradient


def _run(evaluate, prepare, arguments, bf16, grad_out):
    inputs, weights, offsets, index = arguments
    inputs, weights = [prepare(x, True) for x in inputs], [prepare(w, True) for w in weights]
    offsets = None if offsets is None else prepare(offsets, True)
    index = None if index is None else prepare(index, False)
    out = evaluate(inputs, weights, offsets, index, bf16)
    (out * prepare(grad_out, False)).sum().backward()
    leaves = [*inputs, *weights, *([] if offsets is None else [offsets])]
    return out, [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bf16", [False, True])
def test_agrees_with_reference(backend, network, size, bf16):
    arguments = _arguments(size, *network)
    grad_out = _gradient(arguments, network[1][-1], bf16)
    prepare = lambda value, grad: value.detach().clone().requires_grad_(grad)
    expected, expected_grads = _run(reference.mlp, prepare, arguments, bf16, grad_out)
    actual, grads = _run(ops.mlp, backend.tensor, arguments, bf16, grad_out)
    assert_near(actual, expected, BF16 if bf16 else VALUE)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert_near(grad, expected_grad, BF16 if bf16 else GRADIENT)


def test_bf16_rounds(backend):
    # One product of numbers that bfloat16 holds only after rounding.
    x, weight = torch.tensor([[1.00390625 + 2**-9]]), torch.tensor([[3.0 + 2**-8]])
    exact = ops.mlp([backend.tensor(x)], [backend.tensor(weight)])
    rounded = ops.mlp([backend.tensor(x)], [backend.tensor(weight)], bf16=True)
    assert exact.item() == (x * weight).item()
    assert rounded.item() == (x.bfloat16().float() * weight.bfloat16().float()).item() != exact.item()


@pytest.mark.parametrize("bf16", [False, True])
def test_not_a_number_is_not_hidden(backend, bf16):
    (x,), (first, second), _, _ = _arguments(40, (5,), (16, 3), 0)
    x[7, 2] = float("nan")
    out = ops.mlp([backend.tensor(x)], [backend.tensor(first), backend.tensor(second)], bf16=bf16).cpu()
    assert out[7].isnan().all() and out.isnan().sum() == 3


def test_many_chunks_of_samples(backend):
    arguments = _arguments(5000, (32, 16), (64, 18), 37)
    grad_out = _gradient(arguments, 18)
    prepare = lambda value, grad: value.detach().clone().requires_grad_(grad)
    expected, expected_grads = _run(reference.mlp, prepare, arguments, False, grad_out)
    actual, grads = _run(ops.mlp, backend.tensor, arguments, False, grad_out)
    assert_near(actual, expected, VALUE)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert_near(grad, expected_grad, GRADIENT)


@pytest.mark.parametrize("bf16", [False, True])
def test_same_for_any_number_of_threads(backend, bf16):
    if backend.name in ("reference", "cuda on the cpu"):  # both are PyTorch here
        pytest.skip("PyTorch adds up gradients of indexed rows in any order")
    arguments, grad_out = _arguments(7000, (31,), (64, 3), 900), torch.randn(7000, 3)
    results = []
    try:
        for threads in (1, 2, 5):
            ops.set_threads(threads)
            results.append(_run(ops.mlp, backend.tensor, arguments, bf16, grad_out))
    finally:
        ops.set_threads(None)
    for out, grads in results[1:]:
        assert torch.equal(out, results[0][0])
        assert all(torch.equal(a, b) for a, b in zip(grads, results[0][1], strict=True))


def test_gradients_only_where_needed(backend):
    inputs, weights, offsets, index = _arguments(50, (4, 6), (16, 2), 3)
    first, second = backend.tensor(inputs[0]), backend.tensor(inputs[1], grad=True)
    weights = [backend.tensor(w) for w in weights]
    ops.mlp([first, second], weights, backend.tensor(offsets), backend.tensor(index)).sum().backward()
    expected = inputs[1].clone().requires_grad_()
    reference.mlp([inputs[0], expected], [w.cpu() for w in weights], offsets, index).sum().backward()
    assert_near(second.grad, expected.grad, GRADIENT)
    assert first.grad is None


def test_non_contiguous_inputs(backend):
    x, weight = backend.tensor(torch.randn(8, 40)).t(), backend.tensor(torch.randn(8, 24)).t()
    out = backend.tensor(torch.randn(24, 5)).t()
    dense = ops.mlp([x.contiguous()], [weight.contiguous(), out.contiguous()])
    assert_near(ops.mlp([x], [weight, out]), dense, VALUE)


def test_gradcheck():
    inputs, weights, offsets, index = _arguments(9, (3, 2), (6, 4), 3)
    leaves = [t.double().requires_grad_() for t in (*inputs, *weights, offsets)]

    def evaluate(a, b, v, w, o):
        return ops.mlp([a, b], [v, w], o, index)

    assert torch.autograd.gradcheck(evaluate, leaves)


@pytest.mark.skipif(not native.cpu_variants(), reason="native kernels are not built")
def test_custom_op_is_well_formed():
    from geneface.ops.mlp import _evaluate

    inputs, weights, offsets, index = _arguments(40, (3, 2), (6, 4), 3)
    leaves = [t.requires_grad_() for t in (*inputs, *weights, offsets)]
    torch.library.opcheck(_evaluate, (leaves[:2], leaves[2:4], leaves[4], index, False))


X, W, V = torch.rand(4, 3), torch.rand(8, 3), torch.rand(2, 8)


@pytest.mark.parametrize("name, arguments", [
    ("inputs", ([], [W])), ("weights", ([X], [])), (r"inputs\[1\]", ([X, torch.rand(5, 1)], [W])),
    (r"inputs\[0\]", ([torch.rand(4)], [W])), (r"inputs\[0\]", ([X.half()], [W])), (r"weights\[0\]", ([X, X], [W])),
    (r"weights\[1\]", ([X], [W, W])), (r"weights\[1\]", ([X], [W, V.double()])),
    ("offsets", ([X], [W, V], torch.rand(2, 3))), ("index", ([X], [W, V], torch.rand(2, 8))),
    ("index", ([X], [W, V], None, torch.zeros(4, dtype=torch.int64))),
    ("index", ([X], [W, V], torch.rand(2, 8), torch.zeros(3, dtype=torch.int64))),
    ("index", ([X], [W, V], torch.rand(2, 8), torch.zeros(4))),
    ("index", ([X], [W, V], torch.rand(2, 8), torch.full((4,), 2))),
])
def test_wrong_arguments_are_named(name, arguments):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.mlp(*arguments)
