"""Lip reading: words from a sequence of mouth landmarks.

Connectionist temporal classification (CTC, Graves et al. 2006) with whole words as labels: the vocabulary of a command
corpus such as GRID is small, and its letters have no other spelling. Two readers of different architecture and seed
ship with the package: the expert that generated motion may be trained against, and the judge that only measures it.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .modelfile import DATA, load_module, save_module
from .mouth import MaskedConv, MouthFeatures

SCHEMA_VERSION = 1
RELEASE = DATA / "lip_reader.safetensors"
JUDGE = DATA / "lip_judge.safetensors"
_DILATIONS = {"convolution": (1, 2, 4, 8, 1, 2), "recurrent": (1, 2)}  # of the convolutions; the GRU follows them
_IMPOSSIBLE = -1e9  # log-probability


@dataclass(frozen=True)
class ReaderSpec:
    """Constructor arguments of `LipReader`.

    Attributes:
        words: the vocabulary; label 0 is the blank, word i is label i + 1.
        slots: the grammar, where all sentences have as many words: those that each place allows; else empty.
        architecture: "convolution" (dilated convolutions) or "recurrent" (convolutions, then a bidirectional GRU).
        hidden: channels.
        components: principal components of the lips.
        dropout: while training.
    """

    words: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...] = ()
    architecture: str = "convolution"
    hidden: int = 128
    components: int = 20
    dropout: float = 0.3


class LipReader(nn.Module):
    """See the module's docstring. mouth [B, T, 20, 3] in metres at 25 fps, mask [B, T], 1 inside the clip."""

    def __init__(self, spec: ReaderSpec) -> None:
        super().__init__()
        if spec.architecture not in _DILATIONS:
            raise ValueError(f"spec: architecture {spec.architecture!r} is none of {', '.join(_DILATIONS)}")
        self.spec = spec
        self.labels = {word: i + 1 for i, word in enumerate(spec.words)}
        hidden = spec.hidden
        self.features = MouthFeatures(spec.components)
        self.enter = MaskedConv(self.features.channels, hidden, 3, dropout=spec.dropout)
        self.convs = nn.ModuleList(
            MaskedConv(hidden, hidden, 3, d, spec.dropout) for d in _DILATIONS[spec.architecture])
        self.gru = None
        if spec.architecture == "recurrent":
            self.gru = nn.GRU(hidden, hidden // 2, 1, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.leave = nn.Linear(hidden, len(spec.words) + 1)

    def forward(self, mouth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """-> [B, T, words + 1] log-probabilities of the labels; without meaning outside the mask."""
        inside = mask[:, None].to(mouth.dtype)
        x = self.enter(self.features(mouth, mask), inside)
        for conv in self.convs:
            x = conv(x, inside)
        x = x.transpose(1, 2)
        if self.gru is not None:
            packed = pack_padded_sequence(x, mask.sum(1).long().cpu(), batch_first=True, enforce_sorted=False)
            x = x + pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return self.leave(self.dropout(x)).float().log_softmax(-1)

    def loss(self, mouth: torch.Tensor, mask: torch.Tensor, words: Sequence[Sequence[str]]) -> torch.Tensor:
        """CTC loss per word of the clips' sentences: a scalar, differentiable in `mouth`.

        A sentence too long for its clip counts nothing.

        Raises:
            ValueError: a word is not in the vocabulary (see `knows`), or there is not one sentence per clip.
        """
        if len(words) != len(mouth):
            raise ValueError(f"words: {len(words)} sentences for {len(mouth)} clips")
        return self.ctc(self(mouth, mask), mask, words)

    def ctc(self, log_probs: torch.Tensor, mask: torch.Tensor, words: Sequence[Sequence[str]]) -> torch.Tensor:
        """`loss` from log-probabilities."""
        labels = [self.encode(sentence) for sentence in words]
        targets = torch.tensor([label for row in labels for label in row], device=log_probs.device)
        frames = tuple(mask.sum(1).long().tolist())
        return F.ctc_loss(log_probs.transpose(0, 1), targets, frames, tuple(map(len, labels)), zero_infinity=True)

    def knows(self, words: Iterable[str]) -> bool:
        """Whether all words are in the vocabulary."""
        return all(word in self.labels for word in words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Labels of words. Raises ValueError for one that is not in the vocabulary."""
        try:
            return [self.labels[word] for word in words]
        except KeyError as error:
            raise ValueError(f"words: {error.args[0]!r} is not in the reader's vocabulary") from error

    @torch.no_grad()
    def read(self, mouth: torch.Tensor, grammar: bool = True) -> list[str]:
        """Words of one clip [T, 20, 3].

        Args:
            grammar: only sentences that the vocabulary's slots allow (where the reader has such); else the best path.
        """
        mouth = torch.as_tensor(mouth, dtype=torch.float32)
        log_probs = self(mouth[None], torch.ones(1, len(mouth)))[0].numpy()
        slots = [self.encode(slot) for slot in self.spec.slots]
        labels = best_sentence(log_probs, slots) if grammar and slots else best_path(log_probs)
        return [self.spec.words[label - 1] for label in labels]

    def save(self, path: str | Path, info: dict) -> None:
        """Write weights (half precision) and description to one safetensors file, atomically."""
        save_module(path, self, "geneface.LipReader", SCHEMA_VERSION, asdict(self.spec), info)

    @classmethod
    def load(cls, path: str | Path = "") -> "LipReader":
        """The reader in `path`, or the expert shipped with the package. Raises UserError where it cannot be read."""
        return load_reader(str(path or RELEASE))[0]


def load_judge() -> LipReader:
    """The reader shipped to measure by: nothing is ever trained against it."""
    return load_reader(str(JUDGE))[0]


@lru_cache(maxsize=4)
def load_reader(path: str) -> tuple[LipReader, dict]:
    """Reader and the description it was saved with; kept after the first use."""
    return load_module(path, "geneface.LipReader", SCHEMA_VERSION, _build, "lip reader",
                       "train one with geneface train-motion CORPUS -o X.safetensors --part reader")


def _build(spec: dict) -> LipReader:
    return LipReader(ReaderSpec(**(spec | {"words": tuple(spec["words"]),
                                           "slots": tuple(tuple(slot) for slot in spec["slots"])})))


def best_path(log_probs: np.ndarray) -> list[int]:
    """Labels along the likeliest path of [T, labels], repeats merged, blanks (0) dropped."""
    path = log_probs.argmax(1)
    return [int(a) for a, b in zip(path, np.concatenate([[-1], path[:-1]])) if a != b and a != 0]


def best_sentence(log_probs: np.ndarray, slots: Sequence[Sequence[int]]) -> list[int]:
    """The sentence of one label from each slot whose best alignment with [T, labels] is likeliest (Viterbi).

    States are, slot by slot: the blank before it, then its words; at the end one more blank. A word is entered from
    the blank before it or from another word of the slot before; a blank is entered from any word before it.

    Raises:
        ValueError: fewer frames than slots.
    """
    if len(log_probs) < len(slots):
        raise ValueError(f"log_probs: {len(log_probs)} frames for {len(slots)} words")
    label, slot_of = [], []  # of every state; a blank lies half a slot before its words
    for k, slot in enumerate(slots):
        label += [0, *slot]
        slot_of += [k - 0.5, *[k] * len(slot)]
    label, slot_of = np.array([*label, 0]), np.array([*slot_of, len(slots) - 0.5])
    # allowed[i, j]: state i may be followed by state j.
    step = slot_of[None] - slot_of[:, None]
    allowed = np.eye(len(label), dtype=bool) | (step == 0.5)
    allowed |= (step == 1) & (label[:, None] != 0) & (label[None] != 0) & (label[:, None] != label[None])
    cost = np.where(allowed, 0.0, _IMPOSSIBLE)
    score = np.where(slot_of <= 0, 0.0, _IMPOSSIBLE) + log_probs[0, label]
    came = np.zeros((len(log_probs), len(label)), np.int64)
    for t in range(1, len(log_probs)):
        total = score[:, None] + cost
        came[t] = total.argmax(0)
        score = total.max(0) + log_probs[t, label]
    state = int(np.where(slot_of >= len(slots) - 1, score, -np.inf).argmax())
    path = [state]
    for t in range(len(log_probs) - 1, 0, -1):
        path.append(int(came[t, path[-1]]))
    chosen = {slot_of[s]: int(label[s]) for s in path if label[s]}
    return [chosen[k] for k in range(len(slots))]


def word_error_rate(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Substitutions, insertions and deletions per reference word, over all (reference, read) pairs together.

    Raises:
        ValueError: there is no reference word.
    """
    errors = count = 0
    for reference, read in pairs:
        row = np.arange(len(read) + 1)
        for word in reference:
            above, row = row, np.empty_like(row)
            row[0] = above[0] + 1
            for j, other in enumerate(read):
                row[j + 1] = min(above[j + 1] + 1, row[j] + 1, above[j] + (word != other))
        errors, count = errors + int(row[-1]), count + len(reference)
    if not count:
        raise ValueError("pairs: hold no reference word")
    return errors / count
