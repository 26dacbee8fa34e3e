import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import SIZES

LIMIT = {2: 2**31, 3: 2**21}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dims", [2, 3])
def test_codes_agree_with_reference_and_turn_back(backend, size, dims):
    coordinates = torch.randint(0, LIMIT[dims], (size, dims)).int()
    coordinates[:1] = LIMIT[dims] - 1
    codes = ops.morton_encode(backend.tensor(coordinates))
    assert torch.equal(codes.cpu(), reference.morton_encode(coordinates))
    assert torch.equal(ops.morton_decode(codes, dims).cpu(), coordinates)
    assert len(codes.unique()) == len(coordinates.unique(dim=0))


def test_known_codes(backend):
    """x is the lowest bit of each pair or triple."""
    flat = backend.tensor(torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1], [2, 0], [3, 5]], dtype=torch.int32))
    assert ops.morton_encode(flat).tolist() == [0, 1, 2, 3, 4, 0b100111]
    solid = backend.tensor(torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 3, 1]], dtype=torch.int32))
    assert ops.morton_encode(solid).tolist() == [1, 2, 4, 0b011110]


def test_order_visits_squares_one_after_another(backend):
    """Any 4x4 pixels of a 16x16 picture that lie on its raster are a run of the order."""
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    pixels = torch.stack([x, y], -1).view(-1, 2).int()[torch.randperm(256)]
    order = ops.morton_order(backend.tensor(pixels)).cpu()
    assert order.sort().values.tolist() == list(range(256))
    for run in (pixels[order] // 4).view(16, 16, 2):
        assert (run == run[0]).all()


def test_strided_input(backend):
    coordinates = backend.tensor(torch.randint(0, 99, (2, 40)).int()).t()
    assert torch.equal(ops.morton_encode(coordinates), ops.morton_encode(coordinates.contiguous()))


def test_wrong_arguments_are_named():
    for wrong in (torch.rand(3, 2), torch.zeros(3, 4).int(), torch.tensor([[-1, 0]]).int(),
                  torch.tensor([[0, 0, 2**21]]).int()):
        with pytest.raises(ValueError, match="^coordinates:"):
            ops.morton_encode(wrong)
    with pytest.raises(ValueError, match="^codes:"):
        ops.morton_decode(torch.zeros(3).int(), 2)
    with pytest.raises(ValueError, match="^dims:"):
        ops.morton_decode(torch.zeros(3).long(), 4)
