"""Lip landmarks as the sync expert and the lip readers see them."""
from __future__ import annotations

import numpy as np
import torch
from torch import nn

POINTS = 20  # lip landmarks (68-point numbers 48 to 67)
_NOISE_SHARE = 0.005  # of the largest component's deviation: below it a component is the tracker's noise


class MouthFeatures(nn.Module):
    """Positions about the clip's mean, velocities and accelerations of the lips' principal components, each of unit
    variance over the corpus.

    Args:
        components: principal components kept of the 60 coordinates.
    """

    def __init__(self, components: int = 20) -> None:
        super().__init__()
        self.channels = 3 * components
        self.register_buffer("basis", torch.eye(3 * POINTS, components))
        self.register_buffer("scale", torch.ones(self.channels))

    def fit(self, clips: list[np.ndarray]) -> None:
        """Principal components and scales of clips [T, 20, 3] in metres."""
        centred = np.concatenate([clip.reshape(len(clip), -1) - clip.reshape(len(clip), -1).mean(0) for clip in clips])
        values, vectors = np.linalg.eigh(centred.astype(np.float64).T @ centred / len(centred))
        order = np.argsort(-values)[:self.basis.shape[1]]
        deviation = np.sqrt(values[order].clip(min=0))
        # A floor keeps components that hardly move from being blown up to the size of the others.
        basis = vectors[:, order] / np.hypot(deviation, _NOISE_SHARE * deviation[0])
        self.basis.copy_(torch.from_numpy(basis))
        self.scale.fill_(1)
        ones = [torch.ones(1, len(clip)) for clip in clips]
        raw = torch.cat([self(torch.from_numpy(clip)[None].float(), one)[0] for clip, one in zip(clips, ones)], dim=1)
        self.scale.copy_(raw.std(1).clamp(min=1e-3))

    def forward(self, mouth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """mouth [B, T, 20, 3] in metres, mask [B, T] (1 inside the clip) -> [B, channels, T], zero outside."""
        inside = mask[..., None].to(mouth.dtype)
        flat = mouth.flatten(2).masked_fill(inside == 0, 0)
        position = (flat - flat.sum(1, keepdim=True) / inside.sum(1, keepdim=True).clamp(min=1)) * inside @ self.basis
        both = inside[:, 1:] * inside[:, :-1]
        velocity = nn.functional.pad(position.diff(dim=1) * both, (0, 0, 1, 0))
        bend = position.diff(dim=1).diff(dim=1) * both[:, 1:] * both[:, :-1]
        acceleration = nn.functional.pad(bend, (0, 0, 1, 1))[:, :mouth.shape[1]]
        return (torch.cat([position, velocity, acceleration], dim=2) / self.scale).transpose(1, 2)


class MaskedConv(nn.Module):
    """Convolution, normalisation over channels, SiLU and dropout with a residual path; frames outside the mask stay
    zero, so padding changes nothing inside."""

    def __init__(self, before: int, after: int, kernel: int = 3, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, after, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm = nn.LayerNorm(after)
        self.dropout = nn.Dropout(dropout)
        self.residual = before == after

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x [B, before, T], mask [B, 1, T] -> [B, after, T]."""
        y = self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)
        y = self.dropout(nn.functional.silu(y))
        return (x + y if self.residual else y) * mask
