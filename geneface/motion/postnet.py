"""The person's post-net: from what is said and how a generic face says it, to how this person says it.

One temporal convolution adds to the generic motion what the person does otherwise. Its filters are a ridge regression
(Hoerl and Kennard 1970) on their recording: solved exactly, in seconds, and with a heavy penalty it falls back to the
generic motion. Fine-tuning the generator for three minutes on the same recordings came out below it (BENCHMARKS.md).
"""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from ..types import EXPRESSIONS, check_array, require
from .vae import MotionGenerator

REACH = 4  # frames (25 fps) on either side that a frame depends on
# Distance of a voice's mean content from the person's own, in their standard deviations, less what so short an excerpt
# is off by chance: parts of the same recording come below the first, other people's above the second.
_OWN, _OTHER = 0.13, 0.2
_CHANCE = 2.1  # squared distance of one frame of theirs; n frames are 1/n of it off
_LEAST_SPREAD = 1e-5  # standard deviation below which an input says nothing


def fingerprint(generator: MotionGenerator) -> np.ndarray:
    """[8] uint8 that tell one generator's weights from another's: a post-net belongs to one."""
    digest = hashlib.sha256()
    for value in generator.state_dict().values():
        digest.update(value.detach().float().contiguous().numpy().tobytes())
    return np.frombuffer(digest.digest()[:8], np.uint8)


def per_frame(content: np.ndarray) -> np.ndarray:
    """Content features at the motion's rate: [N, C] at 50 Hz -> [ceil(N/2), C] means of pairs."""
    even = np.concatenate([content, content[-1:]]) if len(content) % 2 else content
    return even.reshape(-1, 2, content.shape[1]).mean(1)


@dataclass(frozen=True)
class PostNet:
    """Attributes:
        filters: [2 REACH + 1, C + D, D] over content features and generic weights, frames from REACH before to REACH
            after.
        bias: [D].
        driven: [D] indices of the ARKit weights that speech drives.
        gain: the result's movement about `centre` is widened by it, for a regression moves less than a person.
        centre: [D] the person's mean weights.
        generator: [8] `fingerprint` of the generator that the generic motion must come from.
        voice: [2, C] mean and standard deviation of the content features of the person's own speech.
    """

    filters: np.ndarray
    bias: np.ndarray
    driven: np.ndarray
    gain: np.ndarray
    centre: np.ndarray
    generator: np.ndarray
    voice: np.ndarray

    def __post_init__(self) -> None:
        driven = len(self.driven)
        check_array("filters", self.filters, (2 * REACH + 1, None, driven))
        check_array("bias", self.bias, (driven,))
        check_array("gain", self.gain, (1,))
        check_array("centre", self.centre, (driven,))
        check_array("generator", self.generator, (8,))
        check_array("voice", self.voice, (2, self.filters.shape[1] - driven))
        require(not driven or 0 <= self.driven.min() <= self.driven.max() < EXPRESSIONS, "driven: not ARKit weights")

    def correction(self, content: np.ndarray, generic: np.ndarray) -> np.ndarray:
        """What the person does otherwise.

        Args:
            content: [T, C] features at the motion's rate (`per_frame`), as the generator heard them.
            generic: [T, 52] weights that the generator made of them (the likeliest motion).

        Returns:
            [T, 52] to be added to the weights; 0 where speech drives nothing.
        """
        out = np.zeros_like(generic)
        if not len(generic):
            return out
        inputs = np.concatenate([content, generic[:, self.driven]], axis=1)
        padded = np.pad(inputs, ((REACH, REACH), (0, 0)), mode="edge")
        total = np.broadcast_to(self.bias, (len(generic), len(self.driven))).copy()
        for i, taps in enumerate(self.filters):
            total += padded[i:i + len(generic)] @ taps
        out[:, self.driven] = total
        return out

    def familiarity(self, content: np.ndarray) -> float:
        """How near a voice is to the person's own: 1 as in parts of their recording, 0 as other people.

        Args:
            content: [T, C] features at the motion's rate, of the frames where somebody speaks.
        """
        if not len(content):
            return 0.0
        away = (content.mean(0) - self.voice[0]) / np.maximum(self.voice[1], _LEAST_SPREAD)
        distance = max(0.0, float(np.mean(away**2)) - _CHANCE / len(content)) ** 0.5
        return float(np.clip((_OTHER - distance) / (_OTHER - _OWN), 0, 1))

    def widen(self, weights: np.ndarray, strength: float) -> np.ndarray:
        """Weights [T, 52] whose driven movement about the person's mean is widened by `gain`, to the power of
        `strength`."""
        out = weights.copy()
        out[:, self.driven] = self.centre + float(self.gain[0]) ** strength * (out[:, self.driven] - self.centre)
        return out

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, np.ndarray]) -> "PostNet":
        """What `tensors` gave. Raises ValueError where an array is missing or of another shape."""
        missing = [field.name for field in fields(cls) if field.name not in tensors]
        require(not missing, f"post-net: lacks {', '.join(missing)}")
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


class Regression:
    """Ridge regression on one recording: the costly products are made once, then solved for any frames and penalty.

    Args:
        content: [T, C] features at the motion's rate (`per_frame`), as the generator heard them.
        generic: [T, D] driven weights that the generator made of them.
        rows: indices of the frames to learn from.
    """

    def __init__(self, content: np.ndarray, generic: np.ndarray, rows: np.ndarray) -> None:
        inputs = np.concatenate([content, generic], axis=1).astype(np.float32)
        self._mean, spread = inputs[rows].mean(0), inputs[rows].std(0)
        self._scale = np.where(spread > _LEAST_SPREAD, 1 / np.maximum(spread, _LEAST_SPREAD), 0).astype(np.float32)
        padded = np.pad((inputs - self._mean) * self._scale, ((REACH, REACH), (0, 0)), mode="edge")
        self._windows = np.concatenate([padded[rows + i] for i in range(2 * REACH + 1)], axis=1)
        self._gram = (self._windows @ self._windows.T / self._windows.shape[1]).astype(np.float64)

    def solve(self, target: np.ndarray, penalty: float, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`PostNet.filters` and `PostNet.bias`.

        Args:
            target: [R, D] what the correction should be at `rows`.
            penalty: on the squared filters, relative to the mean square of the standardised input; any above 0.
            kept: [R] bool: which rows to learn from.
        """
        from scipy.linalg import solve

        index = np.flatnonzero(kept)
        offset = target[index].mean(0)
        gram = self._gram[np.ix_(index, index)]
        mean = gram.mean(0)
        gram += mean.mean() - mean - mean[:, None]  # of inputs about their mean: the bias is not penalised
        gram[np.diag_indices(len(index))] += penalty
        dual = np.zeros(target.shape, np.float32)  # of all rows: no copy of the windows is made for those kept
        dual[index] = solve(gram, target[index] - offset, assume_a="pos", overwrite_a=True)
        filters = self._windows.T @ dual / self._windows.shape[1]
        offset = offset - (kept / kept.sum()).astype(np.float32) @ self._windows @ filters
        filters = filters.reshape(2 * REACH + 1, len(self._mean), -1) * self._scale[:, None]
        return filters, (offset - np.einsum("kcd,c->d", filters, self._mean)).astype(np.float32)
