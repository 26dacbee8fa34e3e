"""Batches of clips from one or several corpora."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ...config import MotionConfig
from ...corpus import MotionCorpus
from ...errors import UserError
from ...face.arkit import ARKIT_NAMES
from ...motion.vae import STRIDE, MotionGenerator
from .processes import Processes

_WINDOW = 8  # shards of a corpus whose clips are mixed; only so many are open at a time
_CONTENT_NOISE = 0.4  # standard deviations of the corpus
_CONTENT_DROPOUT = 0.3  # share of channels, whole clips at a time
_MASKED_SPANS = (2, 4, 16)  # of content a clip: how many, shortest, longest [feature frames, 20 ms]
_MELODY_DROPOUT = 0.2  # share of clips that are heard without F0, energy and voicing


class Batch(NamedTuple):
    """Padded clips.

    Attributes:
        content: [B,512,2T] standardised, with augmentation.
        melody: [B,3,2T] with augmentation.
        plain_content, plain_melody: the same as the corpus gives them.
        mel: [B,80,2T] log-mel as the corpus gives it.
        motion: [B,driven,T] standardised.
        mask: [B,1,T] 1 where a clip has frames.
        weight: [B,1,1] how much each clip's motion counts.
        noise: [B,3,latent,T/4] standard normal, for the posterior and two samples of the prior.
        words: what is said in each clip, empty where it is not known.
    """

    content: torch.Tensor
    melody: torch.Tensor
    plain_content: torch.Tensor
    plain_melody: torch.Tensor
    mel: torch.Tensor
    motion: torch.Tensor
    mask: torch.Tensor
    weight: torch.Tensor
    noise: torch.Tensor
    words: list[list[str]]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(x.to(device, non_blocking=True) if isinstance(x, torch.Tensor) else x for x in self))


class _Epochs:
    """The training clips of a corpus again and again, each time in another order.

    Neighbours lie in few shards: shards are shuffled, and clips within a window of them, so a corpus larger than memory
    is read a window at a time. The order is a function of `seed`.
    """

    def __init__(self, corpus: MotionCorpus, seed: int) -> None:
        self._clips, self._seed, self._epoch = corpus.train, seed, -1
        self._shards = corpus.shard[self._clips]
        self._order = np.zeros(0, np.int64)

    def clip(self, number: int) -> int:
        """Index of the clip that comes after `number` others."""
        epoch, place = divmod(number, len(self._clips))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(np.random.default_rng([self._seed, epoch]))
        return int(self._order[place])

    def _shuffled(self, random: np.random.Generator) -> np.ndarray:
        rank = random.permutation(int(self._shards.max()) + 1)[self._shards]  # of each clip's shard in the new order
        # Places are counted without the shards that hold nothing to train on.
        window = np.unique(rank, return_inverse=True)[1] // _WINDOW
        return self._clips[np.lexsort((random.random(len(self._clips)), window))]


class Sampler:
    """Endless batches: every draw picks clips, a rendering of each one's audio and noise on the features.

    The draws of all processes together are what one process would draw: a step's clips are a function of the seed, the
    step and `drawn`, and every process loads its share of them.

    Args:
        corpora: with one share and one weight each; see `shares`.
        model: holds the corpora's statistics.
        shares: of the clips of a batch that each corpus gives, on average.
        weights: how much the motion of each corpus' clips counts.
        batch: clips per step, over all processes.
        processes: this one's place among those that train together.

    Attributes:
        drawn: clips taken of each corpus so far: all that must be kept to go on.
    """

    def __init__(self, corpora: list[MotionCorpus], model: MotionGenerator, shares: np.ndarray, weights: np.ndarray,
                 config: MotionConfig, processes: Processes) -> None:
        self.corpora, self.shares, self.weights = corpora, shares, weights
        self.batch, self.seed, self.processes = config.batch, config.seed, processes
        self.drawn = [0] * len(corpora)
        self._epochs = [_Epochs(corpus, config.seed + number) for number, corpus in enumerate(corpora)]
        self._model = model

    def draw(self, step: int) -> Batch:
        """This process' part of the batch of `step`; to be called once a step."""
        random = np.random.default_rng([self.seed, step])
        chosen = []
        for number in random.choice(len(self.corpora), self.batch, p=self.shares):
            index = self._epochs[number].clip(self.drawn[number])
            self.drawn[number] += 1
            rendering = int(random.integers(self.corpora[number].renderings))
            chosen.append((int(number), index, rendering, int(random.integers(2**62))))
        own = chosen[self.processes.rank::self.processes.count]
        return collate([self.corpora[number].clip(index, rendering) for number, index, rendering, _ in own],
                       self._model, [torch.Generator().manual_seed(seed) for *_, seed in own],
                       [float(self.weights[number]) for number, *_ in own],
                       [self.corpora[number].about(index).sentence for number, index, *_ in own])


