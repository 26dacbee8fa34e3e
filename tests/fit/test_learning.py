"""A fit learns, repeats itself under a seed, and says what broke."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import geneface.fit.avatar as fitting
import geneface.fit.trainer as training
from geneface.config import FitConfig
from geneface.fit.sampler import FrameStore, RaySampler
from geneface.fit.setup import build_portrait, focus_boxes, training_frames
from geneface.fit.trainer import NotFinite, Trainer
from geneface.nerf.cameras import project
from geneface.nerf.pose import PoseCorrection
from geneface.nerf.render import AvatarRenderer
from geneface.origin import Origin
from geneface.types import Avatar, PreparedPerson
from tests.nerf.mock_person import RADII, make_mock_person

CONFIG = FitConfig(
    minutes=1000.0, steps=60, rays=768, samples=4000, frames_per_step=4, levels=6, log2_table_size=11, grid_size=32,
    step_mm=6.0, threads=1, hidden=32,
)


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """Taller than wide."""
    return make_mock_person(tmp_path_factory.mktemp("mock") / "person", frames=33, width=44, height=56)


def new_trainer(mock, config: FitConfig = CONFIG, perceptual=None) -> Trainer:
    person, motion = mock
    torch.manual_seed(config.seed)
    frames = training_frames(person)
    store = FrameStore(person, frames, cache_mb=100)
    portrait = build_portrait(person, motion, frames, store, config, None)
    boxes = focus_boxes(person, frames, store)
    sampler = RaySampler(store, boxes, person.background, config.seed, config.frames_per_step)
    camera = person.camera
    return Trainer(
        portrait, sampler, torch.from_numpy(motion.driving[frames]), torch.from_numpy(camera.head_to_camera[frames]),
        torch.from_numpy(camera.intrinsics), config, perceptual,
    )


def person_psnr(trainer: Trainer, mock) -> float:
    """PSNR [dB] of held-out frames where head or torso are."""
    person, motion = mock
    renderer = AvatarRenderer(fitting._pack(trainer, person, motion, training_frames(person), None, {}))
    errors = []
    for index in person.held_out_frames:
        picture = renderer.frame(motion.landmarks[index], person.camera.head_to_camera[index])
        difference = (picture.astype(float) - person.frame(index)) / 255
        errors.append(np.square(difference)[person.mask(index)[..., 2] < 128].mean())
    return float(-10 * np.log10(np.mean(errors)))


def test_loss_falls_and_held_out_frames_improve(mock):
    # High rates, for the warm-up of the usual ones is longer than this fit.
    trainer = new_trainer(mock, replace(CONFIG, lr_grid=0.05, lr_net=0.02, lr_decay=0.2))
    before = person_psnr(trainer, mock)
    terms = [trainer.step() for _ in range(CONFIG.steps)]
    first, last = (
        {name: np.mean([step[name] for step in part]) for name in part[0]} for part in (terms[:10], terms[-10:])
    )
    assert trainer.step_count == CONFIG.steps and trainer.progress == 1
    assert last["colour"] < 0.6 * first["colour"]
    assert sum(last.values()) < 0.6 * sum(first.values())
    assert person_psnr(trainer, mock) > before + 3
    # The upper part of the torso's picture, which no frame shows, is empty.
    grid = torch.linspace(0.15, 0.4, 6)
    assert trainer.portrait.torso.picture(torch.cartesian_prod(grid, grid))[1].mean().item() < 0.1



def test_carving_keeps_the_head_and_empties_the_rest(mock):
    """Cells of the true head's front are kept, cells that no view puts on the head are not."""
    person, _ = mock
    portrait = new_trainer(mock).portrait
    grid = portrait.occupancy
    centres = grid.centres(portrait.head.aabb)
    cells = torch.from_numpy(np.unpackbits(grid.bits.numpy(), bitorder="little").astype(bool))
    within = ((centres / torch.from_numpy(RADII)) ** 2).sum(1)
    assert bool(cells[within < 0.85].all())
    camera = person.camera
    poses = torch.from_numpy(camera.head_to_camera[: len(person.train_frames)])
    seen = torch.zeros(len(centres))
    for index, pose in enumerate(poses):
        x, y = project(centres, torch.from_numpy(camera.intrinsics), pose[None])[0].floor().long().unbind(1)
        mask = np.pad(person.mask(index)[..., 0], 4)  # four pixels of grace, about two cells
        mask = torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None].float(), 9, 1, 4)[0]
        height, width = mask.shape
        seen += mask[(y + 4).clamp(0, height - 1), (x + 4).clamp(0, width - 1)] > 127
    outside = seen == 0
    assert outside.any() and not bool(cells[outside].any())
    assert 0.1 < grid.share() < 0.9


