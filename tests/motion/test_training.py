"""Training: it learns, resumes to the same weights, and stops on nonsense."""
from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from geneface.cli.training import EVALUATE_KEYS
from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.fit.motion import train_motion
from geneface.fit.motion.objective import Objective
from geneface.motion.baseline import MelRegression, baseline_path
from geneface.motion.evaluate import evaluate_motion
from geneface.motion.measures import MouthMeasures
from geneface.motion.metrics import mouth_metrics
from geneface.motion.vae import MotionGenerator

from .corpora import write_small_corpus

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = MotionConfig(steps=20, batch=4, learning_rate=2e-3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_small_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "motion.safetensors"
    losses = []
    result = train_motion(corpus, out, CONFIG, on_step=lambda step, parts: losses.append(parts))
    return out, result, losses


def test_loss_falls_and_file_is_whole(trained):
    out, result, losses = trained
    assert result["steps"] == CONFIG.steps == len(losses)
    assert np.mean([parts["mode"] for parts in losses[-6:]]) < 0.95 * losses[0]["mode"]
    assert result["held_out"]["clips"] == 3 and out.stat().st_size < 12 * 2**20
    model, info = MotionGenerator.load(out)
    assert info["corpora"][0]["clips"] == 9 and info["config"]["steps"] == 20
    assert list(out.parent.joinpath("motion.run").glob("events*"))


def test_baseline_learns_beside_it(corpus, trained):
    """Its figures are those of the file: half precision costs little."""
    out, result, losses = trained
    assert np.mean([parts["baseline"] for parts in losses[-6:]]) < 0.8 * losses[0]["baseline"]
    baseline, data, measures = MelRegression.load(baseline_path(out)), MotionCorpus(corpus), MouthMeasures.of_basis()
    clips = [data.clip(int(i)) for i in data.test]
    pairs = [(measures.landmarks(baseline.predict(clip.mel.numpy())), measures.landmarks(clip.expression.numpy()))
             for clip in clips]
    expected = result["baseline_held_out"]["lip_velocity_error"]
    assert mouth_metrics(pairs)["lip_velocity_error"] == pytest.approx(expected, rel=0.01)
    (out.parent / "broken.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable baseline"):
        MelRegression.load(out.parent / "broken.safetensors")


def test_resume_gives_the_same_weights(corpus, trained, tmp_path, monkeypatch):
    """Stopped in the middle of a step and started again: the same as in one go."""
    out = tmp_path / "motion.safetensors"

    def stop(step, parts):
        if step == 5:  # the next step is stopped in its middle
            monkeypatch.setattr(Objective, "forward", interrupt)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as monkeypatch, pytest.raises(KeyboardInterrupt):
        train_motion(corpus, out, CONFIG, on_step=stop)
    assert not out.exists()
    train_motion(corpus, out, CONFIG)
    whole, parts = MotionGenerator.load(trained[0])[0].state_dict(), MotionGenerator.load(out)[0].state_dict()
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-4, msg=name)


def test_several_corpora(corpus, tmp_path):
    """By default each gives as many clips as it has; the model's motion is the first one's."""
    other = write_small_corpus(tmp_path / "other", clips=4, seed=1)
    out = tmp_path / "motion.safetensors"
    train_motion([corpus, other], out, replace(CONFIG, steps=2, trust="1,0.5"))
    model, info = MotionGenerator.load(out)
    assert [(row["clips"], row["share"], row["trust"]) for row in info["corpora"]] == [(9, 0.75, 1.0), (3, 0.25, 0.5)]
    assert [row["held_out"]["clips"] for row in info["corpora"]] == [3, 1]
    data = MotionCorpus(corpus)
    clips = [data.clip(int(i), n % 2).expression for n, i in enumerate(data.train)]
    driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
    torch.testing.assert_close(model.weight_mean, torch.cat(clips)[:, driven].mean(0), rtol=0, atol=1e-3)
    with pytest.raises(UserError, match="another corpus"):
        train_motion([corpus], out, replace(CONFIG, steps=3, trust="1"))
    with pytest.raises(UserError, match="mix=1,2,3: give one number"):
        train_motion([corpus, other], tmp_path / "m.safetensors", replace(CONFIG, mix="1,2,3"))


def test_checkpoint_of_another_run_is_refused(corpus, tmp_path):
    out = tmp_path / "motion.safetensors"
    train_motion(corpus, out, replace(CONFIG, steps=1))
    with pytest.raises(UserError, match="another corpus or configuration"):
        train_motion(corpus, out, replace(CONFIG, steps=2, kl_weight=0.5))
    (tmp_path / "motion.run" / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="unreadable checkpoint"):
        train_motion(corpus, out, replace(CONFIG, steps=2))


def test_not_finite_is_named(corpus, tmp_path):
    with pytest.raises(UserError, match="step .* not finite"):
        train_motion(corpus, tmp_path / "m.safetensors", replace(CONFIG, learning_rate=1e30, steps=40))


def test_corpus_without_training_clips(tmp_path):
    write_small_corpus(tmp_path, clips=1)  # the first is held out
    assert len(MotionCorpus(tmp_path).train) == 0
    with pytest.raises(UserError, match="no clip to train on"):
        train_motion(tmp_path, tmp_path / "m.safetensors", CONFIG)


def test_streamed_features_make_a_causal_model(corpus, trained, tmp_path):
    index = tmp_path / "streamed" / "corpus.json"
    shutil.copytree(corpus, index.parent)
    content = json.loads(index.read_text())
    content["info"]["streamed"] = True
    index.write_text(json.dumps(content))
    out = tmp_path / "m.safetensors"
    train_motion(index.parent, out, replace(CONFIG, steps=1))
    assert MotionGenerator.load(out)[0].spec.causal and not MotionGenerator.load(trained[0])[0].spec.causal
    with pytest.raises(UserError, match="prepare all with the same"):
        train_motion([corpus, index.parent], out, CONFIG)
    with pytest.raises(UserError, match="prepared with --set streamed=true"):
        evaluate_motion(corpus, config=MotionConfig(model=str(out)))


def test_evaluate_motion_writes_a_report(corpus, trained, tmp_path):
    report = tmp_path / "report.html"
    result = evaluate_motion(corpus=corpus, out=report, config=replace(CONFIG, model=str(trained[0])))
    assert result["clips"] == 3 and result["wer_real"] > 0 and result["report"] == str(report)
    assert set(EVALUATE_KEYS) <= set(result) and result["seed_distance_mm"] > 0
    assert result["lip_velocity_error"] > 0 and report.read_text("utf-8").count("data:image") == 3
    with pytest.raises(UserError, match="either"):
        evaluate_motion()
