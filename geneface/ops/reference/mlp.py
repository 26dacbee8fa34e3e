"""Definition of small fully connected networks."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def mlp(
    inputs: Sequence[Tensor], weights: Sequence[Tensor], offsets: Tensor | None = None, index: Tensor | None = None,
    bf16: bool = False,
) -> Tensor:
    """Fully connected network without biases, ReLU between layers (as in instant-NGP and RAD-NeRF).

    Inputs that many samples share (of a frame, of a ray) come multiplied with their part of the first layer:
    as `offsets`, rows added to what the first layer gives. Their gradient is summed over the samples.

    Args:
        inputs: [M,K_i] each, columns of the input side by side.
        weights: [O_l,K_l] of each layer; K_0 is the sum of K_i, every other K_l the O before it.
        offsets: [F,O_0] or None for none.
        index: [M] int64 row of `offsets` that each sample takes; None only where F = 1.
        bf16: inputs, weights and what lies between layers are rounded to bfloat16. Sums stay in the inputs'
            type, and so does the output.

    Returns:
        [M,O] of the last layer. Differentiable in inputs, weights and offsets.
    """
    def rounded(value: Tensor) -> Tensor:
        return value.to(torch.bfloat16).to(value.dtype) if bf16 else value

    x = F.linear(rounded(torch.cat(list(inputs), dim=1)), rounded(weights[0]))
    if offsets is not None:
        x = x + (offsets if index is None else offsets[index])
    for weight in weights[1:]:
        x = F.linear(rounded(F.relu(x)), rounded(weight))
    return x
