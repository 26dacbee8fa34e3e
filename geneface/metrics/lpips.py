"""LPIPS: learned perceptual distance of two pictures, on AlexNet features.

Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual
metric" (CVPR 2018), weights of version 0.1. Features of five layers are scaled to unit length at every
place, their squared differences weighted per channel and averaged over the picture. Written here in
plain torch, because the `lpips` package needs a torchvision that has no build for every torch.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, relu

# The authors' own input scaling: ImageNet's channel means and deviations on pictures in [-1,1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)

# AlexNet's convolutions: (stride, padding, max-pool by 3 with stride 2 before it).
_LAYERS = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))

MIN_SIDE = 32
"""Smaller pictures leave AlexNet's last layers too few places to mean anything [px]."""


class Lpips(nn.Module):
    """LPIPS with AlexNet; differentiable with respect to the pictures, its weights fixed.

    Args:
        weights: safetensors file with `conv{0..4}.weight`, `conv{0..4}.bias` (torch layout
            [out,in,height,width]) and `lin{0..4}.weight` ([channels] or [1,channels,1,1]);
            by default the asset "lpips-alexnet".
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        from safetensors.torch import load_file

        if weights is None:
            from .. import assets

            weights = assets.path("lpips-alexnet")
        tensors = load_file(weights)
        for index in range(len(_LAYERS)):
            self.register_buffer(f"weight{index}", tensors[f"conv{index}.weight"].float())
            self.register_buffer(f"bias{index}", tensors[f"conv{index}.bias"].float())
            self.register_buffer(f"linear{index}", tensors[f"lin{index}.weight"].float().reshape(1, -1, 1, 1))
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))

    def features(self, images: Tensor) -> list[Tensor]:
        """Unit-length features of five layers.

        Args:
            images: [N,3,H,W] RGB in [0,1], sides at least `MIN_SIDE`.

        Returns:
            five tensors [N,C,h,w]; pass two such lists to `between`. A picture that is compared with
            several others goes through the network once.

        Raises:
            ValueError: wrong shape, or a side below `MIN_SIDE`.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIDE:
            raise ValueError(f"images: expected [N,3,H,W] of {MIN_SIDE} px a side or more, got {tuple(images.shape)}")
        x = (images * 2 - 1 - self.shift) / self.scale
        out = []
        for index, (stride, padding, pool) in enumerate(_LAYERS):
            if pool:
                x = max_pool2d(x, kernel_size=3, stride=2)
            weight, bias = getattr(self, f"weight{index}"), getattr(self, f"bias{index}")
            x = relu(conv2d(x, weight, bias, stride=stride, padding=padding))
            # Inside the root, so that its gradient stays finite where every channel is zero.
            length = x.square().sum(dim=1, keepdim=True).add(1e-20).sqrt()
            out.append(x / (length + 1e-10))
        return out

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """[N] distances of two pictures given by their `features`."""
        total = torch.zeros(a[0].shape[0], device=a[0].device)
        for index, (left, right) in enumerate(zip(a, b)):
            weighted = (left - right).square() * getattr(self, f"linear{index}")
            total = total + weighted.sum(dim=1).mean(dim=(1, 2))
        return total

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """[N] distances of `images` from `truth`, both [N,3,H,W] RGB in [0,1]; 0 for equal pictures."""
        return self.between(self.features(images), self.features(truth))


def as_tensor(image: np.ndarray) -> Tensor:
    """[H,W,3] uint8 RGB to [1,3,H,W] float in [0,1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def distances(model: Lpips, truth: np.ndarray, images: list[np.ndarray]) -> list[float]:
    """LPIPS of each of `images` from `truth`, [H,W,3] uint8 RGB of one size."""
    features = model.features(torch.cat([as_tensor(picture) for picture in (truth, *images)]))
    first = [layer[:1] for layer in features]
    return [float(model.between([layer[i + 1 : i + 2] for layer in features], first)) for i in range(len(images))]
