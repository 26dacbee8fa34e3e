"""What a head takes over from other people's."""
from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geneface.config import FitConfig
from geneface.errors import UserError
from geneface.fit.avatar import new_trainer
from geneface.fit.setup import training_frames
from geneface.fit.start import SHARED, HeadStart
from geneface.nerf.condition import LEAST_DEVIATION_M
from geneface.nerf.head import HeadField, HeadSpec
from geneface.nerf.radnerf import RadNerfHead, RadNerfSpec
from tests.nerf.mock_person import make_mock_person

ROOT = Path(__file__).resolve().parents[2]
SPEC = HeadSpec(levels=4, max_resolution=64, log2_table_size=10, motion_levels=3, motion_log2_table_size=9, hidden=16)
BOX = torch.tensor([-0.1, -0.2, -0.1, 0.1, 0.2, 0.1])


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("train_release_start", ROOT / "tools" / "train_release_start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def learned(seed: int = 1) -> HeadStart:
    torch.manual_seed(seed)
    head = HeadField(SPEC)
    with torch.no_grad():
        head.motion_table.uniform_(-1, 1)
    tensors = {name: value.detach() for name, value in head.named_parameters() if name.startswith(SHARED)}
    return HeadStart(BOX, torch.linspace(1e-3, 2e-3, SPEC.driving), tensors)


def test_a_head_takes_over_all_but_the_face():
    torch.manual_seed(0)
    head, start = HeadField(SPEC), learned()
    face, mean = head.position_table.detach().clone(), torch.full((SPEC.driving,), 0.01)
    head.encoder.standardise.mean.copy_(mean)
    head.aabb.copy_(torch.tensor([-0.08, -0.25, -0.1, 0.12, 0.1, 0.1]))
    start.begin(head)
    own = dict(head.named_parameters())
    assert set(own) - set(start.tensors) == {"position_table"}
    assert all(torch.equal(own[name], value) for name, value in start.tensors.items())
    assert torch.equal(head.position_table, face)
    assert torch.equal(head.encoder.standardise.mean, mean)
    assert torch.equal(head.encoder.standardise.deviation, start.deviation)
    # Wider where this head needs it, else the common box.
    assert head.aabb.tolist() == pytest.approx([-0.1, -0.25, -0.1, 0.12, 0.2, 0.1])


def test_written_in_half_precision_and_read_again(tmp_path):
    start, path = learned(), tmp_path / "start.safetensors"
    start.save(path)
    read = HeadStart.load(path)
    assert torch.equal(read.box, start.box) and torch.equal(read.deviation, start.deviation)
    assert set(read.tensors) == set(start.tensors)
    for name, value in start.tensors.items():
        assert read.tensors[name].dtype == torch.float32
        assert torch.allclose(read.tensors[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head, suits", [
    (HeadField(SPEC), True),
    (HeadField(replace(SPEC, max_resolution=128, log2_table_size=12)), True),  # another picture size: same networks
    (HeadField(replace(SPEC, hidden=32)), False),
    (HeadField(replace(SPEC, levels=5)), False),
    (HeadField(replace(SPEC, driving=204)), False),
    (RadNerfHead(RadNerfSpec(levels=4, log2_table_size=10, hidden=16)), False),
])
def test_a_head_of_other_sizes_is_left_alone(head, suits):
    assert learned().suits(head) is suits


def test_learned_by_turns_over_people(tool, tmp_path, monkeypatch):
    """Two people: nobody's face is kept, and a fit begins where the turns ended."""
    mocks = [make_mock_person(tmp_path / name, frames=22, width=44, height=56) for name in ("one", "two")]
    motions = {person.path: motion for person, motion in mocks}
    monkeypatch.setattr(tool, "driving_of", lambda person: (motions[person.path], None))
    person, motion = mocks[0]
    start = tool.learn([person for person, _ in mocks], steps=9, seed=0)
    assert {name.split(".")[0] for name in start.tensors} == {
        "motion_table", "motion_net", "encoder", "density_net", "colour_net"}
    used = motion.driving[training_frames(person)].reshape(20, -1)
    assert torch.allclose(start.deviation, torch.from_numpy(used.std(0)).clamp(min=LEAST_DEVIATION_M), rtol=1e-4)

    config, device = FitConfig(perceptual=0.0, threads=1), torch.device("cpu")
    trainers = [
        new_trainer(person, motion, training_frames(person), None, config, device, each) for each in (start, None)
    ]
    begun, random = (dict(trainer.portrait.head.named_parameters()) for trainer in trainers)
    assert all(torch.equal(begun[name], value) for name, value in start.tensors.items())
    assert all(torch.equal(trainers[0].average[f"head.{name}"], value) for name, value in start.tensors.items())
    assert not torch.equal(begun["colour_net.layers.0.weight"], random["colour_net.layers.0.weight"])


def test_people_of_different_picture_sizes_are_refused(tool, tmp_path):
    people = [make_mock_person(tmp_path / str(side), frames=22, width=side, height=56)[0] for side in (44, 48)]
    with pytest.raises(UserError, match="--size"):
        tool.learn(people, steps=1, seed=0)
