"""Near the end of a fit the occupied cells shrink to those that light comes from, and stay so."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.fit import trainer as training
from tests.nerf.mock_person import make_mock_person

from .test_learning import CONFIG, new_trainer


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    return make_mock_person(tmp_path_factory.mktemp("mock") / "person", frames=33, width=44, height=56)


def occupied(trainer) -> np.ndarray:
    return np.unpackbits(trainer.portrait.occupancy.bits.numpy())


def test_cells_without_light_go_for_good(mock, monkeypatch):
    """Watched from step 6 of 20, culled at step 15: before and after, cells do not change."""
    monkeypatch.setattr(training, "OCCUPANCY_START", 2)
    monkeypatch.setattr(training, "OCCUPANCY_EVERY", 1000)
    monkeypatch.setattr(training, "WATCH_FROM", 0.3)
    monkeypatch.setattr(training, "CULL_FROM", 0.75)
    monkeypatch.setattr(training, "CULL_STEPS", 9)
    monkeypatch.setattr(training, "CULL_THRESHOLD", 0.01)  # twenty steps leave a thin fog
    config = training.replace(CONFIG, steps=20)
    trainer = new_trainer(mock, config)
    watched = torch.zeros_like(trainer.portrait.occupancy.seen)
    recorded = trainer.portrait.occupancy.record

    def record(x, weights, aabb):
        left = x[:, 0] < aabb[[0, 3]].mean()  # as if the other half were dark
        x, weights = x[left], weights[left]
        if trainer.progress >= 0.3:
            training.ops.occupancy_record(x, weights, aabb, watched)
        recorded(x, weights, aabb)

    monkeypatch.setattr(trainer.portrait.occupancy, "record", record)
    shares = []
    for _ in range(20):
        trainer.step()
        shares.append(trainer.portrait.occupancy.share())
        if trainer.step_count == 12:
            resumed = new_trainer(mock, config)
            resumed.restore(trainer.state())
            assert resumed.state() == trainer.state() and resumed.state()["watched"] == 7
    assert len(set(shares[:14])) == 1 and len(set(shares[14:])) == 1
    assert 0 < shares[-1] < 0.8 * shares[0]
    bright = (watched > training.CULL_THRESHOLD).float()[None, None]
    kept = (torch.nn.functional.max_pool3d(bright, 3, stride=1, padding=1) > 0).numpy().flatten()
    kept &= trainer.portrait.occupancy.hull.numpy().flatten()
    assert np.array_equal(np.unpackbits(trainer.portrait.occupancy.bits.numpy(), bitorder="little").astype(bool), kept)
    assert trainer.state()["culled"]


def test_short_fits_are_not_culled(mock, monkeypatch):
    """Too few steps to have seen every expression: nothing goes but what the margin leaves."""
    monkeypatch.setattr(training, "OCCUPANCY_START", 2)
    monkeypatch.setattr(training, "OCCUPANCY_EVERY", 1000)
    trainer = new_trainer(mock, training.replace(CONFIG, steps=8))
    before = occupied(trainer)
    for _ in range(8):
        trainer.step()
    assert trainer.state()["watched"] > 0 and not trainer.state()["culled"]
    assert np.array_equal(occupied(trainer), before)
