"""Small networks of the fields: layers without bias, and inputs that are constant over a frame."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


# Matrix products in bfloat16 are compiled and kept for every number of rows they meet, 10 MB a frame where
# sample counts never repeat. Rounded up to these rows, few sizes are met.
ROWS = 4096


class MLP(nn.Module):
    """Fully connected, ReLU between layers, no biases (as in instant-NGP and RAD-NeRF).

    Args:
        widths: sizes of input, hidden layers and output.
        per_frame: size of a further input that is one vector per frame. Its product with the first
            layer is computed once a frame, not once a sample.
    """

    def __init__(self, widths: Sequence[int], per_frame: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(widths, widths[1:]))
        self.frame_layer = nn.Linear(per_frame, widths[1], bias=False) if per_frame else None
        for layer in self.layers:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        if self.frame_layer is not None:
            nn.init.kaiming_uniform_(self.frame_layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor, per_frame: Tensor | None = None, slots: Tensor | None = None) -> Tensor:
        """Outputs [M, widths[-1]].

        Args:
            x: [M, widths[0]] inputs of each sample.
            per_frame: [F, per_frame] inputs of each frame.
            slots: [M,F] one-hot frame of each sample; may be None if F = 1.
        """
        rows = len(x)
        if rows > ROWS:
            x = F.pad(x, (0, 0, 0, -rows % ROWS))
            slots = slots if slots is None else F.pad(slots, (0, 0, 0, -rows % ROWS))
        first = self.layers[0].weight
        if self.frame_layer is None:
            x = F.linear(x, first)
        else:
            offsets = self.frame_layer(per_frame)  # [F,H]
            if len(offsets) == 1:
                x = F.linear(x, first, offsets[0])
            else:
                # One product for both: a gather would cost a slow scatter in the backward pass.
                x = F.linear(torch.cat([x, slots], dim=1), torch.cat([first, offsets.T.to(first.dtype)], dim=1))
        for layer in self.layers[1:]:
            x = F.linear(F.relu(x), layer.weight)
        return x[:rows]


class TruncatedExp(torch.autograd.Function):
    """exp(x) whose gradient is exp(min(x, limit)), after RAD-NeRF: large densities cannot blow up."""

    LIMIT = 10.0

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.exp(x.clamp(max=TruncatedExp.LIMIT))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.exp(x.clamp(-TruncatedExp.LIMIT, TruncatedExp.LIMIT))


def one_hot(index: Tensor, count: int) -> Tensor:
    """[M,count] float rows with a one at `index` [M]."""
    return torch.zeros(len(index), count, device=index.device).scatter_(1, index[:, None], 1.0)


def frequency_encode(x: Tensor, bands: int) -> Tensor:
    """[N,D*(1+2*bands)]: x and the sines and cosines of 2^k pi x, k < bands (Mildenhall et al. 2020)."""
    angles = x[..., None] * (torch.pi * 2.0 ** torch.arange(bands, device=x.device, dtype=x.dtype))
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return torch.cat([x, waves], dim=1)
