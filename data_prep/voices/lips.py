"""Phones to lips: what a talker's mouth does for phones in their context, learned from aligned recordings.

The phones come as what the mouth does for them (`phones.features`), not by their names, so that the model can be given
phones that it was not trained on; with them come how long each lasts and how far it has got, and from the sound how
loud and how high it is. Convolutions see 0.4 s to either side: lips round for a vowel before the consonants that
precede it.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.motion.evaluate import MouthMeasures
from geneface.speech.framing import runs
from geneface.types import EXPRESSIONS, write_atomically

from .phones import FEATURES, Phone, features

_RATE = 50  # of the input [Hz]; lips have half of it
_INPUTS = len(FEATURES) + 2 + 3
_SHUT = 0.8  # share of the shut mouth in the middle of p, b and m
_FADE = 2.0  # frames of 20 ms before and after
_LONG = 0.3  # a phone so long counts as long [s]
# Speech does not drive these.
DRIVEN = tuple(i for i, name in enumerate(ARKIT_NAMES) if not name.startswith(("eye", "tongueOut")))


def describe(phones: Sequence[Phone], melody: np.ndarray) -> np.ndarray:
    """What the model is given.

    Args:
        phones: without gaps from 0 on.
        melody: [2T,3] F0, energy, voicing (`speech.melody`).

    Returns:
        [2T, inputs] float32 at 50 Hz.
    """
    middle = (np.arange(len(melody)) + 0.5) / _RATE
    ends = np.array([phone.end for phone in phones])
    which = np.minimum(np.searchsorted(ends, middle, "right"), len(phones) - 1)
    table = np.stack([features(phone) for phone in phones])
    start = np.array([phone.start for phone in phones])
    length = np.maximum(ends - start, 1e-3)
    place = np.clip((middle - start[which]) / length[which], 0, 1)
    return np.concatenate([table[which], place[:, None], np.minimum(length[which], _LONG)[:, None] / _LONG, melody],
                          axis=1).astype(np.float32)


def bilabial(described: np.ndarray) -> np.ndarray:
    """[T] at 25 fps: 1 in the middle of p, b and m, falling to 0 a little before and after."""
    closed = described[:, FEATURES.index("bilabial")] > 0.9
    out = np.zeros(len(described))
    for begin, end in runs(closed):
        middle, half = (begin + end - 1) / 2, (end - begin) / 2 + _FADE
        out = np.maximum(out, np.cos(np.pi / 2 * np.clip((np.arange(len(out)) - middle) / half, -1, 1)) ** 2)
    return out.reshape(-1, 2).max(1).astype(np.float32)


class LipModel(nn.Module):
    """[B, inputs, 2T] -> standardised weights [B, driven, T]."""

    def __init__(self, hidden: int = 96, dropout: float = 0.2) -> None:
        super().__init__()
        self.first = nn.Conv1d(_INPUTS, hidden, 5, padding=2)
        self.layers = nn.ModuleList(nn.Conv1d(hidden, hidden, 5, padding=2 * d, dilation=d) for d in (1, 2, 4))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv1d(hidden, len(DRIVEN), 4, stride=2, padding=1)
        for name, value in (("mean", 0.0), ("std", 1.0)):
            self.register_buffer(name, torch.full((len(DRIVEN),), value))
        self.register_buffer("shut", torch.zeros(EXPRESSIONS))  # the mouth in p, b and m
        self.register_buffer("gain", torch.ones(()))  # the mean of likely motions moves less than each of them

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.silu(self.first(x))
        for layer in self.layers:
            x = x + self.dropout(torch.nn.functional.silu(layer(x)))
        return self.last(x)

    @torch.no_grad()
    def weights(self, described: np.ndarray) -> np.ndarray:
        """[2T, inputs] -> [T, 52] ARKit weights, 0 where speech does not drive them."""
        out = np.zeros((len(described) // 2, EXPRESSIONS), np.float32)
        motion = self.eval()(torch.from_numpy(described).T[None])[0].T * self.gain
        out[:, list(DRIVEN)] = (motion * self.std + self.mean).clamp(0, 1).numpy()
        # Means of motions that close a little earlier and later stay open.
        share = _SHUT * bilabial(described)[:, None]
        return (1 - share) * out + share * self.shut.numpy()

    def save(self, path: Path, info: dict) -> None:
        """To one safetensors file, atomically."""
        from safetensors.torch import save_file

        header = {"type": "geneface.LipModel", "info": info}
        write_atomically(path, lambda part: save_file(self.state_dict(), part, {"geneface": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "LipModel":
        """Raises UserError: missing, damaged or something else."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        model = cls()
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise UserError(f"{path}: not a lip model ({error}); train it again") from error
        return model.eval()


