"""Gated convolution stacks and a mean-only coupling flow: the parts of the motion generator."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class GatedStack(nn.Module):
    """Gated dilated convolutions with residual and skip paths (WaveNet, van den Oord et al. 2016).

    Zero padded, length kept.

    Args:
        channels: of input, output and every layer.
        dilations: one layer each.
        kernel: taps of every convolution, odd.
        condition: channels of the conditioning sequence, 0 for none.
        dropout: on the gated activations, training only.
        causal: no output depends on later input.
    """

    def __init__(self, channels: int, dilations: Sequence[int], kernel: int = 3, condition: int = 0,
                 dropout: float = 0.0, causal: bool = False) -> None:
        super().__init__()
        self.channels = channels
        context = [d * (kernel - 1) if causal else d * (kernel // 2) for d in dilations]
        self.reach = sum(context)  # frames of context on either side; if causal, before only
        self.gates = nn.ModuleList(nn.Conv1d(channels, 2 * channels, kernel, padding=padding, dilation=d)
                                   for d, padding in zip(dilations, context))
        self.mixes = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 1) for _ in dilations)
        self.conditions = nn.ModuleList(
            nn.Conv1d(condition, 2 * channels, 1) for _ in dilations) if condition else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """x [B, channels, T], condition [B, condition, T] -> [B, channels, T]."""
        skip = torch.zeros_like(x)
        for i, (gate, mix) in enumerate(zip(self.gates, self.mixes)):
            hidden = gate(x)[..., :x.shape[-1]]
            if self.conditions is not None:
                hidden = hidden + self.conditions[i](condition)
            signal, opening = hidden.chunk(2, dim=1)
            residual, out = mix(self.dropout(torch.tanh(signal) * torch.sigmoid(opening))).chunk(2, dim=1)
            x = (x + residual) * 0.5**0.5
            skip = skip + out
        return skip * len(self.gates) ** -0.5


class MeanCoupling(nn.Module):
    """Volume-preserving coupling: one half of the channels is shifted by a function of the other half.

    Mean-only residual coupling of Glow-TTS and VITS (Kim et al. 2020, 2021); its log-determinant is zero.
    Starts as the identity.
    """

    def __init__(self, channels: int, hidden: int, layers: int, condition: int, causal: bool = False) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels // 2, hidden, 1)
        self.stack = GatedStack(hidden, [1] * layers, 3, condition, causal=causal)
        self.leave = nn.Conv1d(hidden, channels // 2, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, z: torch.Tensor, condition: torch.Tensor, inverse: bool = False) -> torch.Tensor:
        """z [B, channels, T], condition [B, condition, T] -> [B, channels, T]."""
        kept, moved = z.chunk(2, dim=1)
        shift = self.leave(self.stack(self.enter(kept), condition))
        return torch.cat([kept, moved - shift if inverse else moved + shift], dim=1)


class FlowPrior(nn.Module):
    """p(z | condition) = N(flow(z); 0, 1): couplings with the halves swapped in between."""

    def __init__(self, channels: int, condition: int, hidden: int = 64, layers: int = 2, flows: int = 4,
                 causal: bool = False) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(MeanCoupling(channels, hidden, layers, condition, causal)
                                       for _ in range(flows))
        self.reach = sum(c.stack.reach for c in self.couplings)  # latent frames, as of `GatedStack`

    def forward(self, z: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Latent z -> noise e [B, channels, T], standard normal under the prior."""
        for coupling in self.couplings:
            z = coupling(z, condition).flip(1)
        return z

    def inverse(self, e: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Noise e [B, channels, T] -> latent z; e = 0 gives the prior's mode."""
        for coupling in reversed(self.couplings):
            e = coupling(e.flip(1), condition, inverse=True)
        return e
