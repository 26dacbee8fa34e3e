"""Speech features to facial motion: generator, the person's own ways, silence, behaviour."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..speech.melody import melody
from ..types import Avatar, MotionSequence, SpeechFeatures, require
from . import behaviour, edits
from .blinks import shut_weights, wanted_blinks
from .generate import generate_weights
from .head import sample_poses
from .measures import MouthMeasures
from .person import Heard, Person
from .postnet import per_frame
from .resample import resample_poses
from .style import SpeakingStyle
from .vae import FPS, MotionGenerator

RELEASE = Path(__file__).resolve().parents[1] / "data" / "motion.safetensors"


@lru_cache(maxsize=2)
def load_generator(path: str = "") -> MotionGenerator:
    """The motion generator in `path`, or the one shipped with the package; kept after the first use."""
    return MotionGenerator.load(Path(path) if path else RELEASE)[0]


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
        ceil(T/2) frames at 25 fps; without head pose unless `config.head` asks for one.

    Raises:
        UserError: there is no speech to speak of (no frames), or the motion model, style or blinks cannot be read.
        ValueError: features of another kind than the generator was trained on.
    """
    if not len(features):
        raise UserError("the speech features are empty; give a recording that holds sound")
    generator = load_generator(config.model)
    if generator.spec.causal:
        raise UserError(f"{config.model}: hears streamed features; use it with geneface speak --stream")
    measures = measures or MouthMeasures.of_basis()
    channels, expected = features.content.shape[1], generator.spec.content
    require(channels == expected, f"features: the motion model hears {expected} content channels, got {channels}")
    require(abs(features.fps - 2 * FPS) < 1e-6, f"features: expected {2 * FPS:g} per second, got {features.fps:g}")
    seed = config.seed if seed is None else seed
    prompt = SpeakingStyle.of_file(config.style) if config.style else None
    person = Person.generic(generator, prompt) if avatar is None else Person.of(avatar, generator, prompt)
    heard = hear(features, generator, config, seed)
    weights = person.moves(heard, generator, config, measures)
    frames = len(weights)
    motion = MotionSequence(measures.landmarks(weights).astype(np.float32), weights, np.zeros(frames, np.float32),
                            np.zeros((frames, 2), np.float32), float(FPS), source)
    motion = edits.settle(motion, heard.quiet, person.rest, config.silence_gate)
    return _behave(motion, avatar, prompt or person.style, config, seed, measures)


def _behave(motion: MotionSequence, avatar: Avatar | None, style: SpeakingStyle, config: MotionConfig, seed: int,
            measures: MouthMeasures) -> MotionSequence:
    """Head, breath, blinks and gaze; each draws from a random source of its own, so that none changes another."""
    frames, fps = len(motion), motion.fps
    head, air, lids, eyes = np.random.default_rng(seed).spawn(4)
    if config.head != "replay":
        if config.head not in ("sample", "still"):
            raise UserError(f"head: must be replay, sample or still, not {config.head!r}")
        if avatar is None:
            raise UserError(f"head: {config.head} needs a person's poses; speak with an avatar, or set head=replay")
        poses = resample_poses(avatar.camera.head_to_camera, avatar.camera.fps, fps)
        poses = poses[:1].repeat(frames, 0) if config.head == "still" else sample_poses(poses, frames, fps, head)
        motion = edits.pose_head(motion, poses, config.head_motion if config.head == "sample" else 1.0)
    motion = edits.breathe(motion, behaviour.breath(frames, fps, air), config.breathing)
    own = style.blinks_per_minute if config.blinks_per_minute < 0 else config.blinks_per_minute
    closure = wanted_blinks(config.blinks, frames, fps, own, style.blink, lids)
    reference = avatar.expression_reference if avatar is not None else None
    motion = edits.blink(motion, closure, config.blink, shut_weights(measures, reference))
    spread = style.gaze if config.gaze_degrees < 0 else np.radians(config.gaze_degrees) * np.array([1.0, 0.5])
    gaze = behaviour.gaze(frames, fps, spread, eyes) + np.radians([config.gaze_yaw, config.gaze_pitch])
    return edits.look(motion, gaze, config.gaze)


def hear(features: SpeechFeatures, generator: MotionGenerator, config: MotionConfig, seed: int = 0) -> Heard:
    """What the generator makes of speech, the lips earlier by `config.lead`."""
    later = np.clip(np.arange(len(features)) + round(config.lead * features.fps), 0, len(features) - 1)
    content, tune = features.content[later], melody(features)[later]
    likeliest = generate_weights(generator, content, tune)
    sampled = likeliest
    if config.temperature > 0:
        sampled = generate_weights(generator, content, tune, config.temperature, seed)
    return Heard(per_frame(content), likeliest, sampled, behaviour.silence(features, len(likeliest), FPS))
