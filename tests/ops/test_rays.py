import math

import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import GRADIENT, SIZES, VALUE, assert_near


AABB = torch.tensor([-1.0, -0.5, -0.75, 1.0, 0.5, 0.75])
G = 16


def random_rays(count):
    """Rays from outside towards the box, some of which miss it; every 7th runs along an axis."""
    rays_o = torch.nn.functional.normalize(torch.randn(count, 3), dim=-1) * 3
    rays_d = torch.nn.functional.normalize(torch.randn(count, 3) * 0.8 - rays_o, dim=-1)
    rays_o[::7] = torch.tensor([0.1, 0.2, -2.0])
    rays_d[::7] = torch.tensor([0.0, 0.0, 1.0])
    return rays_o, rays_d


def random_occupancy(share=0.4):
    return reference.pack_bits(torch.rand(G**3), 1 - share)


@pytest.mark.parametrize("size", SIZES)
def test_near_far_agrees_with_reference(backend, size):
    rays_o, rays_d = random_rays(size)
    expected = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    actual = ops.near_far_from_aabb(*(backend.tensor(v) for v in (rays_o, rays_d, AABB)), 0.05)
    for a, e in zip(actual, expected):
        assert torch.equal(a.cpu(), e)


def test_near_far_of_known_rays(backend):
    rays_o = torch.tensor([[0.0, 0, -3], [0, 0, 0], [0, 2, -3], [0, 0, 3], [0, 0.2, -3]])
    rays_d = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 2]])
    nears, fars = ops.near_far_from_aabb(*(backend.tensor(v) for v in (rays_o, rays_d, AABB)), 0.05)
    infinity = math.inf
    assert nears.tolist() == pytest.approx([2.25, 0.05, infinity, infinity, 1.125])
    assert fars.tolist() == pytest.approx([3.75, 0.75, infinity, infinity, 1.875])