def test_a_seed_repeats_the_fit_and_another_does_not(mock):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        trainer = new_trainer(mock, replace(CONFIG, seed=seed))
        for _ in range(8):
            trainer.step()
        return {name: value.detach().clone() for name, value in trainer.portrait.state_dict().items()}

    first, second, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.position_table"], other["head.position_table"])


def mirrored(correction: PoseCorrection, poses: torch.Tensor, driving: torch.Tensor) -> None:
    """`PoseCorrection.set` of another machine, whose axes point the other way."""
    SET(correction, poses, driving)
    correction.components.neg_()


SET = PoseCorrection.set


def test_going_on_from_a_checkpoint_gives_the_same_weights(mock, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "POSES_FROM", 0)
    monkeypatch.setattr(training, "ABSORB_EVERY", 4)
    config = replace(CONFIG, perceptual_from=0.0, lr_pose=0.1)

    def distance(image, truth):
        return (image - truth).abs().mean()

    whole = new_trainer(mock, config, distance)
    terms = [whole.step() for _ in range(10)]
    assert ["perceptual" in step for step in terms] == 5 * [True, False]  # every other step
    stopped = new_trainer(mock, config, distance)
    for _ in range(5):
        stopped.step()
    fitting._save(stopped, tmp_path / "checkpoint.safetensors")
    monkeypatch.setattr(PoseCorrection, "set", mirrored)
    # All that seeds decide comes from the file.
    resumed = new_trainer(mock, replace(config, seed=9), distance)
    fitting._load(resumed, tmp_path / "checkpoint.safetensors")
    assert resumed.step_count == 5
    for _ in range(5):
        resumed.step()
    a, b = whole.portrait.state_dict(), resumed.portrait.state_dict()
    assert a["pose.weight"][6].any() and a["pose.residual"].any()  # by expression too
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    assert all(torch.equal(whole.average[name], resumed.average[name]) for name in whole.average)


@pytest.mark.parametrize("name", ["head.colour_net.layers.1.weight", "torso.table", "pose.weight"])
def test_numbers_that_are_none_are_named_with_their_frames(mock, name):
    trainer = new_trainer(mock)
    with torch.no_grad():
        dict(trainer.portrait.named_parameters())[name].fill_(float("nan"))
    before = trainer.portrait.head.position_table.detach().clone()
    with pytest.raises(NotFinite, match=rf"step 0: .* training frames \[\d+(, \d+){{3}}\].*parameters .*{name}"):
        trainer.step()
    assert torch.equal(before, trainer.portrait.head.position_table)


def test_gradients_that_are_none_are_named(mock):
    trainer = new_trainer(mock)
    trainer.portrait.head.density_net.layers[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NotFinite, match=r"gradient of head\.density_net\.layers\.0\.weight is not finite on training"):
        trainer.step()


def test_poses_replayed_hold_no_jump_cut(mock, tmp_path):
    person, motion = mock
    source = {"name": "talk.mp4", "path": "/talk.mp4", "sha256": "ab", "start_frame": 100}
    crop = {"x": 0, "y": 0, "side": 9, "source_width": 99, "source_height": 99, "path": [[i, 0] for i in range(33)]}
    changed = {"jumps": [4, 25], "source": source, "crop": crop}
    person = PreparedPerson(person.path, json.loads(json.dumps(person.manifest)) | changed)
    fitted = fitting.fit(person, tmp_path / "a.avatar", replace(CONFIG, steps=1), motion=motion)
    avatar = Avatar.load(fitted.avatar)
    assert np.array_equal(avatar.camera.head_to_camera, person.camera.head_to_camera[4:25])
    assert len(avatar.motion_reference) == len(person.train_frames)  # what the face can do is learnt from all
    origin = Origin.of_avatar(avatar)  # and says where these poses' pictures are
    assert (origin.name, origin.sha256, origin.first, origin.fps) == ("talk.mp4", "ab", 104, 25)
    assert [x for x, _ in origin.crop.path] == list(range(4, 25))


def test_terms_that_only_some_steps_have_are_means_of_those():
    steps = [{"colour": 1.0, "patch": 4.0}, {"colour": 3.0}, {"colour": 2.0, "patch": 6.0}, {"colour": 2.0, "late": 1.0}]
    assert fitting.mean_terms(steps) == {"colour": 2.0, "patch": 5.0, "late": 1.0}
