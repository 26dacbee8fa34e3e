"""Small networks of the fields: layers without bias, and inputs that are constant over a frame."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .. import ops


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

    @property
    def weights(self) -> list[Tensor]:
        """[O,K] of each layer."""
        return [layer.weight for layer in self.layers]

    def forward(
        self, inputs: Sequence[Tensor], per_frame: Tensor | None = None, index: Tensor | None = None,
        bf16: bool = False,
    ) -> Tensor:
        """Outputs [M, widths[-1]].

        Args:
            inputs: [M,*] columns of each sample's inputs, side by side widths[0] wide.
            per_frame: [F, per_frame] inputs of each frame.
            index: [M] frame of each sample; may be None if F = 1.
            bf16: compute in bfloat16, sums in float.
        """
        offsets = None if self.frame_layer is None else self.frame_layer(per_frame)
        return ops.mlp(inputs, self.weights, offsets, index, bf16)


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
