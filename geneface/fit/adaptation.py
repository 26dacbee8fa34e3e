"""Learning a person's post-net from their recording (part of `geneface fit`).

Every figure that a choice rests on comes from predictions of blocks of the recording that were not learned from:
blocks, not frames, for neighbouring frames are alike. Where the generic motion does as well, the person gets no
post-net.
"""
from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..config import MotionConfig
from ..metrics.evaluate import excerpt
from ..motion.comparison import Comparison
from ..motion.judges import lips, sync_metrics
from ..motion.manifold import REFERENCES, PersonSpace
from ..motion.measures import MouthMeasures
from ..motion.metrics import mouth_metrics
from ..motion.person import Person, is_driven
from ..motion.postnet import PostNet, Regression, fingerprint
from ..motion.predict import hear
from ..motion.style import SpeakingStyle
from ..motion.sync import CONFIDENT, SyncExpert
from ..motion.vae import MotionGenerator
from ..speech.melody import melody
from ..types import PreparedPerson, SpeechFeatures

_BLOCKS = 5
_GAP = 12  # frames left out beside a block that is predicted: what is heard and seen there reaches into it
_LEAST_FRAMES = 200  # of speech (8 s): with fewer, blocks of them say too little to choose by
_MOST_FRAMES = 6000  # learned from; of longer recordings, so many evenly spread
_PENALTIES = (0.5, 1.0, 2.0, 5.0)
_GAINS = (1.0, 1.6)
_WORTH = 0.02  # a gain in correlation below this is chance
_VELOCITY_SLACK = 0.02  # share by which the velocity error may rise, for lips that move more
_FARTHEST_OFFSET = 8  # frames that a recording's sound and picture may be apart
_DRIFT = 1.0  # frames by which the post-net may move the lips against the sound
_KEYS = ("mouth_open_correlation", "mouth_width_correlation", "mouth_open_variance", "lip_velocity_error", "jitter",
         "tracked_jitter", "sync_offset", "sync_confidence", "tracked_sync_confidence")


@dataclass(frozen=True)
class Adaptation:
    """What came of it.

    Attributes:
        postnet: None where it would not have been worth it.
        figures: JSON values: used; why; seconds (of speech learned from), offset_frames (by which the recording's lips
            are later than its sound), penalty, gain; before and after {figures of
            `mouth_metrics` and `sync_metrics`}: on blocks of the recording that were predicted without having been
            learned from.
    """

    postnet: PostNet | None
    figures: dict[str, Any]

    def tensors(self) -> dict[str, np.ndarray]:
        """For `Avatar.motion`."""
        return {} if self.postnet is None else {f"postnet.{n}": v for n, v in self.postnet.tensors().items()}


