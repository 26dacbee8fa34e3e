"""Losses of frozen experts: what they are given, when they have a say, and where their gradient goes."""
from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.landmarks import LIPS_68
from geneface.fit.motion import DRIVEN
from geneface.fit.motion.batches import Sampler
from geneface.fit.motion.experts import Experts
from geneface.fit.motion.objective import Objective
from geneface.fit.motion.processes import Processes
from geneface.fit.motion.train import Training
from geneface.motion.baseline import MelRegression
from geneface.motion.measures import MouthMeasures
from geneface.motion.vae import GeneratorSpec, MotionGenerator

from tests.pretended_device import PretendedDevice

from .corpora import write_small_corpus

pytestmark = pytest.mark.usefixtures("one_thread")

ALONE = Processes(0, 1, torch.device("cpu"))
CONFIG = MotionConfig(batch=6, sync_weight=0.5, reader_weight=0.25, experts_from=0.4)


class Sync(torch.nn.Module):
    """Wants lips that do not move, in the middle of what is heard."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1e3))
        self.given = []

    def loss(self, content, melody, mouth, mask):
        self.given.append((content, melody, mouth, mask))
        return self.gain * mouth.diff(dim=1).square().sum()


class Reader(torch.nn.Module):
    """Knows two words."""

    def __init__(self):
        super().__init__()
        self.given = []

    def knows(self, words):
        return set(words) <= {"a", "b"}

    def loss(self, mouth, mask, words):
        self.given.append((mouth, mask, words))
        return 1e3 * mouth.square().mean()


@pytest.fixture
def parts(tmp_path):
    torch.manual_seed(0)
    model = MotionGenerator(GeneratorSpec(DRIVEN, hidden=16))
    model.weight_mean.fill_(0.2)
    model.weight_std.fill_(0.1)
    sampler = Sampler([MotionCorpus(write_small_corpus(tmp_path))], model, np.ones(1), np.ones(1), CONFIG, ALONE)
    return model, MelRegression(DRIVEN, hidden=8), sampler.draw(0)


def test_lips_are_those_of_the_weights(parts):
    model, _, batch = parts
    measures = MouthMeasures.of_basis()
    weights = np.zeros((batch.motion.shape[2], 52), np.float32)
    weights[:, [ARKIT_NAMES.index(name) for name in DRIVEN]] = model.weights(batch.motion)[1]
    lips = Experts(Sync(), None, measures, model, ALONE.device).mouth(batch.motion)[1]
    np.testing.assert_allclose(lips, measures.landmarks(weights)[:, LIPS_68], atol=1e-7)


def test_experts_judge_from_their_share_of_the_steps_on(parts):
    model, baseline, batch = parts
    batch = batch._replace(words=[["a", "b"], [], ["a", "what"], ["b"], ["a"], ["a"]])
    sync, reader = Sync(), Reader()
    experts = Experts(sync, reader, MouthMeasures.of_basis(), model, ALONE.device)
    objective = Objective(model, baseline, MouthMeasures.of_basis(), CONFIG, ALONE, experts).eval()
    before = objective(batch, 0.39)
    assert "sync" not in before and not experts.sync.given
    after = objective(batch, 0.4)
    torch.testing.assert_close(
        after["total"] - before["total"], 0.5 * after["sync"] + 0.25 * after["reader"], rtol=1e-3, atol=1e-4)
    content, melody, mouth, mask = experts.sync.given[0]
    assert torch.equal(content, batch.plain_content) and torch.equal(melody, batch.plain_melody)
    read, inside, words = experts.reader.given[0]
    assert words == [["a", "b"], ["b"], ["a"], ["a"]] and torch.equal(read, mouth[[0, 3, 4, 5]])
    assert torch.equal(inside, mask[[0, 3, 4, 5]])


def test_gradient_reaches_the_generator_alone(parts):
    model, baseline, batch = parts
    config = replace(CONFIG, experts_from=0.0, reader_weight=0.0)
    experts = Experts(Sync(), None, MouthMeasures.of_basis(), model, ALONE.device)
    objective = Objective(model, baseline, MouthMeasures.of_basis(), config, ALONE, experts).eval()
    objective(batch, 1.0)["sync"].backward()
    assert all(model.get_submodule(name).weight.grad.abs().sum() > 0 for name in ("content_in", "motion_out"))
    assert all(value.grad is None for value in baseline.parameters()) and experts.sync.gain.grad is None
    trained = {name.split(".")[0] for name, _ in objective.named_parameters()}
    assert trained == {"model", "baseline"} and not experts.sync.training


def test_without_weights_no_expert_is_read(parts):
    measures = MouthMeasures.of_basis()
    assert Experts.of_config(MotionConfig(sync_expert="missing"), measures, parts[0], ALONE.device) is None


def test_shipped_experts_move_the_generator(parts):
    model, baseline, batch = parts
    batch = batch._replace(words=[["bin", "blue", "at", "f", "two", "now"]] * 6)
    experts = Experts.of_config(CONFIG, MouthMeasures.of_basis(), model, ALONE.device)
    objective = Objective(model, baseline, MouthMeasures.of_basis(), CONFIG, ALONE, experts).eval()
    opinions = objective(batch, 1.0)
    for name in ("sync", "reader"):
        model.zero_grad()
        opinions[name].backward(retain_graph=True)
        assert opinions[name] > 0.5 and model.motion_out.weight.grad.abs().sum() > 0, name


def test_a_step_makes_every_tensor_on_its_device(parts, tmp_path, monkeypatch):
    """A device that is not there: the same losses as on the CPU, and no tensor of the one meets one of the other."""
    monkeypatch.setattr("geneface.fit.motion.objective.autocast", lambda device: nullcontext())
    corpus = MotionCorpus(write_small_corpus(tmp_path / "corpus"))
    monkeypatch.setattr("geneface.corpus.ClipInfo.sentence", ["bin", "blue"])
    config = replace(CONFIG, steps=10, experts_from=0.0, sample_weight=0.5)

    def losses(device: torch.device) -> list[dict]:
        spec = GeneratorSpec(DRIVEN, hidden=16, dropout=0.0)
        training = Training([corpus], tmp_path / "m.safetensors", config, Processes(0, 1, device),
                            MouthMeasures.of_basis(), spec)
        training.baseline.eval()  # dropout is drawn on the device
        made = [training._step(training._objective, step, 0.0) for step in range(2)]
        training.save()
        assert {value.device for value in training.average.state_dict().values()} == {device}
        return made

    expected = losses(torch.device("cpu"))
    with PretendedDevice() as device:
        actual = losses(device)
    for one, other in zip(actual, expected):
        assert one == pytest.approx(other, rel=2e-3)