def shares(corpora: list[MotionCorpus], given: str, name: str) -> np.ndarray:
    """[C] from a list like "0.7,0.3", one number a corpus; all of them 1 where none is given.

    Args:
        name: of the option, for the message.

    Raises:
        UserError: not so many numbers, or negative ones.
    """
    if not given:
        return np.ones(len(corpora))
    try:
        values = np.array([float(part) for part in given.split(",")])
    except ValueError as error:
        raise UserError(f"{name}={given}: numbers with commas between, as 0.7,0.3") from error
    if len(values) != len(corpora) or not np.isfinite(values).all() or values.min() < 0 or not values.any():
        raise UserError(f"{name}={given}: give one number from 0 on for each of the {len(corpora)} corpora")
    return values


def collate(clips: list, model: MotionGenerator, noise: list[torch.Generator], weights: list[float],
            words: list[list[str]]) -> Batch:
    """Clips of any length -> one padded batch.

    Args:
        noise: one generator per clip, for augmentation of the features and latent noise.
    """
    driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
    longest = max(len(clip.expression) for clip in clips)
    frames, count = -(-longest // STRIDE) * STRIDE, len(clips)
    content = torch.zeros(2, count, 2 * frames, model.spec.content)
    melody = torch.zeros(2, count, 2 * frames, model.spec.melody)
    mel = torch.zeros(count, 2 * frames, clips[0].mel.shape[1])
    motion = torch.zeros(count, frames, len(driven))
    mask = torch.zeros(count, 1, frames)
    latent = torch.zeros(count, 3, frames // STRIDE, model.spec.latent)
    for i, (clip, generator) in enumerate(zip(clips, noise)):
        length = len(clip.expression)
        both = slice(2 * length)
        content[0, i, both], melody[0, i, both] = clip.content, clip.melody
        content[1, i, both], melody[1, i, both] = _augmented(model.standardise_content(clip.content), clip.melody,
                                                             generator)
        strides = -(-length // STRIDE)
        latent[i, :, :strides] = torch.randn(3, strides, model.spec.latent, generator=generator)
        mel[i, both] = clip.mel
        motion[i, :length] = (clip.expression[:, driven] - model.weight_mean) / model.weight_std
        mask[i, 0, :length] = 1
    plain_content, content = content.transpose(2, 3)
    plain_melody, melody = melody.transpose(2, 3)
    return Batch(content, melody, plain_content, plain_melody, mel.transpose(1, 2), motion.transpose(1, 2), mask,
                 torch.tensor(weights)[:, None, None], latent.transpose(2, 3), words)


def _augmented(content: torch.Tensor, melody: torch.Tensor,
               random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [2T,512] and [2T,3] with noise, missing channels and masked spans; sometimes without the melody."""
    keep = (torch.rand(content.shape[1], generator=random) >= _CONTENT_DROPOUT).float() / (1 - _CONTENT_DROPOUT)
    content = content * keep + _CONTENT_NOISE * torch.randn(content.shape, generator=random)
    count, shortest, longest = _MASKED_SPANS
    for _ in range(count):
        first = int(torch.randint(len(content), (), generator=random))
        content[first:first + int(torch.randint(shortest, longest, (), generator=random))] = 0
    if torch.rand((), generator=random) < _MELODY_DROPOUT:
        melody = torch.zeros_like(melody)
    return content, melody
