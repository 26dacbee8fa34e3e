"""Names of devices, and whether every tensor is made where it is needed.

The second part pretends: tensors that say they are on a GPU, computed on the CPU. Whoever makes a tensor without
naming a device, or mixes devices, is caught as a GPU would catch it.
"""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from geneface.config import FitConfig
from geneface.devices import find_device
from geneface.errors import UserError
from geneface.fit.sampler import FrameStore, RaySampler
from geneface.fit.setup import build_portrait, focus_boxes, training_frames
from geneface.fit.trainer import Trainer
from geneface.nerf.render import render_layers
from geneface.ops import native
from tests.nerf.mock_person import make_mock_person
from tests.pretended_device import PretendedDevice


def test_names():
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="'tpu'"):
        find_device("tpu")
    with pytest.raises(UserError, match="cpu and cuda only"):
        find_device("meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu():
    assert find_device() == torch.device("cpu")
    with pytest.raises(UserError, match="'cuda:1'.*--device cpu"):
        find_device("cuda:1")


def test_a_gpu_is_taken_where_kernels_are_built(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(native, "cuda", lambda: None)
    assert find_device() == torch.device("cpu")
    monkeypatch.setattr(native, "cuda", lambda: SimpleNamespace())
    assert find_device() == torch.device("cuda:1") == find_device("cuda")
    with pytest.raises(UserError, match="2 GPUs"):
        find_device("cuda:2")


def test_pretending_catches_mixtures():
    with PretendedDevice() as device:
        here = torch.ones(3, device=device)
        assert here.device == device and (here + here).device == device and float((here * 2).sum()) == 6
        with pytest.raises(RuntimeError, match="two devices"):
            here + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            here.numpy()
        assert (here.cpu() + torch.ones(3)).device.type == "cpu"


CONFIG = FitConfig(
    minutes=1000.0, steps=60, rays=768, samples=2000, frames_per_step=2, levels=3, log2_table_size=8, grid_size=16,
    step_mm=10.0, hidden=16, amp=False,
)


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    return make_mock_person(tmp_path_factory.mktemp("mock") / "person", frames=12, width=24, height=20)


def new_trainer(mock, device: torch.device) -> Trainer:
    person, motion = mock
    torch.manual_seed(0)
    frames = training_frames(person)
    store = FrameStore(person, frames, cache_mb=100)
    portrait = build_portrait(person, motion, frames, store, CONFIG, None).to(device)
    boxes = focus_boxes(person, frames, store)
    sampler = RaySampler(store, boxes, person.background, CONFIG.seed, CONFIG.frames_per_step)
    camera = person.camera
    trainer = Trainer(
        portrait, sampler, torch.from_numpy(motion.landmarks[frames]), torch.from_numpy(camera.head_to_camera[frames]),
        torch.from_numpy(camera.intrinsics), CONFIG,
    )
    for optimiser in trainer.optimisers.values():
        for group in optimiser.param_groups:
            group["fused"] = None  # PyTorch's fused Adam asks for a device that it knows
    return trainer


def test_training_makes_every_tensor_on_its_device(mock, monkeypatch):
    monkeypatch.setattr("geneface.fit.trainer.OCCUPANCY_START", 2)
    monkeypatch.setattr("geneface.fit.trainer.OCCUPANCY_EVERY", 1)
    monkeypatch.setattr("geneface.fit.trainer.EMA_EVERY", 1)
    expected = new_trainer(mock, torch.device("cpu"))
    losses = [expected.step()["colour"] for _ in range(3)]
    with PretendedDevice() as device:
        trainer = new_trainer(mock, device)
        assert [trainer.step()["colour"] for _ in range(3)] == pytest.approx(losses, rel=1e-4)
        assert {value.device for value in trainer.portrait.state_dict().values()} == {device}


def test_rendering_makes_every_tensor_on_its_device(mock):
    person, motion = mock
    portrait = new_trainer(mock, torch.device("cpu")).portrait
    arguments = (
        torch.from_numpy(motion.landmarks[0]), torch.from_numpy(person.camera.head_to_camera[0]),
        torch.from_numpy(person.camera.intrinsics), torch.from_numpy(np.array(person.background)).float() / 255,
    )

    def picture(device: torch.device) -> torch.Tensor:
        portrait.to(device)
        moved = (value.to(device) for value in arguments)
        return render_layers(portrait, *moved, 0.01, amp=False).rgb

    expected = picture(torch.device("cpu"))
    assert 0 < expected.std()
    with PretendedDevice() as device:
        actual = picture(device)
        assert actual.device == device
        torch.testing.assert_close(actual.cpu(), expected, rtol=0, atol=1e-4)
