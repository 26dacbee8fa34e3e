"""Generic motion made the person's own: their rest and amplitude, post-net, manifold, range."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..face.arkit import ARKIT_NAMES
from ..progress import say
from ..types import Avatar
from .measures import MouthMeasures
from .manifold import PersonSpace
from .postnet import PostNet, fingerprint
from .style import SpeakingStyle
from .vae import MotionGenerator


_OTHER_VOICES = 0.3  # of the post-net's correction, where somebody else speaks: chosen on eight recordings


@dataclass(frozen=True)
class Heard:
    """What the generator made of speech.

    Attributes:
        content: [T, C] the features that it heard, at the motion's rate.
        likeliest: [T, 52] the deterministic prediction.
        sampled: [T, 52] the motion asked for; `likeliest` at temperature 0.
        quiet: [T] how silent every frame is, 0 speech to 1 silence.
    """

    content: np.ndarray
    likeliest: np.ndarray
    sampled: np.ndarray
    quiet: np.ndarray

    @property
    def spoken(self) -> np.ndarray:
        """[T] bool: frames that are not silence."""
        return self.quiet < 0.5

    def part(self, frames: range) -> "Heard":
        """Of consecutive frames."""
        at = slice(frames.start, frames.stop)
        return Heard(self.content[at], self.likeliest[at], self.sampled[at], self.quiet[at])


@dataclass(frozen=True)
class Person:
    """How a person moves.

    Attributes:
        rest: [52] their weights with the mouth at rest.
        style: how wide they open their mouth, and how they blink and look.
        space: their recorded motion; None for nobody in particular.
        postnet: how they differ from the generator; None where nothing was learned.
        prompt: whose style they are to speak in; None for their own.
    """

    rest: np.ndarray
    style: SpeakingStyle
    space: PersonSpace | None = None
    postnet: PostNet | None = None
    prompt: SpeakingStyle | None = None

    @classmethod
    def of(cls, avatar: Avatar, generator: MotionGenerator, prompt: SpeakingStyle | None = None) -> "Person":
        """The avatar's; without its post-net where that was learned with another generator, and in a stream: it looks
        ahead, and tells voices apart over a whole recording."""
        prefix = "postnet."
        tensors = {name[len(prefix):]: value for name, value in avatar.motion.items() if name.startswith(prefix)}
        postnet = PostNet.of_tensors(tensors) if tensors and not generator.spec.causal else None
        if postnet is not None and not np.array_equal(postnet.generator, fingerprint(generator)):
            say("the avatar's post-net was learned with another motion model and is left out; geneface fit learns one "
                "for the model that ships with this version")
            postnet = None
        space = PersonSpace(avatar.motion_reference, avatar.expression_reference)
        return cls(space.rest, SpeakingStyle.of_avatar(avatar), space, postnet, prompt)

    @classmethod
    def generic(cls, generator: MotionGenerator, prompt: SpeakingStyle | None = None) -> "Person":
        """Nobody in particular: the talkers that the generator learned from."""
        return cls(generator.rest.numpy(), SpeakingStyle.usual(float(generator.opening_range)), prompt=prompt)

    def base(self, weights: np.ndarray, generator: MotionGenerator, config: MotionConfig) -> np.ndarray:
        """Generic movement [T, 52] about the person's own rest, as wide as theirs; no correction yet."""
        movement = weights - generator.rest.numpy()
        movement[:, ~is_driven(generator)] = 0
        return self.rest + self.style.amplitude(float(generator.opening_range)) ** config.match_amplitude * movement

    def moves(self, heard: Heard, generator: MotionGenerator, config: MotionConfig,
              measures: MouthMeasures) -> np.ndarray:
        """[T, 52] the person's weights; those that speech does not drive are as they usually are.

        Raises:
            UserError: `config.clamp_quantile` is no lower quantile.
        """
        if not 0 <= config.clamp_quantile <= 0.5:
            raise UserError(f"clamp_quantile: must lie from 0 to 0.5, got {config.clamp_quantile:g}")
        weights = self.base(heard.sampled, generator, config)
        if self.postnet is not None and config.adaptation > 0:
            correction = self.postnet.correction(heard.content, heard.likeliest)
            own = self.postnet.widen(weights + correction, config.match_amplitude)
            # What was learned of one voice misleads on another: there, part of it.
            share = _OTHER_VOICES + (1 - _OTHER_VOICES) * self.postnet.familiarity(heard.content[heard.spoken])
            weights = weights + config.adaptation * share * (own - weights)
        gain = config.amplitude
        if self.prompt is not None:
            gain *= self.prompt.amplitude(self.style.opening_range) ** config.match_amplitude
        weights = np.clip(self.rest + gain * (weights - self.rest), 0, 1).astype(np.float32)
        if self.space is None:
            return weights
        projected = self.space.project(weights, measures.landmarks(weights).astype(np.float32), config.lle_neighbours,
                                       config.lle_strength)
        mouth = self.space.clamp(projected, config.clamp_quantile)
        out = np.tile(self.space.open_eyes, (len(weights), 1))
        driven = is_driven(generator)
        out[:, driven] = mouth[:, driven]
        return out


def is_driven(generator: MotionGenerator) -> np.ndarray:
    """[52] bool: which ARKit weights speech drives."""
    return np.isin(ARKIT_NAMES, generator.spec.driven)
