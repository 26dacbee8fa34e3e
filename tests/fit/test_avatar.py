"""A whole small fit: it learns, resumes, survives bad numbers, and its file renders the same."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import geneface.fit.avatar as fitting
from geneface.errors import UserError
from geneface.fit.checkpoint import read_header
from geneface.fit.trainer import NotFinite, Trainer
from geneface.metrics.image import psnr
from geneface.nerf.render import AvatarRenderer
from geneface.types import Avatar
from tests.nerf.mock_person import make_mock_person

from .test_learning import CONFIG

SMALL = replace(CONFIG, minutes=5.0, steps=90)


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    return make_mock_person(tmp_path_factory.mktemp("mock") / "person", frames=33, width=56, height=48)


@pytest.fixture(scope="module")
def fitted(mock, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "mock.avatar"
    return fitting.fit(mock[0], out, SMALL, motion=mock[1])


def held_out_psnr(avatar: Avatar, mock) -> float:
    person, motion = mock
    renderer = AvatarRenderer(avatar)
    return float(np.mean([
        psnr(renderer.frame(motion.landmarks[i], person.camera.head_to_camera[i]), person.frame(i))
        for i in person.held_out_frames
    ]))


def test_the_avatar_resembles_held_out_frames(mock, fitted):
    assert fitted.steps == 90 and fitted.size_mb == pytest.approx(fitted.avatar.stat().st_size / 1e6)
    assert fitted.strip.shape == (2 * 48, 5 * 56, 3)
    assert held_out_psnr(Avatar.load(fitted.avatar), mock) > 17.5


def test_the_motion_opens_the_mouth(mock, fitted):
    """Driving landmarks, not the frame, decide: the same pose with another mouth gives another picture there."""
    avatar = Avatar.load(fitted.avatar)
    motion = mock[1]
    renderer = AvatarRenderer(avatar)
    opening = motion.expression[:, 24]
    closed, opened = motion.landmarks[opening.argmin()], motion.landmarks[opening.argmax()]
    pose = mock[0].camera.head_to_camera[4]
    change = np.abs(renderer.frame(closed, pose).astype(int) - renderer.frame(opened, pose)).sum(-1)
    box = mock[0].face.landmarks[4, 13]
    ys, xs = np.unravel_index(np.argsort(change.ravel())[-10:], change.shape)
    assert change.max() > 3
    assert np.hypot(np.median(xs) - box[0], np.median(ys) - box[1]) < 14


def test_avatar_holds_what_the_contract_asks(mock, fitted):
    avatar = Avatar.load(fitted.avatar)
    assert avatar.info["steps"] == 90 and avatar.info["source"] == "mock"
    assert avatar.consent == {"text": "a formula"}
    assert len(avatar.motion_reference) == len(mock[0].train_frames)
    assert len(avatar.camera) == len(mock[0].train_frames)
    assert np.array_equal(avatar.background, mock[0].background)


def test_an_interrupted_fit_goes_on(mock, tmp_path, monkeypatch):
    out = tmp_path / "mock.avatar"
    config = replace(SMALL, steps=12)
    step = Trainer.step

    def stop(self):
        if self.step_count == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(mock[0], out, config, motion=mock[1])
    assert not out.exists()
    monkeypatch.setattr(Trainer, "step", step)
    assert fitting.fit(mock[0], out, config, resume=True, motion=mock[1]).steps == 12
    # Interrupting changed nothing: the same fit in one go gives the same file.
    whole = tmp_path / "whole.avatar"
    fitting.fit(mock[0], whole, config, motion=mock[1])
    a, b = Avatar.load(out), Avatar.load(whole)
    assert all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    with pytest.raises(UserError, match="other options"):
        fitting.fit(mock[0], out, replace(config, hidden=16), resume=True, motion=mock[1])


def test_numbers_that_break_down_are_named_and_rolled_back(mock, tmp_path, monkeypatch, capsys):
    step, broken = Trainer.step, []

    def poison(self):
        if self.step_count == 3 and not broken:
            broken.append(True)
            with torch.no_grad():
                self.portrait.head.density_net.layers[0].weight[0, 0] = float("nan")
        return step(self)

    monkeypatch.setattr(Trainer, "step", poison)
    result = fitting.fit(mock[0], tmp_path / "a.avatar", replace(SMALL, steps=6), motion=mock[1])
    message = capsys.readouterr().err
    assert result.steps == 6 and "head.density_net.layers.0.weight" in message and "training frames [" in message

    def always(self):
        raise NotFinite("step 0: loss colour is not finite on training frames [1]")

    monkeypatch.setattr(Trainer, "step", always)
    with pytest.raises(NotFinite, match="colour"):
        fitting.fit(mock[0], tmp_path / "b.avatar", replace(SMALL, steps=6), motion=mock[1])


@pytest.mark.parametrize("perceptual, said", [(0.005, True), (0.0, False)])
def test_small_pictures_are_fitted_without_perceptual_loss(tmp_path, capsys, perceptual, said):
    person, motion = make_mock_person(tmp_path / "person", frames=14, width=28, height=40)
    config = replace(SMALL, steps=3, perceptual=perceptual, perceptual_from=0.0)
    assert fitting.fit(person, tmp_path / "a.avatar", config, motion=motion).steps == 3
    assert ("no perceptual loss: it needs pictures of 32 px" in capsys.readouterr().err) == said


def test_too_few_tracked_frames_are_refused(tmp_path):
    person, motion = make_mock_person(tmp_path / "person", frames=8, width=24, height=24)
    with pytest.raises(UserError, match="at least 10"):
        fitting.fit(person, tmp_path / "a.avatar", SMALL, motion=motion)


def test_damaged_checkpoints_are_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="--resume"):
        read_header(path)


@pytest.mark.parametrize("jumps, expected", [((), range(0, 9)), ((3,), range(3, 9)), ((3, 5, 9, 20), range(5, 9))])
def test_longest_stretch_between_jumps(jumps, expected):
    assert fitting.longest_stretch(jumps, 9) == expected


def test_an_unknown_field_is_refused_before_anything_is_written(mock, tmp_path):
    with pytest.raises(UserError, match="give moving or rad-nerf"):
        fitting.fit(mock[0], tmp_path / "a.avatar", replace(CONFIG, field="splat"))
    assert not list(tmp_path.iterdir())
