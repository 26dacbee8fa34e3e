"""Phones of recorded sentences whose words are known: forced alignment on content features, trained on themselves.

Every phone is a Gaussian with a common variance on the leading discriminants of the features; a sentence is the path
through its phones, with a rest before, after and if need be between words, that fits best (Viterbi). From an even split
of every word the Gaussians and the paths are found in turn, as recognisers are trained from a flat start.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .phones import Phone

_FPS = 50.0  # of content features
_ROUNDS = 6
_DIMENSIONS = 40
_FREE = 0.08  # how far a word may begin or end from where its timing has it [s]
_SHORTEST = 2  # frames of a phone
_FAR = 1e6

Word = tuple[float, float, str]


@dataclass(frozen=True)
class Sentence:
    """Attributes: content, [T, C] features at 50 Hz; words, (start [s], end [s], word) in order."""

    content: np.ndarray
    words: tuple[Word, ...]


def align(sentences: Sequence[Sentence], lexicon: Callable[[str], Sequence[tuple[str, float]]],
          train: np.ndarray) -> list[tuple[Phone, ...]]:
    """Phones of every sentence, without gaps from 0 to its end.

    Args:
        lexicon: phones of a word as (IPA letter, stress).
        train: indices of the sentences that the Gaussians are found on.
    """
    sequences = [_sequence(sentence, lexicon) for sentence in sentences]
    mean = np.concatenate([sentences[i].content for i in train]).mean(0)
    paths = [_even(sequence, len(sentence.content)) for sequence, sentence in zip(sequences, sentences)]
    features = [np.asarray(sentence.content - mean, np.float64) for sentence in sentences]
    for _ in range(_ROUNDS):
        project, centres = _discriminants([features[i] for i in train], [sequences[i] for i in train],
                                          [paths[i] for i in train])
        paths = [_best(sequence, feature @ project, centres) for sequence, feature in zip(sequences, features)]
    return [_phones(sequence, path) for sequence, path in zip(sequences, paths)]


@dataclass(frozen=True)
class _State:
    symbol: str
    stress: float
    first: float  # earliest frame
    last: float  # latest
    optional: bool = False


def _sequence(sentence: Sentence, lexicon: Callable[[str], Sequence[tuple[str, float]]]) -> list[_State]:
    end = len(sentence.content)
    states = [_State("", 0.0, 0, end, True)]
    for i, (a, b, word) in enumerate(sentence.words):
        low, high = (a - _FREE) * _FPS, (b + _FREE) * _FPS
        if i:
            states.append(_State("", 0.0, 0, end, True))
        states += [_State(sign, stress, low, high) for sign, stress in lexicon(word)]
    return [*states, _State("", 0.0, 0, end, True)]


def _even(states: list[_State], frames: int) -> np.ndarray:
    """[T] state of every frame: words split evenly, rest elsewhere."""
    path = np.full(frames, -1)
    spoken = [i for i, state in enumerate(states) if state.symbol]
    groups: list[list[int]] = []
    for i in spoken:
        if groups and groups[-1][-1] == i - 1:
            groups[-1].append(i)
        else:
            groups.append([i])
    for group in groups:
        low = int(round(states[group[0]].first + _FREE * _FPS))
        high = max(low + len(group), int(round(states[group[0]].last - _FREE * _FPS)))
        for part, i in zip(np.array_split(np.arange(low, high), len(group)), group):
            path[part[(part >= 0) & (part < frames)]] = i
    # Frames of no word belong to the rest before the next one.
    following = len(states) - 1
    for t in range(frames - 1, -1, -1):
        if path[t] < 0:
            path[t] = following
        elif path[t] > 0 and not states[path[t] - 1].symbol:
            following = path[t] - 1
    return path


def _discriminants(features: list[np.ndarray], sequences: list[list[_State]],
                   paths: list[np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Projection [C, D] to where phones differ most and vary by one (Fisher's), and every phone's mean there."""
    from scipy.linalg import eigh

    everything = np.concatenate(features)
    symbols = np.concatenate([np.array([s.symbol for s in sequence])[path] for sequence, path in zip(sequences, paths)])
    names = sorted(set(symbols))
    means = {name: everything[symbols == name].mean(0) for name in names}
    own = np.stack([means[name] for name in symbols])
    within = np.cov((everything - own).T)
    within += 0.1 * np.trace(within) / len(within) * np.eye(len(within))
    _, vectors = eigh(np.cov(own.T), within, subset_by_index=[max(0, len(within) - _DIMENSIONS), len(within) - 1])
    return vectors, {name: mean @ vectors for name, mean in means.items()}


def _best(states: list[_State], features: np.ndarray, centres: dict[str, np.ndarray]) -> np.ndarray:
    """[T] the best path: every phone lasts `_SHORTEST` frames at least and lies in its word's time."""
    zero = np.zeros(features.shape[1])
    cost = np.stack([0.5 * np.square(features - centres.get(s.symbol, zero)).sum(1) for s in states], 1)
    time = np.arange(len(features))[:, None]
    outside = (time < np.array([s.first for s in states])) | (time >= np.array([s.last for s in states]))
    cost = cost + _FAR * outside
    # Each phone is `_SHORTEST` states in a row, of which the last may last; an optional one can be left out.
    owner, stay, skip = [], [], []
    for i, state in enumerate(states):
        for k in range(1 if state.optional else _SHORTEST):
            owner.append(i)
            stay.append(state.optional or k == _SHORTEST - 1)
            skip.append(k == 0 and i > 0 and states[i - 1].optional)
    owner_, stay_, skip_ = np.array(owner), np.array(stay), np.array(skip)
    cost = cost[:, owner_]
    count = len(owner_)
    total = np.full(count, np.inf)
    total[0] = cost[0, 0]
    if skip_[1]:
        total[1] = cost[0, 1]
    back = np.zeros((len(features), count), np.int64)
    places = np.arange(count)
    for t in range(1, len(features)):
        options = np.full((3, count), np.inf)
        options[0] = np.where(stay_, total, np.inf)
        options[1, 1:] = total[:-1]
        options[2, 2:] = np.where(skip_[2:], total[:-2], np.inf)
        choice = options.argmin(0)
        total = options[choice, places] + cost[t]
        back[t] = places - choice
    at = count - 1 if total[-1] <= total[-2] else count - 2  # the last rest is optional
    path = np.zeros(len(features), np.int64)
    for t in range(len(features) - 1, -1, -1):
        path[t] = owner_[at]
        at = back[t, at]
    return path


def _phones(states: list[_State], path: np.ndarray) -> tuple[Phone, ...]:
    edges = np.flatnonzero(np.diff(path)) + 1
    starts, ends = [0, *edges], [*edges, len(path)]
    return tuple(Phone(states[path[a]].symbol, a / _FPS, b / _FPS, states[path[a]].stress)
                 for a, b in zip(starts, ends))
