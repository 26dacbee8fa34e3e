import math

import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import SIZES


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


@pytest.mark.parametrize("size", [*SIZES, G**3])
def test_pack_bits(backend, size):
    density = torch.rand(size)
    bits = ops.pack_bits(backend.tensor(density), 0.5).cpu()
    assert bits.dtype == torch.uint8 and len(bits) == (size + 7) // 8
    unpacked = [bits[k >> 3].item() >> (k & 7) & 1 for k in range(size)]
    assert unpacked == (density > 0.5).int().tolist()
    assert torch.equal(bits, reference.pack_bits(density, 0.5))


def test_pack_bits_names_a_wrong_argument():
    with pytest.raises(ValueError, match="^density:"):
        ops.pack_bits(torch.rand(4, 4), 0.5)
