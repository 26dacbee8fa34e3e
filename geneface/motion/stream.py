"""Facial motion while the sound comes in: four frames every 160 ms, decided 0.3 s after their beginning.

A causal generator, trained on `speech.stream` features, hears as far back as its convolutions reach and nothing of
later hops; the silence gate and the person's own space look back only. So what comes out is a function of the sound
alone, however it is cut into pushes, and the frames of one hop follow those of the last without a seam. Blinks, gaze
and breath are drawn beforehand. Head poses are left to whoever renders.
"""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..speech.mel import SAMPLE_RATE
from ..speech.stream import HOP_FRAMES, FeatureStream, StreamedSpeech
from ..speech.whisper import WhisperEncoder
from ..types import EXPRESSIONS, Avatar, MotionSequence
from . import behaviour, edits
from .blinks import blink_curve, blink_times, shut_weights
from .generate import generate_weights
from .measures import MouthMeasures
from .person import Heard, Person
from .predict import load_generator
from .style import SpeakingStyle
from .vae import FPS

RELEASE = Path(__file__).resolve().parents[1] / "data" / "motion_stream.safetensors"
_SPEECH = 0.3  # least probability, as of `behaviour.silence`
_HANGOVER = 0.25  # [s] after speech; speech is noticed 0.13 s ahead, so gaps of less than 0.38 s are left alone
_SETTLES, _PARTS = 0.2, 0.12  # [s] that the mouth takes to come to rest and to leave it
_SMOOTHED = 4  # frames that the person's manifold looks back
_DRAWN = 90000  # frames (an hour) of blinks, gaze and breath drawn at once


