import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import SIZES

AABB = torch.tensor([-1.0, -0.5, -0.75, 1.0, 0.5, 0.75])
G = 16


def cells(bits, size):
    """[G,G,G] bool (z, y, x) of a bit field, bit by bit."""
    bits = bits.cpu().tolist()
    flat = [bool(bits[k >> 3] >> (k & 7) & 1) for k in range(size**3)]
    return torch.tensor(flat).view(size, size, size)


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


@pytest.mark.parametrize("size", SIZES)
def test_record_agrees_with_reference(backend, size):
    x, weights = torch.randn(size, 3) * 0.6, torch.rand(size)  # a third of them outside the box
    expected = torch.rand(G, G, G) * 0.5
    seen = backend.tensor(expected)
    reference.occupancy_record(x, weights, AABB, expected)
    ops.occupancy_record(*(backend.tensor(v) for v in (x, weights, AABB)), seen)
    assert torch.equal(seen.cpu(), expected)


def test_record_keeps_the_largest_weight_of_the_nearest_cell(backend):
    seen = backend.tensor(torch.zeros(4, 4, 4))
    seen[3, 2, 0] = 0.25
    x = torch.tensor([[-0.9, 0.1, 0.7], [-9.0, 0.2, 9.0], [-0.6, 0.24, 0.4], [0.9, -0.4, -0.7]])  # 3 of one cell
    weights = torch.tensor([0.3, 0.75, 0.5, 0.125])
    ops.occupancy_record(*(backend.tensor(v) for v in (x, weights, AABB)), seen)
    assert {tuple(i): float(seen[tuple(i)]) for i in seen.nonzero().tolist()} == {(3, 2, 0): 0.75, (0, 0, 3): 0.125}


@pytest.mark.parametrize("size", [1, 2, 6, 13, 16, 40])
@pytest.mark.parametrize("margin", [0, 1, 2, 20])
def test_update_agrees_with_reference(backend, size, margin):
    seen, hull = torch.rand(size, size, size), torch.rand(size, size, size) > 0.3
    seen[seen < 0.9] *= 0.1  # few enough that the margin leaves something empty
    expected_seen = seen.clone()
    expected = reference.occupancy_update(expected_seen, hull, 0.9, 0.85, margin)
    actual_seen = backend.tensor(seen)
    actual = ops.occupancy_update(actual_seen, backend.tensor(hull), 0.9, 0.85, margin)
    assert torch.equal(actual.cpu(), expected)
    assert torch.equal(actual_seen.cpu(), expected_seen)


def test_update_forgets_grows_and_stays_in_the_hull(backend):
    seen, hull = torch.zeros(8, 8, 8), torch.ones(8, 8, 8, dtype=torch.bool)
    seen[4, 0, 7], seen[1, 3, 3] = 1.0, 0.3  # an edge of the grid, and one that falls below the threshold
    hull[5] = False
    seen = backend.tensor(seen)
    bits = ops.occupancy_update(seen, backend.tensor(hull), 0.5, 0.2, 1)
    wanted = torch.zeros(8, 8, 8, dtype=torch.bool)
    wanted[3:5, 0:2, 6:8] = True
    assert torch.equal(cells(bits, 8), wanted)
    assert float(seen[4, 0, 7]) == 0.5 and float(seen[1, 3, 3]) == pytest.approx(0.15)


def test_results_do_not_depend_on_threads(backend):
    seen, hull = torch.rand(64, 64, 64), torch.rand(64, 64, 64) > 0.3
    x, weights = torch.randn(1000, 3), torch.rand(1000)
    results = []
    for threads in (1, 3):
        ops.set_threads(threads)
        mine = backend.tensor(seen)
        ops.occupancy_record(*(backend.tensor(v) for v in (x, weights, AABB)), mine)
        results.append((ops.occupancy_update(mine, backend.tensor(hull), 0.9, 0.97, 1), mine))
    ops.set_threads(None)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_strided_inputs(backend):
    seen, hull = backend.tensor(torch.rand(8, 8, 8)), backend.tensor(torch.rand(8, 8, 8) > 0.3)
    strided = hull.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(ops.occupancy_update(seen, strided, 1.0, 0.5), ops.occupancy_update(seen, hull, 1.0, 0.5))


def test_wrong_arguments_are_named():
    fine = dict(x=torch.rand(3, 3), weights=torch.rand(3), aabb=AABB, seen=torch.zeros(4, 4, 4))
    ops.occupancy_record(**fine)
    wrong = dict(x=torch.rand(3, 2), weights=torch.rand(2), aabb=AABB[:5], seen=torch.zeros(4, 4, 5))
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.occupancy_record(**{**fine, name: value})
    fine = dict(seen=torch.zeros(4, 4, 4), hull=torch.ones(4, 4, 4, dtype=torch.bool), decay=0.9, threshold=0.1, margin=1)
    ops.occupancy_update(**fine)
    wrong = dict(seen=torch.zeros(4, 4, 4).permute(2, 1, 0)[:, :2], hull=torch.ones(4, 4, 4), decay=1.5, margin=-1)
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}:"):
            ops.occupancy_update(**{**fine, name: value})
    with pytest.raises(ValueError, match="^seen:"):
        ops.occupancy_update(**{**fine, "seen": torch.zeros(8, 4, 4)[::2]})
