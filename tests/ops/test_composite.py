import math

import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import GRADIENT, SIZES, VALUE, assert_near


def random_samples(rays, channels=3, most=20, strength=5.0):
    """Packed samples of rays, a few of which have none."""
    counts = torch.randint(0, most + 1, (rays,))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    samples = int(offsets[-1])
    t = 2 + torch.rand(samples).cumsum(0) * 0.01
    return torch.rand(samples) * strength, torch.rand(samples, channels), t, torch.full((samples,), 0.05), offsets


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("strength", [2.0, 200.0])
def test_agrees_with_reference(backend, size, channels, strength):
    sigma, rgb, t, dt, offsets = random_samples(size, channels, strength=strength)
    weights = torch.randn(size, channels), torch.randn(size), torch.randn(size)

    def run(sigma, rgb, t, dt, offsets, weights, op):
        outputs = op(sigma, rgb, t, dt, offsets)
        sum((o * w).sum() for o, w in zip(outputs, weights)).backward()
        return *outputs, sigma.grad, rgb.grad

    # In double: a float transmittance near the stopping threshold may fall on either side.
    exact = [v.double() if v.is_floating_point() else v for v in (sigma, rgb, t, dt, offsets)]
    for v in exact[:2]:
        v.requires_grad_()
    expected = run(*exact, [w.double() for w in weights], reference.composite)
    actual = run(
        backend.tensor(sigma, grad=True), backend.tensor(rgb, grad=True), backend.tensor(t), backend.tensor(dt),
        backend.tensor(offsets), [backend.tensor(w) for w in weights], ops.composite,
    )
    for k, (a, e) in enumerate(zip(actual, expected)):
        assert_near(a, e.float(), (VALUE if k < 3 else GRADIENT) if strength < 100 else 2e-4)


def test_homogeneous_medium(backend):
    """Closed form: alpha = 1 - exp(-sigma * length), colour and depth of equal samples."""
    sigma, length, count = 1.5, 2.0, 50
    dt = torch.full((count,), length / count)
    t = 1 + (torch.arange(count) + 0.5) * length / count
    rgb = torch.tensor([0.2, 0.5, 0.9]).expand(count, 3)
    inputs = [backend.tensor(v) for v in (torch.full((count,), sigma), rgb, t, dt, torch.tensor([0, count, count]))]
    image, alpha, depth = (v.cpu() for v in ops.composite(*inputs, early_stop=0.0))
    opaque = 1 - math.exp(-sigma * length)
    assert alpha.tolist() == pytest.approx([opaque, 0.0], rel=1e-5)
    assert image[0].tolist() == pytest.approx([0.2 * opaque, 0.5 * opaque, 0.9 * opaque], rel=1e-5)
    assert image[1].tolist() == [0, 0, 0]
    # Mean depth of the exponential distribution cut off at `length`, to the order of the step.
    mean = 1 + 1 / sigma - length * math.exp(-sigma * length) / opaque
    assert float(depth[0] / alpha[0]) == pytest.approx(mean, rel=1e-3)


def test_early_stop_hides_what_lies_behind(backend):
    sigma = backend.tensor(torch.tensor([0.0, 1e4, 1.0]), grad=True)
    rgb = backend.tensor(torch.eye(3), grad=True)
    t, dt = backend.tensor(torch.tensor([1.0, 2.0, 3.0])), backend.tensor(torch.ones(3) * 0.1)
    image, alpha, depth = ops.composite(sigma, rgb, t, dt, backend.tensor(torch.tensor([0, 3])))
    assert image.tolist() == [[0.0, 1.0, 0.0]] and alpha.tolist() == [1.0] and depth.tolist() == [2.0]
    image[:, 2].sum().backward()
    assert sigma.grad[2] == 0 and rgb.grad[2].abs().sum() == 0


def test_gradcheck():
    sigma, rgb, t, dt, offsets = random_samples(4, most=5)
    sigma, rgb = sigma.double().requires_grad_(), rgb.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda sigma, rgb: ops.composite(sigma, rgb, t.double(), dt.double(), offsets), (sigma, rgb)
    )


def test_gradient_of_faint_samples_keeps_precision(backend):
    sigma = torch.full((1000,), 1e-4)
    rgb, t, dt = torch.rand(1000, 1), torch.arange(1000.0), torch.full((1000,), 0.01)
    leaf = backend.tensor(sigma, grad=True)
    image, _, _ = ops.composite(leaf, *(backend.tensor(v) for v in (rgb, t, dt, torch.tensor([0, 1000]))))
    image.sum().backward()
    exact = sigma.double().requires_grad_()
    reference.composite(exact, rgb.double(), t.double(), dt.double(), torch.tensor([0, 1000]))[0].sum().backward()
    assert_near(leaf.grad, exact.grad.float(), VALUE)


def test_non_contiguous_input(backend):
    sigma, rgb, t, dt, offsets = (backend.tensor(v) for v in random_samples(20))
    spread = rgb.t().contiguous().t()
    for a, b in zip(ops.composite(sigma, rgb, t, dt, offsets), ops.composite(sigma, spread, t, dt, offsets)):
        assert torch.equal(a, b)


def test_wrong_arguments_are_named():
    fine = dict(zip(("sigma", "rgb", "t", "dt", "offsets"), random_samples(5)))
    count = len(fine["sigma"])
    wrong = dict(sigma=torch.rand(count, 1), rgb=torch.rand(count + 1, 3), t=torch.rand(count - 1),
                 dt=torch.rand(count).double(), offsets=fine["offsets"].int())
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.composite(**{**fine, name: value})
    for offsets in (torch.zeros(0, dtype=torch.int64), torch.tensor([0, count + 1]), torch.tensor([0, 5, 3, count])):
        with pytest.raises(ValueError, match="^offsets:"):
            ops.composite(**{**fine, "offsets": offsets})
