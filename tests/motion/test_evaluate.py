"""`evaluate-motion` on a made-up person."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface import media
from geneface.config import MotionConfig
from geneface.errors import UserError
from geneface.motion.baseline import MelRegression
from geneface.motion.comparison import compare_person
from geneface.motion.evaluate import evaluate_motion
from geneface.motion.measures import MouthMeasures
from geneface.motion.predict import predict
from geneface.types import FaceTrack, PreparedPerson, SpeechFeatures

FRAMES, TRAINED = 66, 60


@pytest.fixture(scope="module")
def measures() -> MouthMeasures:
    return MouthMeasures.of_basis()


@pytest.fixture(scope="module")
def person(measures, tmp_path_factory) -> PreparedPerson:
    """Who moves as the shipped model says, but for the frames that train, where the mouth is still."""
    folder = tmp_path_factory.mktemp("person")
    random = np.random.default_rng(0)
    heard = 2 * FRAMES - 1  # as of a recording that ends within its last frame
    speech = SpeechFeatures(random.standard_normal((heard, 512)).astype(np.float32),
                            np.full(heard, 4.8, np.float32), np.full(heard, -20, np.float32),
                            np.ones(heard, np.float32), np.ones(heard, np.float32), 50.0)
    expression = predict(speech, None, MotionConfig(), measures=measures).expression.copy()
    expression[:TRAINED] = expression[:1]
    speech.save(folder / "speech.npz")
    FaceTrack(random.random((FRAMES, 478, 2)), np.ones(FRAMES, bool), np.zeros(4), expression, np.ones((FRAMES, 2)),
              np.zeros((FRAMES, 2)), 25.0).save(folder / "face.npz")
    media.write_wav(folder / "audio.wav", random.uniform(-0.5, 0.5, 640 * FRAMES).astype(np.float32))
    return PreparedPerson(folder, {"frames": FRAMES, "train_frames": TRAINED, "fps": 25.0, "source": {"name": "a.mp4"}})


def test_only_held_out_frames_count(person, measures, tmp_path):
    page = tmp_path / "page.html"
    result = evaluate_motion(person=person, out=page, measures=measures)
    assert result["clips"] == 1 and result["lip_distance_mm"] == pytest.approx(0, abs=1e-5)
    assert result["mouth_open_correlation"] == pytest.approx(1) and result["bilabials"] == 0
    assert result["wer_real"] is None and result["seed_distance_mm"] > 0
    assert page.read_text("utf-8").count("<audio") == 1


def test_all_parts_of_a_comparison_are_of_the_same_frames(person, measures):
    frames = range(50, FRAMES)
    one = compare_person(person, None, MotionConfig(), measures, frames, sampled_at=1.0,
                         baseline=MelRegression(("jawOpen",)).eval())
    np.testing.assert_allclose(one.tracked[10:], one.generated[10:], atol=1e-7)
    assert np.abs(one.tracked[:10] - one.generated[:10]).max() > 1e-4
    np.testing.assert_array_equal(one.content[:31], person.speech.content[100:])
    assert len(one.content) == 32 and not one.content[31].any()
    np.testing.assert_allclose(one.audio, media.read_audio(person.path / "audio.wav")[640 * 50:])
    assert [len(motion) for motion in (*one.sampled, one.baseline)] == [16, 16, 16]
    assert not np.array_equal(*one.sampled)


def test_a_person_without_held_out_frames(person):
    whole = replace(person, manifest=person.manifest | {"train_frames": FRAMES})
    with pytest.raises(UserError, match="no frame is held out"):
        evaluate_motion(person=whole)
