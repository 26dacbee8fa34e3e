"""How late sound is, told by the sync expert."""
from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from data_prep.footage import Footage
from data_prep.preflight.examine import Examination, Source
from data_prep.preflight.shots import Take
from data_prep.prepare import _Preparation
from data_prep.synthetic import demo_audio
from data_prep.timing import sound_timing
from geneface.config import PrepareConfig
from geneface.media import read_audio
from geneface.motion.predict import predict
from geneface.speech.features import extract
from geneface.speech.melody import melody
from geneface.types import FaceTrack, SpeechFeatures


@lru_cache(maxsize=1)
def talk():
    """Sound at 16 kHz of drawn speech, its features, and lips that go with it."""
    audio = read_audio(demo_audio("training"), 16000)[:20 * 16000]
    features = extract(audio)
    return audio, features, predict(features).expression


def late(frames: int):
    """Features of the same sound so many frames later (earlier where negative), and the lips."""
    _, features, expression = talk()
    content, tune = (np.roll(x, 2 * frames, axis=0) for x in (features.content, melody(features)))
    return content, tune, expression


@pytest.mark.parametrize("frames", [-4, 0, 3])
def test_known_offsets_are_found(frames):
    here, there = sound_timing(*late(0)), sound_timing(*late(frames))
    assert there.offset - here.offset == pytest.approx(frames, abs=0.35)
    assert here.drift == pytest.approx(0, abs=0.5)
    assert there.shift == (there.offset if abs(there.offset) >= 0.5 else 0)


def test_offsets_are_in_frames_of_the_film():
    content, tune, expression = late(3)
    at = np.arange(int(len(expression) * 30 / 25)) * 25 / 30
    faster = np.stack([np.interp(at, np.arange(len(expression)), column) for column in expression.T], axis=1)
    assert sound_timing(content, tune, faster.astype(np.float32), 30).offset == pytest.approx(
        sound_timing(content, tune, expression).offset * 30 / 25, abs=0.5)


def test_sound_of_another_speed_drifts_and_is_not_moved():
    content, tune, expression = late(0)
    pieces = [expression[:200], np.roll(expression, -4, axis=0)[200:300], np.roll(expression, -8, axis=0)[300:]]
    timing = sound_timing(content, tune, np.concatenate(pieces))
    assert timing.drift > 4 and timing.shift == 0


def test_what_does_not_belong_together_gives_none():
    content, tune, expression = late(0)
    half = len(content) // 2
    assert sound_timing(np.roll(content, half, axis=0), np.roll(tune, half, axis=0), expression).offset is None
    quiet = tune.copy()
    quiet[:, 1] = -2
    assert sound_timing(content, quiet, expression).offset is None
    assert sound_timing(content[:80], tune[:80], expression[:40]).offset is None


@pytest.mark.parametrize("correct", [True, False])
def test_late_sound_is_moved_to_the_mouth(tmp_path, correct):
    """What the sync stage finds, applied as the speech stage does, leaves sound and mouth together."""
    audio, _, expression = talk()
    frames = len(audio) // 640
    sound = np.pad(audio, (5 * 640, 0))[:len(audio)]  # five frames late
    config, take = replace(PrepareConfig(), correct_sync=correct), Take(0, frames, (), ())
    (tmp_path / "empty").mkdir()
    (tmp_path / "out" / "stages").mkdir(parents=True)
    source = Source(tmp_path / "a.mp4", None, None)
    run = _Preparation([source], tmp_path / "empty", config)
    run.out = tmp_path / "out"
    eyes = np.zeros((frames, 2), np.float32)
    FaceTrack(np.zeros((frames, 478, 2), np.float32), np.ones(frames, bool), np.zeros(4, np.float32),
              expression[:frames], eyes, eyes, 25.0).save(run.out / "face.npz")
    footage = Footage.of([source], ["0"], [Examination(None, take, None, None, sound, [])])
    run._sound(footage)
    found = run._sync(footage)
    own = sound_timing(*late(0)).offset
    assert found["offsets"] == [pytest.approx(5 + own, abs=0.35)]
    assert found["shifts"] == (found["offsets"] if correct else [0])
    run._speech(footage, found["shifts"])
    kept = SpeechFeatures.load(run.out / "speech.npz")
    left = sound_timing(kept.content, melody(kept), expression[:frames]).offset
    assert left == pytest.approx(0 if correct else 5 + own, abs=0.35)
