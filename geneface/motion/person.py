"""Generic motion made the person's own: post-net, silence, manifold, range."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import MotionConfig
from ..face.arkit import ARKIT_NAMES
from ..types import Avatar
from .measures import MouthMeasures
from .manifold import PersonSpace
from .postnet import PostNet, fingerprint
from .vae import MotionGenerator


@dataclass(frozen=True)
class Heard:
    """What the generator made of speech.

    Attributes:
        content: [N, C] features at 50 Hz, as it heard them.
        likeliest: [ceil(N/2), 52] the deterministic prediction.
        sampled: [ceil(N/2), 52] the motion asked for; `likeliest` at temperature 0.
        quiet: [ceil(N/2)] how silent every frame is, 0 to 1.
    """

    content: np.ndarray
    likeliest: np.ndarray
    sampled: np.ndarray
    quiet: np.ndarray

    def part(self, frames: range) -> "Heard":
        """Of consecutive frames."""
        at = slice(frames.start, frames.stop)
        return Heard(self.content[2 * frames.start:2 * frames.stop], self.likeliest[at], self.sampled[at], self.quiet[at])


@dataclass(frozen=True)
class Person:
    """How a person moves.

    Attributes:
        space: their recorded motion.
        postnet: how they differ from the generator; None where nothing was learned.
    """

    space: PersonSpace
    postnet: PostNet | None = None

    @classmethod
    def of(cls, avatar: Avatar, generator: MotionGenerator) -> "Person":
        """The avatar's; without its post-net where that was learned with another generator."""
        prefix = "postnet."
        tensors = {name[len(prefix):]: value for name, value in avatar.motion.items() if name.startswith(prefix)}
        postnet = PostNet.of_tensors(tensors) if tensors else None
        if postnet is not None and not np.array_equal(postnet.generator, fingerprint(generator)):
            postnet = None
        return cls(PersonSpace(avatar.motion_reference, avatar.expression_reference), postnet)

    def base(self, weights: np.ndarray, generator: MotionGenerator, config: MotionConfig) -> np.ndarray:
        """Generic movement [T, 52] about the person's own rest, as wide as theirs; no correction yet."""
        movement = weights - generator.rest.numpy()
        movement[:, ~is_driven(generator)] = 0
        return self.space.rest + self.space.amplitude(float(generator.opening_range)) ** config.match_amplitude * movement

    def moves(self, heard: Heard, generator: MotionGenerator, config: MotionConfig,
              measures: MouthMeasures) -> np.ndarray:
        """[T, 52] the person's weights; those that speech does not drive are as they usually are."""
        weights, rest = self.base(heard.sampled, generator, config), self.space.rest
        if self.postnet is not None and config.adaptation > 0:
            correction = self.postnet.correction(heard.content, heard.likeliest)
            own = self.postnet.widen(weights + correction, config.match_amplitude)
            weights = weights + config.adaptation * (own - weights)
        quiet = config.silence_gate * heard.quiet[:, None]
        weights = np.clip(rest + (1 - quiet) * config.amplitude * (weights - rest), 0, 1).astype(np.float32)
        projected = self.space.project(weights, measures.landmarks(weights).astype(np.float32), config.lle_neighbours,
                                       config.lle_strength)
        # Silence is the person's own rest, not a mixture of their frames.
        mouth = self.space.clamp(quiet * weights + (1 - quiet) * projected, config.clamp_quantile)
        out = np.tile(self.space.open_eyes, (len(weights), 1))
        driven = is_driven(generator)
        out[:, driven] = mouth[:, driven]
        return out


def is_driven(generator: MotionGenerator) -> np.ndarray:
    """[52] bool: which ARKit weights speech drives."""
    return np.isin(ARKIT_NAMES, generator.spec.driven)
