"""Speech features to facial motion: generator, silence, the person's own space, eyes."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..face.arkit import ARKIT_NAMES
from ..types import EXPRESSIONS, Avatar, MotionSequence, SpeechFeatures, require
from . import behaviour
from .evaluate import MouthMeasures
from .generate import generate_weights
from .inputs import melody
from .postnet import PersonSpace
from .vae import FPS, MotionGenerator

RELEASE = Path(__file__).resolve().parents[1] / "data" / "motion.safetensors"
_FULL_LOOK = np.radians(30.0)  # gaze angle of an eyeLook weight of 1
_BLINKS = [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]


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
    require(features.content.shape[1] == generator.spec.content,
            f"features: the motion model hears {generator.spec.content} content channels, got {features.content.shape[1]}")
    require(abs(features.fps - 2 * FPS) < 1e-6, f"features: expected {2 * FPS:g} per second, got {features.fps:g}")
    seed = config.seed if seed is None else seed
    weights = generate_weights(generator, features.content, melody(features), config.temperature, seed)
    frames = len(weights)
    driven = [ARKIT_NAMES.index(name) for name in generator.spec.driven]
    rest = generator.rest.numpy()
    quiet = config.silence_gate * behaviour.silence(features, frames, FPS)[:, None]
    # Movement about the generator's own rest; silence takes it away.
    movement = (1 - quiet) * config.amplitude * (weights - rest)
    movement[:, [i for i in range(EXPRESSIONS) if i not in driven]] = 0
    if avatar is None:
        weights = np.clip(rest + movement, 0, 1)
    else:
        person = PersonSpace(avatar.motion_reference, avatar.expression_reference)
        weights = np.clip(person.rest + movement, 0, 1).astype(np.float32)
        projected = person.project(weights, measures.landmarks(weights).astype(np.float32), config.lle_neighbours,
                                   config.lle_strength)
        # Silence is the person's own rest, not a mixture of their frames.
        mouth = person.clamp(quiet * weights + (1 - quiet) * projected, config.clamp_quantile)
        weights = np.tile(person.open_eyes, (frames, 1))
        weights[:, driven] = mouth[:, driven]
    random = np.random.default_rng(seed)
    blink = behaviour.blinks(frames, FPS, config.blinks_per_minute, random)
    look = behaviour.gaze(frames, FPS, config.gaze_degrees, random)
    weights = add_eyes(weights, blink, look, avatar.expression_reference if avatar is not None else None)
    weights = np.clip(weights, 0, 1).astype(np.float32)
    return MotionSequence(measures.landmarks(weights).astype(np.float32), weights, blink, look, float(FPS), source)


def add_eyes(weights: np.ndarray, blink: np.ndarray, look: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Weights [T, 52] with eyelid closure [T] and gaze [T, 2] (yaw to image right, pitch down; [rad]) written in.

    Args:
        reference: [R, 52] the person's recorded weights: a full blink reaches their own 99 % quantile, if they blinked.
    """
    weights = weights.copy()
    for i in _BLINKS:
        shut = 1.0
        if reference is not None and np.quantile(reference[:, i], 0.99) > 0.3:
            shut = float(np.quantile(reference[:, i], 0.99))
        weights[:, i] += blink * np.maximum(0, shut - weights[:, i])
    yaw, pitch = look.T / _FULL_LOOK
    # The person's left is the image's right: looking to image right turns the left eye out and the right eye in.
    for name, amount in (("OutLeft", yaw), ("InRight", yaw), ("InLeft", -yaw), ("OutRight", -yaw),
                         ("DownLeft", pitch), ("DownRight", pitch), ("UpLeft", -pitch), ("UpRight", -pitch)):
        weights[:, ARKIT_NAMES.index(f"eyeLook{name}")] += np.maximum(0, amount)
    return weights
