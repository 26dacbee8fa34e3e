"""The head field on tiny-cuda-nn, where it is installed: grids and networks of the same avatar, in its own layout.

tiny-cuda-nn (https://github.com/NVlabs/tiny-cuda-nn) reads a level of base resolution B at positions
x * (B - 1) + 0.5, in tables of B vertices an axis; ours reads x * R, R cells an axis. So each level becomes a grid
encoding of its own with B = R + 1, read at x - 0.5 / R, and all of them one composite encoding; rows, primes of the
hash and order of levels are then the same (its include/tiny-cuda-nn/encodings/grid.h and composite.h). Its networks
take row-major weights whose inputs and outputs are padded to multiples of 16 (its DOCUMENTATION.md and
networks/fully_fused_mlp.h); padded inputs are ones, which meet weights of zero here.

Differences are those of 16-bit floats. Used for inference and as a check from outside; `ops.render_rays` is faster.
"""
from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops
from .head import DENSITY_SCALE, HeadField
from .layers import MLP, TruncatedExp

PADDING = 16
FUSED_WIDTHS = (16, 32, 64, 128)


def available() -> bool:
    """Whether tiny-cuda-nn is installed and PyTorch sees a GPU for it."""
    return torch.cuda.is_available() and find_spec("tinycudann") is not None


def grid_encoding(spec: ops.GridSpec) -> dict[str, Any]:
    """tiny-cuda-nn's configuration of a grid, for positions as `grid_positions` gives them.

    Raises:
        ValueError: the grid tiles, in a way that tiny-cuda-nn does not.
    """
    if not spec.hashed and not all(spec.dense(level) for level in range(spec.levels)):
        raise ValueError("spec: a tiled grid has no counterpart in tiny-cuda-nn; a hashed one does")
    levels = [
        {
            "otype": "Grid", "type": "Hash", "n_dims_to_encode": spec.dims, "n_levels": 1,
            "n_features_per_level": spec.features, "log2_hashmap_size": spec.log2_table_size,
            "base_resolution": resolution + 1, "per_level_scale": 1.0, "interpolation": "Linear",
        }
        for resolution in spec.resolutions
    ]
    return {"otype": "Composite", "nested": levels}


def grid_positions(x: Tensor, spec: ops.GridSpec) -> Tensor:
    """Positions [N,D] in the unit cube, clamped, as the levels read them, one after another: [N,L*D]."""
    shift = torch.tensor([0.5 / resolution for resolution in spec.resolutions], device=x.device)
    return (x.clamp(0, 1)[:, None] - shift[:, None]).flatten(1)


def network(widths: Sequence[int]) -> dict[str, Any]:
    """tiny-cuda-nn's configuration of a network of input, hidden and output widths (hidden ones all the same)."""
    return {
        "otype": "FullyFusedMLP" if widths[1] in FUSED_WIDTHS else "CutlassMLP", "activation": "ReLU",
        "output_activation": "None", "n_neurons": widths[1], "n_hidden_layers": len(widths) - 2,
    }


def network_parameters(weights: Sequence[Tensor]) -> Tensor:
    """Weights [O,K] of all layers as tiny-cuda-nn keeps them: padded, row by row, one vector."""
    return torch.cat([
        F.pad(weight.detach().float(), (0, -weight.shape[1] % PADDING, 0, -len(weight) % PADDING)).flatten()
        for weight in weights
    ])


class TinyCudaHead(nn.Module):
    """A head field whose grids and networks tiny-cuda-nn computes; called as `HeadField` is.

    Args:
        head: the field; copied, on the GPU.

    Raises:
        ImportError: tiny-cuda-nn is not installed.
        ValueError: the field has no counterpart in tiny-cuda-nn.
    """

    def __init__(self, head: HeadField) -> None:
        super().__init__()
        import tinycudann

        self._library = tinycudann
        self.spec, self.encoder = head.spec, head.encoder
        self.position_spec, self.motion_spec = head.position_spec, head.motion_spec
        self.register_buffer("aabb", head.aabb)
        self.position_grid = self._grid(head.position_spec, head.position_table)
        self.motion_grid = self._grid(head.motion_spec, head.motion_table)
        self.motion_net, self.density_net, self.colour_net = (
            self._network(net) for net in (head.motion_net, head.density_net, head.colour_net)
        )

    def _grid(self, spec: ops.GridSpec, table: Tensor) -> nn.Module:
        grid = self._library.Encoding(spec.levels * spec.dims, grid_encoding(spec))
        return _filled(grid, table.detach().float().flatten(), table.device)

    def _network(self, net: MLP) -> nn.Module:
        """What a frame adds to the first layer are inputs like others here."""
        first, *others = net.weights
        if net.frame_layer is not None:
            first = torch.cat([first, net.frame_layer.weight], dim=1)
        widths = [first.shape[1], *(len(weight) for weight in (first, *others))]
        made = self._library.Network(widths[0], widths[-1], network(widths))
        return _filled(made, network_parameters([first, *others]), first.device)

    @torch.no_grad()
    def forward(
        self, x: Tensor, directions: Tensor, ray: Tensor, condition: Tensor,
        slot: Tensor | None = None, bf16: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `HeadField.forward`. Networks are in float16 whatever `bf16` says. Not differentiable."""
        low, high = self.aabb[:3], self.aabb[3:]
        frame = torch.zeros_like(ray) if slot is None else slot[ray]
        driving = condition[frame]
        place = self._encode(self.motion_grid, self.motion_spec, (x - low) / (high - low))
        motion = torch.tanh(self.motion_net(torch.cat([place, driving], dim=1)).float())
        at_rest = (x + self.spec.reach * motion[:, :3] - low) / (high - low)
        position = self._encode(self.position_grid, self.position_spec, at_rest)
        out = self.density_net(torch.cat([position, motion[:, 3:] * driving], dim=1)).float()
        sigma = DENSITY_SCALE * TruncatedExp.apply(out[:, 0])
        colour = self.colour_net(torch.cat([out[:, 1:], directions[ray]], dim=1))
        return sigma, torch.sigmoid(colour.float()), motion

    @staticmethod
    def _encode(grid: nn.Module, spec: ops.GridSpec, x: Tensor) -> Tensor:
        return grid(grid_positions(x, spec)).float()


def _filled(module: nn.Module, values: Tensor, device: torch.device) -> nn.Module:
    """The module with these parameters. Raises ValueError where it keeps another number of them."""
    if module.params.numel() != len(values):
        raise ValueError(
            f"head: has {len(values)} numbers where this tiny-cuda-nn keeps {module.params.numel()}; its layout has "
            "changed"
        )
    with torch.no_grad():
        module.params.copy_(values)
    return module.requires_grad_(False).to(device)