class MotionStream:
    """Sound in, motion out.

    Args:
        avatar: whose motion it shall be, without their post-net (see `Person.of`); None for generic motion.
        config: see `MotionConfig`; `model` is a causal one, by default that of the package.
        source: recorded in the motion.
        encoder: the speech encoder; by default the one from `assets`.
        measures: landmarks of the face basis; by default of the package's own.

    Raises:
        UserError: the motion model cannot be read or is no causal one, or head poses or given blinks are asked for.
    """

    def __init__(self, avatar: Avatar | None = None, config: MotionConfig = MotionConfig(), source: str = "speech",
                 encoder: WhisperEncoder | None = None, measures: MouthMeasures | None = None) -> None:
        self._generator = load_generator(config.model or str(RELEASE))
        if not self._generator.spec.causal:
            raise UserError(f"{config.model}: is for whole recordings; train one on a corpus prepared with "
                            "--set streamed=true")
        if config.head != "replay" or config.blinks != "drawn":
            raise UserError("head and blinks: live motion takes head=replay and blinks=drawn only")
        self._config, self._source = config, source
        self._measures = measures or MouthMeasures.of_basis()
        prompt = SpeakingStyle.of_file(config.style) if config.style else None
        self._person = (Person.generic(self._generator, prompt) if avatar is None
                        else Person.of(avatar, self._generator, prompt))
        self._style = prompt or self._person.style
        self._shut = shut_weights(self._measures, None if avatar is None else avatar.expression_reference)
        self._features = FeatureStream(encoder)
        self._lead = self._skip = max(0, round(config.lead * SAMPLE_RATE))  # samples of sound left out at the beginning
        self._content = np.zeros((0, self._generator.spec.content), np.float32)  # as far back as the generator hears
        self._tune = np.zeros((0, self._generator.spec.melody), np.float32)
        self._sampled = np.zeros((0, EXPRESSIONS), np.float32)  # of the last frames
        self._gate = _Gate()
        self._hops = self._frames = 0  # heard; given out
        self._drawn: list[np.ndarray] = []  # blinks, gaze and breath of the hour that the next frame lies in

    def push(self, samples: np.ndarray) -> MotionSequence | None:
        """Take more sound: [N] mono at 16 kHz in [-1, 1], of any length.

        Returns:
            the motion of all hops that are now complete, following what was returned before; None if there is none.

        Raises:
            ValueError: not a finite mono float array, or the stream is finished.
        """
        samples = np.asarray(samples)
        skipped = min(self._skip, len(samples)) if samples.ndim else 0
        self._skip -= skipped
        return self._motion(self._features.push(samples[skipped:] if samples.ndim == 1 else samples))

    def finish(self) -> MotionSequence | None:
        """The rest of the motion, silence following; with what was returned before, 25 frames a second of sound."""
        last = self._features.push(np.zeros(self._lead - self._skip, np.float32))
        rest = self._features.finish()
        return self._motion(StreamedSpeech(*(np.concatenate(pair) for pair in zip(last, rest))))

    def _motion(self, heard: StreamedSpeech) -> MotionSequence | None:
        if not len(heard):
            return None
        hops = [self._hop(StreamedSpeech(*(values[first:first + HOP_FRAMES] for values in heard)))
                for first in range(0, len(heard), HOP_FRAMES)]
        return joined(hops)

    def _hop(self, heard: StreamedSpeech) -> MotionSequence:
        """Four frames, or fewer at the end of the sound."""
        config, kept = self._config, 2 * self._generator.reach
        self._content = np.concatenate([self._content[-kept:], heard.content])
        self._tune = np.concatenate([self._tune[-kept:], heard.melody])
        first = self._hops - (len(self._content) - len(heard)) // HOP_FRAMES
        self._hops += 1
        new = -(-len(heard) // 2)
        sampled = generate_weights(self._generator, self._content, self._tune, config.temperature, config.seed,
                                   first_stride=first)[-new:]
        self._sampled = np.concatenate([self._sampled[-_SMOOTHED:], sampled])
        # Each frame as if it were the last: the person's manifold smooths, here over what came before only.
        last = len(self._sampled)
        weights = np.concatenate([self._moved(end) for end in range(last - new + 1, last + 1)])
        motion = MotionSequence(self._measures.landmarks(weights).astype(np.float32), weights.astype(np.float32),
                                np.zeros(new, np.float32), np.zeros((new, 2), np.float32), float(FPS), self._source)
        motion = edits.settle(motion, self._gate.quiet(heard.speech), self._person.rest, config.silence_gate)
        return self._behave(motion)

    def _moved(self, end: int) -> np.ndarray:
        """[1, 52] frame `end` - 1 of those kept, as the person moves."""
        sampled = self._sampled[max(0, end - 1 - _SMOOTHED):end]
        heard = Heard(np.zeros((0, 0), np.float32), sampled, sampled, np.zeros(len(sampled), np.float32))
        return self._person.moves(heard, self._generator, self._config, self._measures)[-1:]

    def _behave(self, motion: MotionSequence) -> MotionSequence:
        """Breath, blinks and gaze; hops of four frames fill an hour."""
        hour, at = divmod(self._frames, _DRAWN)
        if at == 0:
            self._drawn = self._draw(hour)
        self._frames += len(motion)
        closure, look, breath = (values[at:at + len(motion)] for values in self._drawn)
        motion = edits.breathe(motion, breath, self._config.breathing)
        motion = edits.blink(motion, closure, self._config.blink, self._shut)
        return edits.look(motion, look, self._config.gaze)

    def _draw(self, hour: int) -> list[np.ndarray]:
        """Closure of the lids [T], gaze [T, 2] and breath [T] of an hour."""
        config, style = self._config, self._style
        lids, shapes, eyes, air = np.random.default_rng([config.seed, hour]).spawn(4)
        rate = style.blinks_per_minute if config.blinks_per_minute < 0 else config.blinks_per_minute
        spread = style.gaze if config.gaze_degrees < 0 else np.radians(config.gaze_degrees) * np.array([1.0, 0.5])
        towards = np.radians([config.gaze_yaw, config.gaze_pitch])
        return [blink_curve(blink_times(_DRAWN, FPS, rate, lids), _DRAWN, FPS, shapes, style.blink),
                behaviour.gaze(_DRAWN, FPS, spread, eyes) + towards, behaviour.breath(_DRAWN, FPS, air)]


def joined(parts: list[MotionSequence]) -> MotionSequence:
    """Parts that follow one another (one at least), as one."""
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts])
                                for name in ("landmarks", "expression", "blink", "gaze")})


def live(audio: np.ndarray, avatar: Avatar | None = None, config: MotionConfig = MotionConfig(),
         source: str = "speech") -> MotionSequence:
    """What a stream makes of a whole recording [N], not empty: ceil(N / 640) frames."""
    stream = MotionStream(avatar, config, source)
    return joined([part for part in (stream.push(audio), stream.finish()) if part is not None])


class _Gate:
    """How silent it is, told from the past: `behaviour.silence` for a stream."""

    def __init__(self) -> None:
        self._level, self._since = 1.0, np.inf  # 1: at rest; [s] since speech

    def quiet(self, speech: np.ndarray) -> np.ndarray:
        """Probability of speech [N] at 50 Hz -> [ceil(N/2)] silence in [0, 1] at 25 fps."""
        out, step = [], 0.5 / FPS
        for probability in speech:
            self._since = 0.0 if probability > _SPEECH else self._since + step
            if self._since == 0:
                self._level = max(0.0, self._level - step / _PARTS)
            elif self._since > _HANGOVER:
                self._level = min(1.0, self._level + step / _SETTLES)
            out.append(self._level)
        return (0.5 - 0.5 * np.cos(np.pi * np.array(out[::2]))).astype(np.float32)
