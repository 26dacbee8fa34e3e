"""Generated motion beside the tracked motion of the same speech: what evaluation measures."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..config import MotionConfig
from ..corpus import MotionCorpus
from ..media import read_audio
from ..speech.mel import mel_features
from ..speech.melody import melody
from ..types import CANONICAL_LANDMARKS, Avatar, PreparedPerson, check_array
from .baseline import MelRegression
from .generate import generate_weights
from .measures import MouthMeasures
from .predict import predict
from .vae import MotionGenerator


@dataclass(frozen=True)
class Comparison:
    """One clip at 25 fps.

    Attributes:
        name: of the clip, for people.
        generated, tracked: [T, 68, 3] canonical landmarks on the mean face [m].
        content, melody: [2T, 512] and [2T, 3] what the generator heard at 50 Hz.
        baseline: [T, 68, 3] what a regression from log-mel makes of the same sound [m], or None.
        sampled: [T, 68, 3] motions of the same speech that differ only in their seed, or none.
        words: (start [s], end [s], word) in the clip's own time, or None.
        audio: [N] float32 at 16 kHz, or None.
    """

    name: str
    generated: np.ndarray
    tracked: np.ndarray
    content: np.ndarray
    melody: np.ndarray
    baseline: np.ndarray | None = None
    sampled: tuple[np.ndarray, ...] = ()
    words: tuple[tuple[float, float, str], ...] | None = None
    audio: np.ndarray | None = None

    def __post_init__(self) -> None:
        frames = len(self.tracked)
        for name in ("generated", "tracked"):
            check_array(name, getattr(self, name), (frames, CANONICAL_LANDMARKS, 3))
        for name in ("content", "melody"):
            check_array(name, getattr(self, name), (2 * frames, None))


def predict_weights(model: MotionGenerator, corpus: MotionCorpus, index: int, temperature: float = 0.0,
                    seed: int = 0) -> np.ndarray:
    """[T, 52] generated for clip `index` as recorded."""
    clip = corpus.clip(index)
    return generate_weights(model, clip.content.numpy(), clip.melody.numpy(), temperature, seed)


def compare_clips(model: MotionGenerator, corpus: MotionCorpus, chosen: Sequence[int], measures: MouthMeasures,
                  temperature: float = 0.0, seed: int = 0, sampled_at: float = 0.0,
                  baseline: MelRegression | None = None) -> list[Comparison]:
    """The clips `chosen` of a corpus, as recorded.

    Args:
        temperature, seed: of the motion compared.
        baseline: compared as well.
        sampled_at: temperature of two further motions; 0 for none.
    """
    found = []
    for index in map(int, chosen):
        clip, about = corpus.clip(index), corpus.about(index)

        def motion(temperature: float, seed: int) -> np.ndarray:
            weights = generate_weights(model, clip.content.numpy(), clip.melody.numpy(), temperature, seed)
            return measures.landmarks(weights).astype(np.float32)

        found.append(Comparison(
            about.name, motion(temperature, seed), measures.landmarks(clip.expression.numpy()).astype(np.float32),
            clip.content.numpy(), clip.melody.numpy(),
            None if baseline is None else measures.landmarks(baseline.predict(clip.mel.numpy())).astype(np.float32),
            (motion(sampled_at, seed + 1), motion(sampled_at, seed + 2)) if sampled_at else (), about.words))
    return found


def compare_person(person: PreparedPerson, avatar: Avatar | None, config: MotionConfig, measures: MouthMeasures,
                   frames: range | None = None, sampled_at: float = 0.0,
                   baseline: MelRegression | None = None) -> Comparison:
    """A prepared person.

    The motion is that of their whole recording, so the features' windows are those of any recording; then it is cut.

    Args:
        avatar: whose motion it shall be; None for generic motion.
        frames: to compare; by default the held-out ones.
        sampled_at, baseline: as for `compare_clips`.
    """
    speech, tune = person.speech, melody(person.speech)

    def motion(temperature: float, seed: int) -> np.ndarray:
        return predict(speech, avatar, replace(config, temperature=temperature, seed=seed), measures=measures).landmarks

    generated = motion(config.temperature, config.seed)
    frames = person.held_out_frames if frames is None else frames
    part = slice(frames.start, min(frames.stop, len(generated), len(person.face)))
    heard = slice(2 * part.start, 2 * part.stop)
    sound = read_audio(person.path / "audio.wav")
    sampled = (motion(sampled_at, config.seed + 1), motion(sampled_at, config.seed + 2)) if sampled_at else ()
    reference = None
    if baseline is not None:
        mel = mel_features(sound)
        mel = mel[np.clip(np.arange(2 * part.stop) + round(config.lead * speech.fps), 0, len(mel) - 1)]
        reference = measures.landmarks(baseline.predict(mel)[part]).astype(np.float32)
    return Comparison(
        person.source, generated[part], measures.landmarks(person.face.expression[part]).astype(np.float32),
        _padded(speech.content, heard), _padded(tune, heard), reference, tuple(one[part] for one in sampled),
        audio=sound[part.start * 640:part.stop * 640])


def _padded(features: np.ndarray, part: slice) -> np.ndarray:
    """Rows of features at 50 Hz; a recording of an odd number of them lacks the last."""
    rows = features[part]
    return np.pad(rows, ((0, part.stop - part.start - len(rows)), (0, 0)))