def train_lips(inputs: Sequence[np.ndarray], motions: Sequence[np.ndarray], steps: int = 600, seed: int = 0,
               batch: int = 32) -> LipModel:
    """Fit a model.

    Args:
        inputs: of each recording, what `describe` gives, [2T, inputs].
        motions: its ARKit weights [T, 52].
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = LipModel()
    everything = torch.from_numpy(np.concatenate(motions)[:, list(DRIVEN)])
    model.mean.copy_(everything.mean(0))
    model.std.copy_(everything.std(0).clamp(min=1e-3))
    lips = MouthMeasures.of_basis().features[list(DRIVEN)] * model.std[:, None]
    lips = lips / lips.square().sum(0).mean().sqrt()
    importance = (model.std / model.std.square().mean().sqrt() * 0.5)[None, :, None]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    model.train()
    for _ in range(steps):
        heard, target, mask = _batch(random.choice(len(inputs), batch), inputs, motions, model, random)
        error = (model(heard) - target) * mask
        moved = torch.einsum("bdt,dq->bqt", error, lips), error * importance
        loss = sum(part.square().mean() + 3 * part.diff(dim=-1).square().mean() for part in moved)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return _scaled(model, inputs, motions)


def _batch(chosen: np.ndarray, inputs: Sequence[np.ndarray], motions: Sequence[np.ndarray], model: LipModel,
           random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    longest = max(len(motions[i]) for i in chosen)
    heard = np.zeros((len(chosen), 2 * longest, _INPUTS), np.float32)
    target = np.zeros((len(chosen), longest, len(DRIVEN)), np.float32)
    mask = np.zeros((len(chosen), 1, longest), np.float32)
    for row, i in enumerate(chosen):
        length = len(motions[i])
        heard[row, :2 * length] = inputs[i]
        # Other voices are louder and higher at other places: what they say must do.
        heard[row, :, -3:] *= random.uniform(0.5, 1.2, 3) * (random.uniform(size=3) > 0.15)
        target[row, :length] = motions[i][:, list(DRIVEN)]
        mask[row, 0, :length] = 1
    heard_, target_ = (torch.from_numpy(x).transpose(1, 2) for x in (heard, target))
    return heard_, (target_ - model.mean[:, None]) / model.std[:, None], torch.from_numpy(mask)


@torch.no_grad()
def _scaled(model: LipModel, inputs: Sequence[np.ndarray], motions: Sequence[np.ndarray]) -> LipModel:
    """With the gain at which lips move as widely as recorded ones, and the shut mouth."""
    model.eval()
    made = torch.cat([model(torch.from_numpy(x).T[None])[0].T for x in inputs[::4]])
    real = (torch.from_numpy(np.concatenate(motions[::4])[:, list(DRIVEN)]) - model.mean) / model.std
    jaw = DRIVEN.index(ARKIT_NAMES.index("jawOpen"))
    shut = np.concatenate([y[bilabial(x) > 0.9] for x, y in zip(inputs, motions)])
    if len(shut):
        opening = shut[:, ARKIT_NAMES.index("jawOpen")]
        closed = shut[opening <= np.quantile(opening, 0.5)].mean(0)
        model.shut[list(DRIVEN)] = torch.from_numpy(closed[list(DRIVEN)])
    model.gain.copy_((real[:, jaw].std() / made[:, jaw].std().clamp(min=1e-6)).clamp(1, 1.5))
    return model
