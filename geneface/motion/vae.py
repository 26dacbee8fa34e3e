"""Speech to facial motion: a conditional variational auto-encoder with a normalising-flow prior.

After GeneFace's "flow VAE" (Ye et al. 2023, arXiv:2301.13430), rebuilt on Whisper features and ARKit expression
weights:

* `condition` turns content features, F0, energy and voicing (50 Hz) into a sequence at 25 Hz;
* `encode` compresses real motion, given the condition, into 16 latent channels at 6.25 Hz (training only);
* `prior` is a volume-preserving flow from those latents to a standard normal, given the condition;
* `decode` turns latents and condition into expression weights.

With zero noise the prior's mode is decoded: the deterministic prediction.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from ..types import EXPRESSIONS
from .layers import FlowPrior, GatedStack
from .modelfile import load_module, save_module

SCHEMA_VERSION = 1
FPS = 25.0  # of the motion
STRIDE = 4  # motion frames per latent frame


@dataclass(frozen=True)
class GeneratorSpec:
    """Constructor arguments of `MotionGenerator`.

    Attributes:
        driven: names of the ARKit weights that speech drives, in ARKit order; the others stay zero.
        content: channels of the content features.
        melody: channels of `speech.melody.melody`.
        hidden: channels of condition encoder and decoder.
        latent: latent channels.
        dropout: in the condition encoder, while training.
        causal: for `motion.stream`: the four frames of a latent depend on no speech after them. Trained on features of
            `speech.stream`.
    """

    driven: tuple[str, ...]
    content: int = 512
    melody: int = 3
    hidden: int = 128
    latent: int = 16
    dropout: float = 0.25
    causal: bool = False


class MotionGenerator(nn.Module):
    """See the module's docstring. All sequences are [B, channels, T]; T (25 fps) is a multiple of 4."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__()
        self.spec = spec
        hidden, driven, causal = spec.hidden, len(spec.driven), spec.causal
        self.content_in = nn.Conv1d(spec.content, hidden, 1)
        self.melody_in = nn.Conv1d(spec.melody, hidden, 5, padding=4 if causal else 2)
        self.halve = nn.Conv1d(hidden, hidden, 4, stride=2, padding=2 if causal else 1)
        self.condition_stack = GatedStack(hidden, (1, 2, 4, 8, 2, 1), 3, dropout=spec.dropout, causal=causal)
        self.condition_down = nn.Conv1d(hidden, hidden, STRIDE, stride=STRIDE)

        self.motion_in = nn.Conv1d(driven, 64, 1)
        self.encoder_stack = GatedStack(64, (1, 2, 1, 2), 3, condition=hidden)
        self.encoder_out = nn.Conv1d(64, 2 * spec.latent, STRIDE, stride=STRIDE)

        self.prior = FlowPrior(spec.latent, hidden, causal=causal)

        self.latent_up = nn.ConvTranspose1d(spec.latent, hidden, STRIDE, stride=STRIDE)
        self.decoder_stack = GatedStack(hidden, (1, 2, 4, 1), 3, condition=hidden, dropout=spec.dropout, causal=causal)
        self.motion_out = nn.Conv1d(hidden, driven, 1)

        # Statistics of the training corpus.
        self.register_buffer("content_mean", torch.zeros(spec.content))
        self.register_buffer("content_std", torch.ones(spec.content))
        self.register_buffer("weight_mean", torch.zeros(driven))
        self.register_buffer("weight_std", torch.ones(driven))
        self.register_buffer("rest", torch.zeros(EXPRESSIONS))  # the mouth in silence
        self.register_buffer("opening_range", torch.zeros(()))  # of the mouth in speech, 5-95 % [m]

    @property
    def reach(self) -> int:
        """Frames (25 fps) on either side of a frame (if causal, before it) that its prediction can depend on, rounded
        up to whole strides."""
        frames = 3 + self.condition_stack.reach + STRIDE * (self.prior.reach + 1) + self.decoder_stack.reach
        return -(-frames // STRIDE) * STRIDE

    def condition(self, content: torch.Tensor, melody: torch.Tensor) -> torch.Tensor:
        """content [B, 512, 2T] standardised, melody [B, 3, 2T] -> [B, hidden, T]."""
        x = self.content_in(content) + self.melody_in(melody)[..., :content.shape[-1]]
        return self.condition_stack(self.halve(torch.nn.functional.silu(x))[..., :content.shape[-1] // 2])

    def encode(self, motion: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised motion [B, driven, T] -> mean and log standard deviation [B, latent, T/4] of q(z | motion,
        speech)."""
        hidden = self.encoder_stack(self.motion_in(motion), condition)
        mean, log_std = self.encoder_out(hidden).chunk(2, dim=1)
        return mean, log_std.clamp(-6, 2)

    def decode(self, latent: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """latent [B, latent, T/4], condition [B, hidden, T] -> standardised motion [B, driven, T]."""
        return self.motion_out(self.decoder_stack(self.latent_up(latent), condition))

    def down(self, condition: torch.Tensor) -> torch.Tensor:
        """Condition at the latents' rate: [B, hidden, T] -> [B, hidden, T/4]."""
        return self.condition_down(condition)

    def generate(self, content: torch.Tensor, melody: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Speech and prior noise [B, latent, T/4] (zeros: the deterministic prediction) -> standardised motion."""
        condition = self.condition(content, melody)
        return self.decode(self.prior.inverse(noise, self.down(condition)), condition)

    def standardise_content(self, content: torch.Tensor) -> torch.Tensor:
        """[..., 512] features -> zero mean, unit variance over the training corpus."""
        return (content - self.content_mean) / self.content_std

    def weights(self, motion: torch.Tensor) -> torch.Tensor:
        """Standardised motion [B, driven, T] -> ARKit weights of the driven channels [B, T, driven], unclamped."""
        return motion.transpose(1, 2) * self.weight_std + self.weight_mean

    def save(self, path: str | Path, info: dict) -> None:
        """Write weights (half precision) and description to one safetensors file, atomically."""
        save_module(path, self, "geneface.MotionGenerator", SCHEMA_VERSION, asdict(self.spec), info)

    @classmethod
    def load(cls, path: str | Path) -> tuple["MotionGenerator", dict]:
        """Model in evaluation mode, and the `info` it was saved with.

        Raises:
            UserError: no such file, not a motion model, another schema, or damaged.
        """
        return load_module(
            path, "geneface.MotionGenerator", SCHEMA_VERSION,
            lambda spec: cls(GeneratorSpec(**(spec | {"driven": tuple(spec["driven"])}))), "motion model",
            "train one with geneface train-motion CORPUS -o X.safetensors")
