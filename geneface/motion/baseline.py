"""The reference that the generator is measured against: a regression from log-mel to motion.

It has the generator's condition stack and hears nothing but the spectrogram. `train-motion` trains it on the same
batches and writes it beside the generator; nothing else uses it.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..face.arkit import ARKIT_NAMES
from ..speech.mel import MELS
from ..types import EXPRESSIONS
from .layers import GatedStack
from .modelfile import load_module, save_module

TYPE = "geneface.MelRegression"
SCHEMA_VERSION = 1


def baseline_path(model: str | Path) -> Path:
    """Where the baseline of the generator in `model` lies."""
    model = Path(model)
    return model.with_name(f"{model.stem}_baseline.safetensors")


class MelRegression(nn.Module):
    """Log-mel to standardised motion, both [B, channels, T].

    Args:
        driven: names of the ARKit weights that it gives.
        hidden: channels of its stack: fewer than the generator has, so that it costs a fifth of the training at most.
        dropout: in the stack, while training.
    """

    def __init__(self, driven: tuple[str, ...], hidden: int = 96, dropout: float = 0.25) -> None:
        super().__init__()
        self.driven, self.hidden = driven, hidden
        self.enter = nn.Conv1d(MELS, hidden, 5, padding=2)
        self.halve = nn.Conv1d(hidden, hidden, 4, stride=2, padding=1)
        self.stack = GatedStack(hidden, (1, 2, 4, 8, 2, 1), 3, dropout=dropout)
        self.leave = nn.Conv1d(hidden, len(driven), 1)
        self.register_buffer("mel_mean", torch.zeros(MELS))
        self.register_buffer("mel_std", torch.ones(MELS))
        self.register_buffer("weight_mean", torch.zeros(len(driven)))
        self.register_buffer("weight_std", torch.ones(len(driven)))

    def forward(self, mel: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-mel [B, 80, 2T], mask [B, 1, T] of the frames that are there -> standardised motion [B, driven, T]."""
        heard = (mel - self.mel_mean[:, None]) / self.mel_std[:, None] * mask.repeat_interleave(2, dim=2)
        return self.leave(self.stack(self.halve(nn.functional.silu(self.enter(heard)))))

    @torch.inference_mode()
    def predict(self, mel: np.ndarray) -> np.ndarray:
        """Log-mel [2T, 80] of a clip -> [T, 52] float32 ARKit weights in [0, 1]; those not driven are 0."""
        frames = len(mel) // 2
        heard = torch.from_numpy(np.asarray(mel[:2 * frames], np.float32).T)[None]
        motion = self(heard, torch.ones(1, 1, frames))[0].T * self.weight_std + self.weight_mean
        out = np.zeros((frames, EXPRESSIONS), np.float32)
        out[:, [ARKIT_NAMES.index(name) for name in self.driven]] = motion.clamp(0, 1).numpy()
        return out

    def save(self, path: str | Path) -> None:
        """Write weights (half precision) to one safetensors file, atomically."""
        save_module(path, self, TYPE, SCHEMA_VERSION, {"driven": self.driven, "hidden": self.hidden}, {})

    @classmethod
    def load(cls, path: str | Path) -> "MelRegression":
        """In evaluation mode. Raises UserError where there is no such file, or it cannot be used."""
        return load_module(path, TYPE, SCHEMA_VERSION, lambda spec: cls(tuple(spec["driven"]), spec["hidden"]),
                           "baseline of a motion model", "train the model again with geneface train-motion")[0]