def adapt(person: PreparedPerson, generator: MotionGenerator, config: MotionConfig = MotionConfig(),
          measures: MouthMeasures | None = None) -> Adaptation:
    """A post-net for `person`, learned from their training frames alone.

    Args:
        generator: whose motion it corrects.
        config: how the motion is generated and fitted otherwise.
        measures: landmarks of the face basis; by default of the package's own.
    """
    began = time.monotonic()
    frames = person.train_frames
    speech = excerpt(person.speech, frames, person.fps)
    count = min(len(frames), len(speech) // 2)
    if count < _LEAST_FRAMES:
        return Adaptation(None, {"used": False, "why": f"{count} frames with sound are too few to learn from"})
    task = _Recording(person, speech, count, generator, replace(config, temperature=0.0, adaptation=1.0),
                      measures or MouthMeasures.of_basis())
    if len(task.rows) < _LEAST_FRAMES:
        return Adaptation(None, {"used": False, "why": f"{len(task.rows)} frames of speech are too few to learn from"})
    before = task.measured(task.people(None))
    tried = {penalty: task.people(penalty) for penalty in _PENALTIES}
    scores = {penalty: task.measured(people) for penalty, people in tried.items()}
    penalty = max(scores, key=lambda each: _score(scores[each]))
    widened = float(np.clip((scores[penalty]["mouth_open_variance"] or 1.0) ** -0.5, *_GAINS))
    # A wider mouth is also a faster one: where that costs too much, the regression's own width is kept.
    choices = {widened: task.measured(tried[penalty], widened), 1.0: scores[penalty]}
    gain = next((gain for gain, after in choices.items() if _better(after, before)), widened)
    after, used = choices[gain], _better(choices[gain], before)
    postnet = _widened(task.learn(penalty), gain).postnet if used else None
    why = "closer to the recording" if used else "not clearly closer to the recording than generic motion"
    return Adaptation(postnet, {
        "used": used, "why": why, "seconds": len(task.rows) / person.fps, "offset_frames": task.offset,
        "penalty": penalty, "gain": gain, "before": before, "after": after,
        "learning_seconds": round(time.monotonic() - began, 1),
    })


def _score(figures: dict[str, Any]) -> float:
    """Mean correlation of opening and width; a mouth that does not move has none."""
    return float(np.mean([figures[key] or 0.0 for key in _KEYS[:2]]))


def _better(after: dict[str, Any], before: dict[str, Any]) -> bool:
    """Clearly closer on average, and in nothing worse."""
    worse = any((after[key] or 0.0) < (before[key] or 0.0) for key in _KEYS[:2])
    faster = after["lip_velocity_error"] > (1 + _VELOCITY_SLACK) * before["lip_velocity_error"]
    told = (before["tracked_sync_confidence"] or 0.0) >= CONFIDENT
    drifted = told and abs(after["sync_offset"] - before["sync_offset"]) > _DRIFT
    return not worse and not faster and not drifted and _score(after) > _score(before) + _WORTH


class _Recording:
    """The person's training frames, ready to learn from and to measure on."""

    def __init__(self, person: PreparedPerson, speech: SpeechFeatures, count: int, generator: MotionGenerator,
                 config: MotionConfig, measures: MouthMeasures) -> None:
        self.generator, self.config, self.measures = generator, config, measures
        self.fingerprint = fingerprint(generator)
        self.heard = hear(speech, generator, config).part(range(count))
        self.driven = np.flatnonzero(is_driven(generator))
        tracked, self.valid = person.face.expression[:count], person.face.valid[:count]
        self.expert = SyncExpert.load()
        self.content, self.tune = speech.content[:2 * count], melody(speech)[:2 * count]
        self.offset = lip_offset(self.expert, self.content, self.tune, measures.landmarks(self.heard.likeliest),
                                 measures.landmarks(tracked))
        # Lips that are late for their sound are a fault of the recording, not a habit to learn.
        self.expression = _later(tracked, self.offset)
        self.landmarks = measures.landmarks(self.expression).astype(np.float32)
        own = self.heard.content[self.heard.spoken]
        channels = speech.content.shape[1]
        self.voice = np.stack([own.mean(0), own.std(0)]) if len(own) else np.zeros((2, channels), np.float32)
        rows = np.flatnonzero(self.valid & self.heard.spoken)
        self.rows = rows[:: -(-len(rows) // _MOST_FRAMES) or 1]
        if len(rows) >= _LEAST_FRAMES:
            self.regression = Regression(self.heard.content, self.heard.likeliest[:, self.driven], self.rows)

    def learn(self, penalty: float | None, without: range = range(0)) -> Person:
        """The person as known from all frames but those of a block and its surroundings; without post-net where there
        is no penalty."""
        seen = self.valid.copy()
        if len(without):
            seen[max(0, without.start - _GAP):without.stop + _GAP] = False
        kept, references = seen[self.rows], np.flatnonzero(seen)
        references = references[:: -(-len(references) // REFERENCES)]
        space = PersonSpace(self.landmarks[references], self.expression[references])
        person = Person(space.rest, SpeakingStyle.of_landmarks(self.landmarks, spoken=self.heard.spoken), space)
        if penalty is None:
            return person
        base = person.base(self.heard.likeliest, self.generator, self.config)
        target = (self.expression - base)[self.rows][:, self.driven].astype(np.float64)
        filters, bias = self.regression.solve(target, penalty, kept)
        centre = self.expression[self.rows[kept]][:, self.driven].mean(0)
        return replace(person, postnet=PostNet(
            filters, bias, self.driven.astype(np.int32), np.ones(1, np.float32), centre.astype(np.float32),
            self.fingerprint, self.voice))

    @property
    def blocks(self) -> list[range]:
        """Frames of so many parts that hold as much speech each."""
        return [range(int(rows[0]), int(rows[-1]) + 1) for rows in np.array_split(self.rows, _BLOCKS)]

    def people(self, penalty: float | None) -> list[Person]:
        """For each block, the person as known from the others."""
        return [self.learn(penalty, block) for block in self.blocks]

    def measured(self, people: list[Person], gain: float = 1.0) -> dict[str, Any]:
        """Figures (`_KEYS`) of the blocks, each as its own of `people` moves."""
        compared = []
        for block, person in zip(self.blocks, people):
            moves = _widened(person, gain).moves
            weights = moves(self.heard.part(block), self.generator, self.config, self.measures)
            sound = slice(2 * block.start, 2 * block.stop)
            compared.append(Comparison(
                f"block at frame {block.start}", self.measures.landmarks(weights),
                self.landmarks[block.start:block.stop], self.content[sound], self.tune[sound]))
        figures = mouth_metrics([(one.generated, one.tracked) for one in compared])
        figures |= sync_metrics(compared, self.expert)
        return {key: figures[key] for key in _KEYS}


def _widened(person: Person, gain: float) -> Person:
    if person.postnet is None:
        return person
    return replace(person, postnet=replace(person.postnet, gain=np.array([gain], np.float32)))


def lip_offset(expert: SyncExpert, content: np.ndarray, tune: np.ndarray, generic: np.ndarray,
               tracked: np.ndarray) -> float:
    """Frames by which tracked lips are later than generated ones, as the sync expert times both: in half frames, 0
    where it is less than one or cannot be told.

    Args:
        content: [2T, 512]. tune: [2T, 3] melody. generic, tracked: [T, 68, 3] landmarks.
    """
    ours, theirs = (expert.offset(torch.from_numpy(content.T), torch.from_numpy(tune.T), lips(x))
                    for x in (generic, tracked))
    offset = round(2 * (theirs.frames - ours.frames)) / 2
    return offset if theirs.confidence >= CONFIDENT and 1 <= abs(offset) <= _FARTHEST_OFFSET else 0.0


def _later(values: np.ndarray, frames: float) -> np.ndarray:
    """Values [T, C] as they are so many frames later, linear between frames, ends held."""
    if frames == 0:
        return values
    at = np.clip(np.arange(len(values)) + frames, 0, len(values) - 1)
    before = at.astype(int)
    after, share = np.minimum(before + 1, len(values) - 1), (at - before)[:, None]
    return ((1 - share) * values[before] + share * values[after]).astype(values.dtype)
