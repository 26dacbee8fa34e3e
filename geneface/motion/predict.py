"""Speech features to facial motion: generator, silence, the person's own space, eyes."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..face.arkit import ARKIT_NAMES
from ..speech.melody import melody
from ..types import Avatar, MotionSequence, SpeechFeatures, require
from . import behaviour
from .generate import generate_weights
from .measures import MouthMeasures
from .person import Heard, Person, is_driven
from .vae import FPS, MotionGenerator

RELEASE = Path(__file__).resolve().parents[1] / "data" / "motion.safetensors"
# Gaze of the bundled basis at weight 1 of both eyes [rad]: sideways, up, down.
_SIDEWAYS, _UP, _DOWN = np.radians([27.0, 13.0, 19.0])
# The weight that closes the lid, and the lid's landmarks above and below, of either eye (68 points).
_LIDS = {"eyeBlinkRight": ((37, 38), (41, 40)), "eyeBlinkLeft": ((43, 44), (47, 46))}
_LEAST_SHUT = 0.3  # a person whose lids never came this far did not blink while recorded


@lru_cache(maxsize=2)
def load_generator(path: str = "") -> MotionGenerator:
    """The motion generator in `path`, or the one shipped with the package; kept after the first use."""
    return MotionGenerator.load(Path(path) if path else RELEASE)[0]


@lru_cache(maxsize=1)
def _measures() -> MouthMeasures:
    return MouthMeasures.of_basis()


def predict(features: SpeechFeatures, avatar: Avatar | None = None, config: MotionConfig = MotionConfig(),
            seed: int | None = None, source: str = "speech", measures: MouthMeasures | None = None) -> MotionSequence:
    """Facial motion for speech.

    Args:
        features: at 50 Hz.
        avatar: whose motion it shall be; None for generic motion.
        config: see `MotionConfig`.
        seed: of blinks, gaze and the generator's noise; by default `config.seed`.
        source: recorded in the result.
        measures: landmarks of the face basis; by default of the package's own.

    Returns:
        ceil(T/2) frames at 25 fps, without head pose.

    Raises:
        UserError: there is no speech to speak of (no frames), or the motion model cannot be read.
        ValueError: features of another kind than the generator was trained on.
    """
    if not len(features):
        raise UserError("the speech features are empty; give a recording that holds sound")
    generator = load_generator(config.model)
    measures = measures or _measures()
    channels, expected = features.content.shape[1], generator.spec.content
    require(channels == expected, f"features: the motion model hears {expected} content channels, got {channels}")
    require(abs(features.fps - 2 * FPS) < 1e-6, f"features: expected {2 * FPS:g} per second, got {features.fps:g}")
    seed = config.seed if seed is None else seed
    person = None if avatar is None else Person.of(avatar, generator)
    heard = hear(features, generator, config, seed)
    if person is None:
        rest = generator.rest.numpy()
        movement = (1 - config.silence_gate * heard.quiet[:, None]) * config.amplitude * (heard.sampled - rest)
        movement[:, ~is_driven(generator)] = 0
        weights = np.clip(rest + movement, 0, 1)
    else:
        weights = person.moves(heard, generator, config, measures)
    frames = len(weights)
    random = np.random.default_rng(seed)
    blink = behaviour.blinks(frames, FPS, config.blinks_per_minute, random)
    look = behaviour.gaze(frames, FPS, config.gaze_degrees, random)
    reference = avatar.expression_reference if avatar is not None else None
    weights = np.clip(add_eyes(weights, blink, look, shut_weights(measures, reference)), 0, 1).astype(np.float32)
    return MotionSequence(measures.landmarks(weights).astype(np.float32), weights, blink, look, float(FPS), source)


def hear(features: SpeechFeatures, generator: MotionGenerator, config: MotionConfig, seed: int = 0) -> Heard:
    """What the generator makes of speech, `config.lead` earlier than the corpus' lips were."""
    # GRID talker 1's lips come about half a frame after the sound, against five other recordings' lips.
    later = np.clip(np.arange(len(features)) + round(config.lead * features.fps), 0, len(features) - 1)
    content, tune = features.content[later], melody(features)[later]
    likeliest = generate_weights(generator, content, tune)
    sampled = likeliest
    if config.temperature > 0:
        sampled = generate_weights(generator, content, tune, config.temperature, seed)
    return Heard(content, likeliest, sampled, behaviour.silence(features, len(likeliest), FPS))


def shut_weights(measures: MouthMeasures, reference: np.ndarray | None = None) -> dict[str, float]:
    """Weight at which each lid is shut: the 99 % quantile of the person's own [R, 52] where they blinked, else where
    the lids of the mean face meet."""
    out = {}
    for name, (upper, lower) in _LIDS.items():
        i = ARKIT_NAMES.index(name)
        opening = measures.neutral[list(lower), 1].mean() - measures.neutral[list(upper), 1].mean()
        travel = measures.offsets[i, list(upper), 1].mean() - measures.offsets[i, list(lower), 1].mean()
        out[name] = float(np.clip(opening / max(travel, 1e-6), _LEAST_SHUT, 1))
        if reference is not None and (own := float(np.quantile(reference[:, i], 0.99))) > _LEAST_SHUT:
            out[name] = own
    return out


def add_eyes(weights: np.ndarray, blink: np.ndarray, look: np.ndarray, shut: dict[str, float]) -> np.ndarray:
    """Weights [T, 52] with eyelid closure [T] and gaze [T, 2] (yaw to image right, pitch up; [rad]) written in.

    Args:
        shut: weight of either lid at closure 1.
    """
    weights = weights.copy()
    for name, full in shut.items():
        lid = weights[:, ARKIT_NAMES.index(name)]
        lid += blink * np.maximum(0, full - lid)
    yaw, pitch = look[:, 0] / _SIDEWAYS, look[:, 1]
    # The person's left is the image's right: looking to image right turns the left eye out and the right eye in.
    for name, amount in (("OutLeft", yaw), ("InRight", yaw), ("InLeft", -yaw), ("OutRight", -yaw),
                         ("UpLeft", pitch / _UP), ("UpRight", pitch / _UP),
                         ("DownLeft", -pitch / _DOWN), ("DownRight", -pitch / _DOWN)):
        weights[:, ARKIT_NAMES.index(f"eyeLook{name}")] += np.maximum(0, amount)
    return weights
