"""The driving signal as the fields see it: landmarks, standardised and encoded."""
from __future__ import annotations

import torch
from torch import Tensor, nn

# A landmark that hardly moves in training must not turn tracking noise into signal.
LEAST_DEVIATION_M = 4e-4
LEAST_DEVIATION_IMAGE = 2e-3
CLAMP = 4.0  # deviations; driving motion beyond what training showed is held there


class Standardiser(nn.Module):
    """Subtracts the mean and divides by the deviation, both from the training frames.

    Buffers: mean [D], deviation [D].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def set(self, values: Tensor, least: float) -> None:
        """Take the statistics of `values` [T,D]; no deviation is smaller than `least`."""
        self.mean.copy_(values.mean(0))
        self.deviation.copy_(values.std(0, correction=0).clamp(min=least))

    def forward(self, values: Tensor) -> Tensor:
        return ((values - self.mean) / self.deviation).clamp(-CLAMP, CLAMP)


class ConditionEncoder(nn.Module):
    """Standardised driving values [F,D] to an encoding [F,width]."""

    def __init__(self, inputs: int, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.standardise = Standardiser(inputs)
        self.net = nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.02), nn.Linear(hidden, width))

    def forward(self, values: Tensor, noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Encode.

        Args:
            values: [F,D] driving values, as recorded.
            noise: standard deviation of noise added to the standardised values: in training it keeps
                the field smooth between the motions that it has seen.
        """
        values = self.standardise(values)
        if noise:
            # Drawn on the CPU: a seed gives the same noise on every device.
            values = values + noise * torch.randn(values.shape, generator=generator).to(values.device)
        return self.net(values)
