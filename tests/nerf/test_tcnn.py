"""tiny-cuda-nn's layout, by a model of it in PyTorch after its sources; and the library itself where it is installed."""
from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from geneface import ops
from geneface.nerf import tcnn
from geneface.nerf.head import HeadField, HeadSpec

PRIMES = (1, 2654435761, 805459861)


class Level:
    """A grid encoding of one level: encodings/grid.h and grid_index of common_device.h."""

    def __init__(self, config: dict) -> None:
        assert config["otype"] == "Grid" and config["type"] == "Hash" and config["n_levels"] == 1
        self.dims, self.features = config["n_dims_to_encode"], config["n_features_per_level"]
        self.scale = config["base_resolution"] - 1.0
        self.vertices = config["base_resolution"]
        dense = -(-self.vertices**self.dims // 8) * 8
        self.rows = min(dense, 1 << config["log2_hashmap_size"])

    def __call__(self, x, params):
        table = params.view(self.rows, self.features)
        position = x.double() * self.scale + 0.5
        cell = position.floor()
        fraction = position - cell
        out = torch.zeros(len(x), self.features)
        for corner in range(1 << self.dims):
            weight, index, hashed, stride = 1.0, 0, 0, 1
            for d in range(self.dims):
                upper = corner >> d & 1
                weight = weight * (fraction[:, d] if upper else 1 - fraction[:, d])
                vertex = (cell[:, d].long() + upper) & 0xFFFFFFFF
                index, hashed = index + vertex * stride, hashed ^ (vertex * PRIMES[d] & 0xFFFFFFFF)
                stride *= self.vertices
            index = hashed if self.rows < stride else index
            out += weight[:, None].float() * table[index % self.rows]
        return out


class Encoding(nn.Module):
    """A composite of levels, which take their dimensions one after another."""

    def __init__(self, n_input_dims: int, config: dict) -> None:
        super().__init__()
        assert config["otype"] == "Composite"
        self.levels = [Level(nested) for nested in config["nested"]]
        assert sum(level.dims for level in self.levels) == n_input_dims
        self.params = nn.Parameter(torch.zeros(sum(level.rows * level.features for level in self.levels)))

    def forward(self, x):
        params = self.params.split([level.rows * level.features for level in self.levels])
        parts = x.split([level.dims for level in self.levels], dim=1)
        return torch.cat([level(part, own) for level, part, own in zip(self.levels, parts, params)], dim=1)


class Network(nn.Module):
    """Row-major weights padded to 16; padded inputs are ones, as its identity encoding makes them."""

    def __init__(self, n_input_dims: int, n_output_dims: int, config: dict) -> None:
        super().__init__()
        assert config["activation"] == "ReLU" and config["output_activation"] == "None"
        padded = [-(-width // 16) * 16 for width in (n_input_dims, n_output_dims)]
        widths = [padded[0], *[config["n_neurons"]] * config["n_hidden_layers"], padded[1]]
        self.shapes = list(zip(widths[1:], widths))
        self.outputs = n_output_dims
        self.params = nn.Parameter(torch.zeros(sum(a * b for a, b in self.shapes)))

    def forward(self, x):
        x = nn.functional.pad(x, (0, -x.shape[1] % 16), value=1.0)
        for i, (shape, weight) in enumerate(zip(self.shapes, self.params.split([a * b for a, b in self.shapes]))):
            x = (x.relu() if i else x) @ weight.view(shape).T
        return x[:, : self.outputs]


@pytest.fixture
def model(monkeypatch):
    module = ModuleType("tinycudann")
    module.Encoding, module.Network = Encoding, Network
    monkeypatch.setitem(sys.modules, "tinycudann", module)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("features", [1, 2, 4])
def test_grids_agree(dims, features):
    spec = ops.GridSpec(dims, 6, features, 5, 77, 9)
    assert not spec.dense(5) and spec.dense(0)
    x, table = torch.rand(500, dims), torch.randn(spec.rows, features)
    x[:3] = torch.tensor([0.0, 1.0, 0.5])[:, None]
    encoding = Encoding(spec.levels * dims, tcnn.grid_encoding(spec))
    encoding.params.data.copy_(table.flatten())
    actual = encoding(tcnn.grid_positions(x, spec))
    torch.testing.assert_close(actual, ops.reference.grid_encode(x, table, spec), rtol=0, atol=2e-4)


def test_tiled_grids_have_no_counterpart():
    with pytest.raises(ValueError, match="^spec: a tiled grid"):
        tcnn.grid_encoding(ops.GridSpec(2, 6, 2, 5, 77, 9, hashed=False))
    dense = ops.GridSpec(2, 2, 2, 4, 8, 9, hashed=False)
    assert len(tcnn.grid_encoding(dense)["nested"]) == 2


def random_head(layers: int = 1) -> HeadField:
    torch.manual_seed(0)
    spec = HeadSpec(levels=5, max_resolution=64, log2_table_size=10, motion_levels=3, reach=0.2, layers=layers)
    head = HeadField(spec)
    for table in (head.position_table, head.motion_table):
        nn.init.uniform_(table, -0.5, 0.5)
    return head.requires_grad_(False)


def arguments(head: HeadField, frames: int) -> dict:
    slot = None if frames == 1 else torch.randint(0, frames, (40,))
    return dict(
        x=torch.rand(300, 3) * 2 - 1, directions=ops.spherical_harmonics(nn.functional.normalize(torch.randn(40, 3))),
        ray=torch.randint(0, 40, (300,)).sort()[0], condition=torch.randn(frames, head.spec.condition),
        slot=slot,
    )


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
def test_head_agrees(model, frames, layers):
    head = random_head(layers)
    values = arguments(head, frames)
    for actual, expected in zip(tcnn.TinyCudaHead(head)(**values), head(**values)):
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)


def test_another_layout_is_said(model, monkeypatch):
    monkeypatch.setattr(tcnn, "PADDING", 8)
    with pytest.raises(ValueError, match="layout has changed"):
        tcnn.TinyCudaHead(random_head())


@pytest.mark.skipif(not tcnn.available(), reason="needs a GPU and tiny-cuda-nn")
def test_the_library_itself():
    head = random_head()
    values = {name: value if value is None else value.cuda() for name, value in arguments(head, 3).items()}
    head = head.cuda()
    for actual, expected in zip(tcnn.TinyCudaHead(head)(**values), head(**values)):
        scale = float(expected.abs().max())
        torch.testing.assert_close(actual, expected, rtol=2e-2, atol=2e-2 * scale)
