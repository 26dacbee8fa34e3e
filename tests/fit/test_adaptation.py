"""Learning a person's post-net from a recording, with the shipped motion model and made-up people."""
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from geneface.config import MotionConfig
from geneface.face.arkit import ARKIT_NAMES
from geneface.fit.adaptation import Adaptation, _later, adapt, lip_offset
from geneface.motion.measures import MouthMeasures
from geneface.motion.metrics import mouth_metrics
from geneface.motion.predict import load_generator, predict
from geneface.motion.sync import SyncResult
from geneface.types import Avatar, CameraTrack, SpeechFeatures

pytestmark = pytest.mark.usefixtures("one_thread")

JAW, STRETCH = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthStretchLeft")
PLAIN = MotionConfig(blinks_per_minute=0.0, gaze_degrees=0.0, breathing=0.0)


def recorded(frames: int = 500, follows: bool = True, seed: int = 0) -> SimpleNamespace:
    """Somebody whose jaw and mouth corners follow two directions of the content features, or nothing at all."""
    random = np.random.default_rng(seed)
    drive = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(9), "same"), 0, random.standard_normal((frames, 2)))
    drive = np.clip(drive / drive.std(0), -2, 2)
    heard = drive if follows else random.standard_normal((frames, 2))
    content = 0.3 * random.standard_normal((2 * frames, 512)) + (heard @ random.standard_normal((2, 512))).repeat(2, 0)
    expression = np.zeros((frames, 52), np.float32)
    expression[:, JAW] = 0.2 + 0.08 * drive[:, 0]
    expression[:, [STRETCH, STRETCH + 1]] = 0.3 + 0.1 * drive[:, 1:]
    blank = np.zeros(2 * frames, np.float32)
    speech = SpeechFeatures(content.astype(np.float32), blank, blank - 20, blank, np.ones_like(blank), 50.0)
    train = range(0, frames * 4 // 5)
    return SimpleNamespace(speech=speech, fps=25.0, train_frames=train,
                           face=SimpleNamespace(expression=expression, valid=np.ones(frames, bool)))


def avatar_of(person: SimpleNamespace, motion: dict) -> Avatar:
    own = person.face.expression[:len(person.train_frames)]
    camera = CameraTrack(np.eye(3), np.tile(np.eye(4), (5, 1, 1)), 8, 8, 25.0)
    return Avatar({}, {}, np.zeros(3), MouthMeasures.of_basis().landmarks(own).astype(np.float32), own, camera,
                  np.zeros((8, 8, 3), np.uint8), {}, {}, motion)


@pytest.fixture(scope="module")
def learned() -> tuple[SimpleNamespace, Adaptation]:
    person = recorded()
    return person, adapt(person, load_generator())


def test_the_adapted_avatar_follows_the_person_where_it_was_not_learned(learned, tmp_path):
    (person, result), measures = learned, MouthMeasures.of_basis()
    assert result.figures["used"] and result.figures["offset_frames"] == 0
    assert result.figures["after"]["mouth_open_correlation"] > 0.8
    frames = slice(len(person.train_frames), None)
    truth = measures.landmarks(person.face.expression[frames])
    scores = {}
    for name, motion in (("generic", {}), ("adapted", result.tensors())):
        path = tmp_path / f"{name}.avatar"
        avatar_of(person, motion).save(path)
        moved = predict(person.speech, Avatar.load(path), PLAIN)
        scores[name] = mouth_metrics([(moved.landmarks[frames], truth)])
    assert scores["adapted"]["mouth_open_correlation"] > 0.8 > scores["generic"]["mouth_open_correlation"] + 0.2
    assert 0.6 < scores["adapted"]["mouth_open_variance"] < 1.3
    unused = predict(person.speech, avatar_of(person, result.tensors()), replace(PLAIN, adaptation=0.0))
    plain = predict(person.speech, avatar_of(person, {}), PLAIN)
    np.testing.assert_array_equal(unused.expression, plain.expression)


def test_a_post_net_of_another_generator_is_not_used(learned):
    person, result = learned
    motion = result.tensors()
    motion["postnet.generator"] = motion["postnet.generator"] ^ 1
    np.testing.assert_array_equal(predict(person.speech, avatar_of(person, motion), PLAIN).expression,
                                  predict(person.speech, avatar_of(person, {}), PLAIN).expression)


def test_nothing_is_learned_where_there_is_nothing_to_learn():
    result = adapt(recorded(300, follows=False), load_generator())
    assert result.postnet is None and not result.figures["used"] and not result.tensors()
    assert adapt(recorded(frames=60), load_generator()).figures == {
        "used": False, "why": "48 frames with sound are too few to learn from"}


@pytest.mark.parametrize("ours, theirs, confidence, expected", [
    (-0.5, 2.1, 0.3, 2.5), (-0.4, -3.0, 0.3, -2.5), (-0.4, 0.3, 0.5, 0.0), (0.0, 3.0, 0.1, 0.0),
    (0.0, -14.0, 0.5, 0.0)])
def test_lip_offset_is_against_generated_lips_and_must_be_clear(ours, theirs, confidence, expected):
    results = iter([SyncResult(ours, 0.6, 1.0, np.zeros(31)), SyncResult(theirs, confidence, 1.0, np.zeros(31))])
    expert = SimpleNamespace(offset=lambda content, tune, mouth: next(results))
    nothing = np.zeros((4, 512), np.float32), np.zeros((4, 3), np.float32), *np.zeros((2, 2, 68, 3), np.float32)
    assert lip_offset(expert, *nothing) == expected


def test_lips_that_are_early_are_learned_from_in_time():
    expression = np.zeros((500, 52))
    expression[:, JAW] = np.arange(500)
    np.testing.assert_allclose(_later(expression, -2.5)[10:490, JAW], np.arange(7.5, 487.5))
    np.testing.assert_array_equal(_later(expression, 0.0), expression)