def march(backend, rays_o, rays_d, nears, fars, occupancy, step, most, jitter):
    jitter = None if jitter is None else backend.tensor(jitter)
    tensors = [backend.tensor(v) for v in (rays_o, rays_d, nears, fars, occupancy, AABB)]
    return [v.cpu() for v in ops.march_rays(*tensors, G, step, most, jitter)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("most", [1, 6, 1000])
def test_march_agrees_with_reference(backend, size, most):
    rays_o, rays_d = random_rays(size)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    occupancy, jitter = random_occupancy(), torch.rand(size)
    expected = reference.march_rays(rays_o, rays_d, nears, fars, occupancy, AABB, G, 0.03, most, jitter)
    actual = march(backend, rays_o, rays_d, nears, fars, occupancy, 0.03, most, jitter)
    for a, e in zip(actual, expected):
        assert torch.equal(a, e)


@pytest.mark.parametrize("step", [0.3, 0.01, 0.003])
def test_march_skips_empty_blocks_without_loss(backend, step):
    """Few occupied cells: nearly all of the way is skipped, in steps longer and shorter than a cell."""
    rays_o, rays_d = random_rays(500)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    fars[::3] += 1.0  # on through the far side of the box
    occupancy, jitter = random_occupancy(0.002), torch.rand(500)
    expected = reference.march_rays(rays_o, rays_d, nears, fars, occupancy, AABB, G, step, 50, jitter)
    actual = march(backend, rays_o, rays_d, nears, fars, occupancy, step, 50, jitter)
    assert len(expected[0]) > 0
    for a, e in zip(actual, expected):
        assert torch.equal(a, e)


def test_march_of_a_grid_that_blocks_do_not_divide(backend):
    rays_o, rays_d = random_rays(50)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    occupancy = reference.pack_bits(torch.rand(13**3), 0.7)
    arguments = (rays_o, rays_d, nears, fars, occupancy, AABB)
    expected = reference.march_rays(*arguments, 13, 0.03, 50)
    actual = ops.march_rays(*(backend.tensor(v) for v in arguments), 13, 0.03, 50)
    for a, e in zip(actual, expected):
        assert torch.equal(a.cpu(), e)


def test_march_against_brute_force(backend):
    """Sample by sample in plain Python, cells found by comparing coordinates."""
    rays_o, rays_d = random_rays(40)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    cells = torch.rand(G, G, G) > 0.6  # [z,y,x]
    occupancy = reference.pack_bits(cells.flatten().float(), 0.5)
    jitter, step, most = torch.rand(40), 0.04, 12
    t, dt, offsets = march(backend, rays_o, rays_d, nears, fars, occupancy, step, most, jitter)
    low, size = AABB[:3].double(), (AABB[3:] - AABB[:3]).double() / G
    assert offsets[0] == 0 and offsets[-1] == len(t) == len(dt)
    for ray in range(40):
        depths, k = [], 0
        while math.isfinite(nears[ray]) and len(depths) < most:
            depth = float(nears[ray]) + (k + float(jitter[ray])) * step
            if depth >= float(fars[ray]):
                break
            cell = (rays_o[ray].double() + depth * rays_d[ray].double() - low) / size
            place = cell.floor().long()
            assert (cell - cell.round()).abs().min() > 1e-6 or bool((rays_d[ray] == 0).any())
            if bool(((place >= 0) & (place < G)).all()) and cells[place[2], place[1], place[0]]:
                depths.append(depth)
            k += 1
        assert t[offsets[ray]:offsets[ray + 1]].tolist() == pytest.approx(depths, abs=1e-5)
    assert torch.equal(dt, torch.full_like(t, step))


def test_march_of_full_and_empty_grids(backend):
    rays_o, rays_d = torch.tensor([[0.05, 0.05, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    nears, fars = torch.tensor([2.25]), torch.tensor([3.75])
    full, empty = torch.full((G**3 // 8,), 255, dtype=torch.uint8), torch.zeros(G**3 // 8, dtype=torch.uint8)
    t, dt, offsets = march(backend, rays_o, rays_d, nears, fars, full, 0.25, 100, None)
    assert t.tolist() == pytest.approx([2.375, 2.625, 2.875, 3.125, 3.375, 3.625])
    assert float(dt.sum()) == pytest.approx(1.5)  # midpoints: the intervals tile the way through the box
    assert offsets.tolist() == [0, 6]
    t, _, offsets = march(backend, rays_o, rays_d, nears, fars, empty, 0.25, 100, None)
    assert len(t) == 0 and offsets.tolist() == [0, 0]
    behind = march(backend, rays_o, rays_d, fars, nears, full, 0.25, 100, None)
    assert behind[2].tolist() == [0, 0]


def test_march_takes_rays_that_need_gradients(backend):
    rays_o = backend.tensor(torch.tensor([[0.0, 0, -3]]), grad=True)
    rays_d = backend.tensor(torch.tensor([[0.0, 0, 1]]), grad=True)
    aabb = backend.tensor(AABB)
    nears, fars = ops.near_far_from_aabb(rays_o, rays_d, aabb, 0.05)
    full = backend.tensor(torch.full((G**3 // 8,), 255, dtype=torch.uint8))
    t, dt, _ = ops.march_rays(rays_o, rays_d, nears, fars, full, aabb, G, 0.1, 8)
    assert not (nears.requires_grad or t.requires_grad or dt.requires_grad)


def test_wrong_arguments_are_named():
    rays_o, rays_d = random_rays(3)
    nears, fars, occupancy = torch.ones(3), torch.ones(3) * 2, torch.zeros(G**3 // 8, dtype=torch.uint8)
    fine = dict(rays_o=rays_o, rays_d=rays_d, nears=nears, fars=fars, occupancy=occupancy, aabb=AABB, grid_size=G,
                step=0.1, max_samples=4, jitter=torch.rand(3))
    ops.march_rays(**fine)
    wrong = dict(rays_o=rays_o[:, :2], rays_d=rays_d[:2], nears=nears.double(), fars=fars[:2],
                 occupancy=occupancy[:5], aabb=AABB[:5], step=0.0, max_samples=0, jitter=torch.rand(4))
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.march_rays(**{**fine, name: value})
    with pytest.raises(ValueError, match="^rays_d:"):
        ops.near_far_from_aabb(rays_o, rays_d[:1], AABB, 0.05)
    with pytest.raises(ValueError, match="^occupancy:"):
        ops.march_rays(**{**fine, "occupancy": occupancy.int()})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("round_samples", [1, 3, 40])
def test_march_in_rounds_gives_the_samples_of_one_march(backend, size, round_samples):
    """Rays in any order, some left out; the rounds of a ray joined are its samples, bit for bit."""
    rays_o, rays_d = random_rays(size)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    occupancy, jitter = random_occupancy(), torch.rand(size)
    arguments = [backend.tensor(v) for v in (rays_o, rays_d, nears, fars, occupancy, AABB)]
    t, _, offsets = (v.cpu() for v in ops.march_rays(*arguments, G, 0.05, 1000, backend.tensor(jitter)))
    steps = backend.tensor(torch.zeros(size, dtype=torch.int32))
    chosen = torch.randperm(size)[: size - size // 4]
    alive, found = chosen, {ray: [] for ray in chosen.tolist()}
    while len(alive):
        part, dt, bounds = (
            v.cpu() for v in
            ops.march_alive(backend.tensor(alive), steps, *arguments, G, 0.05, round_samples, backend.tensor(jitter))
        )
        assert bounds[0] == 0 and bounds[-1] == len(part) and torch.equal(dt, torch.full_like(part, 0.05))
        for slot, ray in enumerate(alive.tolist()):
            found[ray] += part[bounds[slot]:bounds[slot + 1]].tolist()
        alive = alive[bounds.diff() == round_samples]
    assert found == {ray: t[offsets[ray]:offsets[ray + 1]].tolist() for ray in found}
    after = steps.cpu()
    assert (after[chosen] == reference.rays.MAX_STEPS).all()
    assert after.count_nonzero() == len(chosen)


def test_march_in_rounds_keeps_its_place(backend):
    """Steps of 0.25 through a full box from 2.25 on: samples at 2.375, 2.625, ...: two a round."""
    rays = torch.tensor([[0.05, 0.05, -3.0]]), torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([2.25]), torch.tensor([3.5])
    full = torch.full((G**3 // 8,), 255, dtype=torch.uint8)
    arguments = [backend.tensor(v) for v in (*rays, full, AABB)]
    alive, steps = backend.tensor(torch.tensor([0])), backend.tensor(torch.zeros(1, dtype=torch.int32))
    rounds = []
    for _ in range(4):
        t, _, offsets = ops.march_alive(alive, steps, *arguments, G, 0.25, 2)
        rounds.append((t.tolist(), offsets.tolist(), steps.item()))
    end = reference.rays.MAX_STEPS
    assert rounds == [
        ([2.375, 2.625], [0, 2], 2), ([2.875, 3.125], [0, 2], 4), ([3.375], [0, 1], end), ([], [0, 0], end)
    ]


def test_march_beyond_numbers_of_32_bits(backend):
    """A grid whose cells are numbered in more than 31 bits is walked all the same."""
    size = 1296
    cells = torch.zeros((size**3 + 7) // 8, dtype=torch.uint8)
    number = 700 + size * (300 + size * 1290)
    cells[number >> 3] = 1 << (number & 7)
    unit = torch.tensor([0.0, 0, 0, 1, 1, 1])
    rays_o, rays_d = torch.tensor([[700.5 / size, 300.5 / size, -1.0]]), torch.tensor([[0.0, 0, 1]])
    arguments = [backend.tensor(v) for v in (rays_o, rays_d, torch.tensor([1.0]), torch.tensor([2.0]), cells, unit)]
    t, _, _ = ops.march_rays(*arguments, size, 1 / size / 2, 10)
    assert len(t) == 2 and all(1290 <= (float(v) - 1) * size <= 1291 for v in t)


def random_positions(size):
    counts = torch.randint(0, 9, (size,))
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    return torch.randn(size, 3), torch.randn(size, 3), torch.rand(int(offsets[-1])) * 3, offsets


@pytest.mark.parametrize("size", SIZES)
def test_sample_points_agree_with_reference(backend, size):
    rays_o, rays_d, t, offsets = random_positions(size)
    weights = torch.randn(len(t), 3)

    def run(rays_o, rays_d, t, offsets, weights, op):
        x, ray = op(rays_o, rays_d, t, offsets)
        (x * weights).sum().backward()
        return x, rays_o.grad, rays_d.grad, ray

    exact = [v.double().requires_grad_() for v in (rays_o, rays_d)]
    expected = run(*exact, t.double(), offsets, weights.double(), reference.sample_points)
    leaves = [backend.tensor(v, grad=True) for v in (rays_o, rays_d)]
    actual = run(*leaves, *(backend.tensor(v) for v in (t, offsets, weights)), ops.sample_points)
    assert_near(actual[0], expected[0].float(), VALUE)
    assert_near(actual[1], expected[1].float(), GRADIENT)
    assert_near(actual[2], expected[2].float(), GRADIENT)
    assert torch.equal(actual[3].cpu(), expected[3])
    assert torch.equal(actual[0].cpu(), rays_o[expected[3]] + t[:, None] * rays_d[expected[3]])  # to the last bit


def test_gradients_of_samples_go_to_their_own_ray(backend):
    """Two samples of ray 0, none of ray 1, one of ray 2: known sums. (RAD-NeRF added them up by slot.)"""
    rays_o, rays_d = (backend.tensor(torch.zeros(3, 3), grad=True) for _ in range(2))
    t, offsets = torch.tensor([2.0, 3.0, 5.0]), torch.tensor([0, 2, 2, 3])
    x, _ = ops.sample_points(rays_o, rays_d, backend.tensor(t), backend.tensor(offsets))
    x.backward(backend.tensor(torch.tensor([[1.0, 0, 0], [10, 0, 0], [0, 1, 0]])))
    assert rays_o.grad.tolist() == [[11, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert rays_d.grad.tolist() == [[32, 0, 0], [0, 0, 0], [0, 5, 0]]


def test_sample_points_gradcheck():
    rays_o, rays_d, t, offsets = random_positions(5)
    leaves = [v.double().requires_grad_() for v in (rays_o, rays_d)]
    assert torch.autograd.gradcheck(lambda o, d: ops.sample_points(o, d, t.double(), offsets)[0], leaves)


def test_strided_rays(backend):
    rays_o, rays_d = random_rays(40)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    rest = [backend.tensor(v) for v in (nears, fars, random_occupancy(), AABB)]
    dense = [backend.tensor(v) for v in (rays_o, rays_d)]
    strided = [v.t().contiguous().t() for v in dense]
    expected, actual = (ops.march_rays(*v, *rest, G, 0.05, 20) for v in (dense, strided))
    assert all(torch.equal(a, e) for a, e in zip(actual, expected))
    (x, _), (y, _) = (ops.sample_points(*v, expected[0], expected[2]) for v in (dense, strided))
    assert torch.equal(x, y)


def test_results_do_not_depend_on_threads(backend):
    rays_o, rays_d = random_rays(1000)
    nears, fars = reference.near_far_from_aabb(rays_o, rays_d, AABB, 0.05)
    arguments = [backend.tensor(v) for v in (rays_o, rays_d, nears, fars, random_occupancy(), AABB)]
    results = []
    for threads in (1, 3):
        ops.set_threads(threads)
        t, _, offsets = ops.march_rays(*arguments, G, 0.05, 30)
        leaves = [v.clone().requires_grad_() for v in arguments[:2]]
        x, ray = ops.sample_points(*leaves, t, offsets)
        x.sin().sum().backward()
        results.append((t, offsets, x, ray, leaves[0].grad, leaves[1].grad))
    ops.set_threads(None)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_wrong_arguments_of_rounds_and_points_are_named():
    rays_o, rays_d = random_rays(3)
    fine = dict(alive=torch.tensor([2, 0]), steps=torch.zeros(3, dtype=torch.int32), rays_o=rays_o, rays_d=rays_d,
                nears=torch.ones(3), fars=torch.ones(3) * 2, occupancy=torch.zeros(G**3 // 8, dtype=torch.uint8),
                aabb=AABB, grid_size=G, step=0.1, max_samples=4)
    ops.march_alive(**fine)
    wrong = dict(alive=torch.tensor([3]), steps=torch.zeros(3), rays_d=rays_d[:2], max_samples=0)
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.march_alive(**{**fine, name: value})
    with pytest.raises(ValueError, match="^steps:"):
        ops.march_alive(**{**fine, "steps": torch.zeros(6, dtype=torch.int32)[::2]})
    fine = dict(rays_o=rays_o, rays_d=rays_d, t=torch.rand(4), offsets=torch.tensor([0, 1, 2, 4]))
    ops.sample_points(**fine)
    wrong = dict(rays_o=rays_o[0], rays_d=rays_d.double(), t=torch.rand(4, 1), offsets=torch.tensor([0, 1, 2, 3]))
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.sample_points(**{**fine, name: value})
