"""What tensorboard gets of a training: figures of held-out clips, and lips that move."""
from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus
from geneface.fit.motion import DRIVEN
from geneface.fit.motion.monitor import Monitor
from geneface.fit.motion.validation import held_out, mouth_animation, validation_metrics
from geneface.motion.measures import MouthMeasures
from geneface.motion.vae import GeneratorSpec, MotionGenerator

from .corpora import write_small_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return MotionCorpus(write_small_corpus(tmp_path_factory.mktemp("corpus")))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = MotionGenerator(GeneratorSpec(DRIVEN, hidden=16)).eval()
    model.weight_mean.fill_(0.2)
    model.weight_std.fill_(0.2)
    return model


def test_lips_move_as_tracked(corpus, model):
    """One panel column a motion, one row a clip, as many pictures as the longest has frames."""
    measures, chosen = MouthMeasures.of_basis(), held_out(corpus, 2)
    assert len(chosen) == 2 and set(chosen) <= set(corpus.test)
    animation = Image.open(io.BytesIO(mouth_animation(model, corpus, chosen, measures)))
    assert animation.size == (4 * 160, 2 * 160) and animation.info["duration"] == 40
    pictures = [np.array(frame.convert("L")) for frame in ImageSequence.Iterator(animation)]
    assert len(pictures) == max(corpus.frames[chosen])
    weights = corpus.clip(int(chosen[0])).expression.numpy()
    lips = measures.landmarks(weights)
    opening = (lips[:, 66] - lips[:, 62])[:, 1]
    drawn = []
    for picture in pictures[:len(weights)]:
        rows = np.flatnonzero((picture[:160, 80 - 8:80 + 8] < 60).any(1))  # the inner lips about the middle
        drawn.append(rows.max() - rows.min())
    assert np.corrcoef(drawn, opening)[0, 1] > 0.98


def test_tensorboard_reads_figures_and_animations(corpus, model, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    measures, config = MouthMeasures.of_basis(), MotionConfig()
    with Monitor(tmp_path, 0, True) as monitor:
        monitor.validate(model, [corpus, corpus], measures, config, 7)
    events = EventAccumulator(str(tmp_path)).Reload()
    expected = validation_metrics(model, corpus, measures, config)
    assert {"lip_velocity_error", "sync_offset", "sync_confidence"} <= set(expected)
    for name in ("lip_velocity_error", "sync_confidence"):
        point, = events.Scalars(f"held_out_1/{name}")
        assert point.step == 7 and point.value == pytest.approx(expected[name], rel=1e-5)
    picture, = events.Images("held_out/tracked, generated, two samples")
    assert picture.encoded_image_string[:6] == b"GIF89a" and (picture.width, picture.height) == (640, 480)
    assert Image.open(io.BytesIO(picture.encoded_image_string)).n_frames > 20


def test_other_processes_log_nothing(tmp_path):
    with Monitor(tmp_path / "run", 0, False):
        assert not (tmp_path / "run").exists()
