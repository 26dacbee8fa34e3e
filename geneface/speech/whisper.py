"""The first blocks of Whisper's audio encoder in plain PyTorch (Radford et al. 2022, arXiv:2212.04356).

Only what content features need: two convolutions (the second halves the rate to 50 Hz), sinusoidal positions and
pre-norm transformer blocks. Middle layers carry phones best; see `speech.features`.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import UserError
from .ctranslate2 import read_variables


class _Block(nn.Module):
    """Self-attention and feed-forward, each after a layer norm, each added to the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, kept: slice = slice(None)) -> torch.Tensor:
        """[B, T, width] -> [B, T, width], or only its frames `kept`."""
        batch, _, width = x.shape
        heard = self.attention_norm(x)
        of_query, of_rest = self.query_key_value.weight.split([width, 2 * width])
        query_bias, rest_bias = self.query_key_value.bias.split([width, 2 * width])
        query = F.linear(heard[:, kept], of_query, query_bias).view(batch, -1, self.heads, width // self.heads)
        key_value = F.linear(heard, of_rest, rest_bias).view(batch, -1, 2, self.heads, width // self.heads)
        key, value = key_value.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query.transpose(1, 2), key, value)
        x = x[:, kept] + self.attention_out(attended.transpose(1, 2).reshape(batch, -1, width))
        return x + self.contract(F.gelu(self.expand(self.feed_forward_norm(x))))


class WhisperEncoder(nn.Module):
    """Whisper's encoder up to and including block `layers` (no final layer norm).

    Args:
        layers: number of transformer blocks.
        width: channels of the residual stream.
        heads: attention heads.
        positions: rows of the position table (30 s at 50 Hz).
    """

    def __init__(self, layers: int = 4, width: int = 512, heads: int = 8, positions: int = 1500) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(80, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("positions", torch.zeros(positions, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))

    def forward(self, mel: torch.Tensor, kept: slice = slice(None)) -> torch.Tensor:
        """Normalised log-mel [B, 80, T] at 100 Hz, T even and at most 3000 -> [B, T/2, width] at 50 Hz, or only its
        frames `kept`, which spares most of the last block."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for block in self.blocks[:-1]:
            x = block(x)
        return self.blocks[-1](x, kept)

    @classmethod
    def from_ctranslate2(cls, path: str | Path, layers: int = 4) -> "WhisperEncoder":
        """Load the encoder of a CTranslate2 Whisper model.

        Raises:
            UserError: not such a model.
        """
        variables = read_variables(path, "encoder/")
        try:
            def tensor(name: str) -> torch.Tensor:
                return torch.from_numpy(variables[name].astype(np.float32))

            positions = tensor("position_encodings/encodings")
            with torch.device("meta"):  # no weights drawn only to be replaced
                model = cls(layers, positions.shape[1], int(variables["num_heads"]), positions.shape[0])
            state = {"positions": positions}
            for conv in ("conv1", "conv2"):
                state[f"{conv}.weight"], state[f"{conv}.bias"] = tensor(f"{conv}/weight"), tensor(f"{conv}/bias")
            for i in range(layers):
                for ours, norm in (("attention_norm", "self_attention"), ("feed_forward_norm", "ffn")):
                    state[f"blocks.{i}.{ours}.weight"] = tensor(f"layer_{i}/{norm}/layer_norm/gamma")
                    state[f"blocks.{i}.{ours}.bias"] = tensor(f"layer_{i}/{norm}/layer_norm/beta")
                for ours, linear in (
                    ("query_key_value", "self_attention/linear_0"), ("attention_out", "self_attention/linear_1"),
                    ("expand", "ffn/linear_0"), ("contract", "ffn/linear_1"),
                ):
                    for kind in ("weight", "bias"):
                        state[f"blocks.{i}.{ours}.{kind}"] = tensor(f"layer_{i}/{linear}/{kind}")
            model.load_state_dict(state, assign=True)
        except (KeyError, RuntimeError, IndexError) as error:
            raise UserError(f"{path}: not a Whisper model as expected ({error}); run geneface assets verify") from error
        return model.eval().requires_grad_(False)
