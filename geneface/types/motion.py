"""Facial motion, the driving signal of every renderer and exporter."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .records import NpzRecord, check_array, require
from .tracks import EXPRESSIONS

CANONICAL_LANDMARKS = 68
EYE_RADIUS_M = 0.012

Word = tuple[float, float, str]
"""A spoken word: when it begins and ends [s], and the word."""


@dataclass(frozen=True)
class MotionSequence(NpzRecord):
    """Facial motion free of identity: the driving signal of every renderer and exporter.

    Attributes:
        landmarks: [T,68,3] canonical landmarks in head space [m], on the basis' mean identity.
        expression: [T,52] ARKit expression weights in [0,1].
        blink: [T] eyelid closure in [0,1].
        gaze: [T,2] gaze yaw (to the image's right) and pitch (up) relative to the head [rad].
        fps: frames per second.
        source: where the motion came from, for people ("speech: talk.wav", "tracked: cnn2.mp4").
        head_pose: [T,4,4] head-to-camera transforms [m], or None to take the avatar's own.
        words: what is said, in order, where that is known.
        history: what was done to the motion, one line a step, in the words of the command line ("mouth 1.2").
    """

    max_bytes: ClassVar[int] = 1 << 29

    landmarks: np.ndarray
    expression: np.ndarray
    blink: np.ndarray
    gaze: np.ndarray
    fps: float
    source: str
    head_pose: np.ndarray | None = None
    words: tuple[Word, ...] = ()
    history: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = len(self.landmarks)
        check_array("landmarks", self.landmarks, (frames, CANONICAL_LANDMARKS, 3))
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("blink", self.blink, (frames,))
        check_array("gaze", self.gaze, (frames, 2))
        if self.head_pose is not None:
            check_array("head_pose", self.head_pose, (frames, 4, 4))
        require(0 < self.fps < float("inf"), f"fps must be positive and finite, got {self.fps}")
        # Files hold lists; a motion holds tuples, so that it can be compared and shared.
        words = tuple((float(begin), float(end), _text(word)) for begin, end, word in self.words)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "history", tuple(_text(step) for step in self.history))
        object.__setattr__(self, "source", _text(self.source))
        ordered = all(0 <= begin <= end < float("inf") for begin, end, _ in self.words)
        require(ordered and list(self.words) == sorted(self.words, key=lambda word: word[0]),
                "words: must be in order, each beginning at 0 or later and ending no sooner than it begins")

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def seconds(self) -> float:
        """How long it lasts [s]."""
        return len(self) / self.fps

    def after(self, step: str, **changes) -> "MotionSequence":
        """A copy with `changes` to its fields, and `step` at the end of its history."""
        return replace(self, **changes, history=(*self.history, step))

    @property
    def driving(self) -> np.ndarray:
        """[T,69,3] what drives a field [m]: the landmarks, then how far the gaze moves the pupils."""
        yaw, pitch = self.gaze.astype(np.float32).T
        pupils = np.stack([np.sin(yaw), -np.sin(pitch), np.zeros_like(yaw)], axis=1) * EYE_RADIUS_M
        return np.concatenate([self.landmarks, pupils[:, None]], axis=1, dtype=np.float32)


def _text(value: object) -> str:
    """As UTF-8 can write it: names of files may hold bytes that are no text."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
