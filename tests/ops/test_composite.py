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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("early_stop", [0.0, 0.1])
def test_weights_agree_with_reference(backend, size, early_stop):
    sigma, _, _, dt, offsets = random_samples(size)
    expected = reference.composite_weights(sigma.double(), dt.double(), offsets, early_stop)
    actual = ops.composite_weights(*(backend.tensor(v) for v in (sigma, dt, offsets)), early_stop)
    assert_near(actual, expected.float(), VALUE)


def test_weights_are_what_composite_multiplies_by(backend):
    sigma, rgb, t, dt, offsets = (backend.tensor(v) for v in random_samples(50, strength=100.0))
    image, alpha, _ = ops.composite(sigma, rgb, t, dt, offsets, 0.01)
    weights = ops.composite_weights(sigma, dt, offsets, 0.01)
    assert 0 < int((weights == 0).sum()) < len(weights)  # the early stop left some out
    ray = torch.repeat_interleave(offsets.diff())
    assert_near(torch.zeros_like(image).index_add_(0, ray, weights[:, None] * rgb), image, VALUE)
    assert_near(torch.zeros_like(alpha).index_add_(0, ray, weights), alpha, VALUE)


def test_weights_of_samples_of_no_ray_are_zero(backend):
    sigma, dt = backend.tensor(torch.ones(6)), backend.tensor(torch.ones(6))
    weights = ops.composite_weights(sigma, dt, backend.tensor(torch.tensor([2, 3, 5])), 0.0).tolist()
    first = 1 - math.exp(-1)
    assert weights == pytest.approx([0, 0, first, first, first * math.exp(-1), 0], rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("round_samples", [1, 4, 30])
def test_compositing_in_rounds_agrees_with_compositing_at_once(backend, size, round_samples):
    """Samples dealt out round by round to the rays still alive, in changing order."""
    sigma, rgb, t, dt, offsets = random_samples(size, 2, strength=100.0)
    exact = (v.double() if v.is_floating_point() else v for v in (sigma, rgb, t, dt, offsets))
    expected = [v.float() for v in reference.composite(*exact, 0.02)]
    image, alpha, depth = (backend.tensor(torch.zeros_like(v)) for v in expected)
    transmittance = backend.tensor(torch.ones(size))
    done, evaluated = torch.zeros(size, dtype=torch.int64), 0
    alive = backend.tensor(torch.randperm(size))
    while len(alive):
        rays = alive.cpu()
        counts = (offsets.diff()[rays] - done[rays]).clamp(max=round_samples)
        bounds = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        within = torch.arange(int(bounds[-1])) - bounds[:-1].repeat_interleave(counts)
        sample = (offsets[:-1] + done)[rays].repeat_interleave(counts) + within
        done[rays] += counts
        evaluated += len(sample)
        part = (backend.tensor(v) for v in (sigma[sample], rgb[sample], t[sample], dt[sample], bounds))
        alive = ops.composite_alive(alive, *part, transmittance, image, alpha, depth, round_samples, 0.02).flip(0)
    for actual, wanted in zip((image, alpha, depth), expected):
        assert_near(actual, wanted, VALUE)
    assert_near(1 - transmittance, expected[1], VALUE)
    if size == 1000 and round_samples == 4:
        assert evaluated < 0.8 * len(sigma)  # rays dropped out


def test_alive_are_those_with_more_to_come(backend):
    """Of three rays one becomes opaque, one runs out of samples, and one goes on."""
    alive = backend.tensor(torch.tensor([4, 0, 2]))
    sigma, t = backend.tensor(torch.tensor([50.0, 50, 0.1, 0.1, 0.1])), backend.tensor(torch.arange(5.0))
    light = [backend.tensor(v) for v in (torch.ones(5), torch.zeros(5, 1), torch.zeros(5), torch.zeros(5))]
    rgb, dt, offsets = torch.ones(5, 1), torch.ones(5), torch.tensor([0, 2, 4, 5])
    rest = ops.composite_alive(alive, sigma, *(backend.tensor(v) for v in (rgb,)), t, backend.tensor(dt),
                               backend.tensor(offsets), *light, max_samples=2, early_stop=1e-4)
    assert rest.tolist() == [0]
    assert light[0].tolist() == pytest.approx([math.exp(-0.2), 1, math.exp(-0.1), 1, 0])
    assert light[2].tolist() == pytest.approx([1 - math.exp(-0.2), 0, 1 - math.exp(-0.1), 0, 1])


def test_not_a_number_is_not_hidden(backend):
    """Training looks for it in the loss."""
    sigma = backend.tensor(torch.tensor([1.0, math.nan, 1.0]))
    ones = backend.tensor(torch.ones(3))
    image, alpha, _ = ops.composite(sigma, ones[:, None], ones, ones, backend.tensor(torch.tensor([0, 1, 3])))
    assert alpha.isnan().tolist() == [False, True] and image.isnan().flatten().tolist() == [False, True]


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
    fine = {name: fine[name] for name in ("sigma", "dt", "offsets")}
    ops.composite_weights(**fine)
    for name in fine:
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.composite_weights(**{**fine, name: wrong[name]})


def test_wrong_arguments_of_rounds_are_named():
    fine = dict(alive=torch.tensor([3, 1]), sigma=torch.rand(4), rgb=torch.rand(4, 3), t=torch.rand(4), dt=torch.rand(4),
                offsets=torch.tensor([0, 1, 4]), transmittance=torch.ones(5), image=torch.zeros(5, 3),
                alpha=torch.zeros(5), depth=torch.zeros(5), max_samples=3)
    ops.composite_alive(**fine)
    wrong = dict(alive=torch.tensor([5, 1]), sigma=torch.rand(4, 1), rgb=torch.rand(3, 3), t=torch.rand(3),
                 dt=torch.rand(4).double(), offsets=torch.tensor([0, 4]), transmittance=torch.ones(10)[::2],
                 image=torch.zeros(5, 4), alpha=torch.zeros(4), depth=torch.zeros(5, requires_grad=True), max_samples=0)
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.composite_alive(**{**fine, name: value})
