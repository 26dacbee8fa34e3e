"""The torso: what its condition tells, how it bends, and that it learns the motion of each frame."""
from __future__ import annotations

import pytest
import torch

from geneface.nerf.torso import CLAMP, PoseMotion, TorsoField, TorsoSpec, pose_values
from tests.nerf.camera import INTRINSICS, pose

TORSO = TorsoSpec(levels=4, max_resolution=64, log2_table_size=10, lattice=5)


def test_pose_values_follow_the_head():
    landmarks = torch.rand(2, 68, 3) * 0.1
    still = pose_values(landmarks, torch.stack([pose(0), pose(0)]), INTRINSICS, 40.0)
    moved = pose(0).clone()
    moved[0, 3] += 0.06  # metres to the right, at 0.6 m: 90 px * 0.1 = 9 px
    shifted = pose_values(landmarks, torch.stack([pose(0), moved]), INTRINSICS, 40.0)
    assert torch.allclose(shifted[0], still[0])
    assert ((shifted[1] - still[1])[0::2] * 40).mean().item() == pytest.approx(9, abs=1.5)


def test_a_still_torso_learns_everywhere():
    torch.manual_seed(0)
    torso = TorsoField(TORSO)
    motion = torso.predict(torch.randn(1, torso.predict.linear.in_features))
    assert motion.shape == (1, TORSO.motion) and not motion.any()
    rgb, alpha = torso(torch.rand(31, 2), motion)
    assert rgb.shape == (31, 3) and alpha.shape == (31,)
    (rgb.sum() + alpha.sum()).backward()
    assert all(value.grad is not None and value.grad.any() for value in torso.parameters())


def test_the_lattice_moves_the_picture():
    """A torso that is shifted as a whole shows, at a place, what the still one shows further on."""
    torch.manual_seed(0)
    torso = TorsoField(TORSO)
    torch.nn.init.normal_(torso.table)
    position = torch.rand(40, 2) * 0.8 + 0.1
    shift = torch.tensor([0.06, -0.03])
    motion = shift[:, None].expand(2, TORSO.lattice**2).reshape(1, -1)
    moved, still = torso(position, motion), torso(position + shift, 0 * motion)
    assert torch.allclose(moved[0], still[0], atol=1e-4) and torch.allclose(moved[1], still[1], atol=1e-4)
    # Beyond the image's edge the picture goes on.
    edge = torch.tensor([[0.5, 0.99], [0.5, 1.0]])
    beyond, at_edge = torso(edge, motion.abs())[0], torso(edge, 0 * motion)[0]
    assert (beyond[0] - beyond[1]).abs().max() > 1e-4 and (beyond - at_edge).abs().max() > 1e-2


def test_one_lattice_point_bends_its_surroundings_smoothly():
    torso = TorsoField(TORSO)
    motion = torch.zeros(2, 2, 5, 5)
    motion[1, 1, 2, 3] = 0.04  # of the second frame: the point at x 0.75, y 0.5 goes down
    position = torch.stack([torch.linspace(0, 1, 401), torch.full((401,), 0.5)], 1)
    slot = torch.ones(401, dtype=torch.long)
    shift = torso._shift(position, motion.flatten(1), slot)
    assert not shift[:, 0].any() and shift[300, 1].item() == pytest.approx(0.04, abs=1e-6)
    assert shift[:100, 1].abs().max() < 1e-6  # two cells away
    assert shift[:, 1].diff().abs().max() < 2 * 0.04 / 100  # no steeper than twice a straight line
    assert torso._shift(position, motion.flatten(1), 0 * slot).abs().max() < 1e-6  # nothing leaks into the other frame


def test_motion_is_a_linear_map_of_decorrelated_values():
    torch.manual_seed(0)
    predict = PoseMotion(3)
    width = predict.linear.in_features
    values = torch.randn(400, 2) @ torch.randn(2, width) * 0.05 + 0.4  # two things move all
    predict.set(values)
    seen = (values - predict.mean) @ predict.decorrelate
    spread = seen.std(0, correction=0).sort(descending=True).values
    assert spread[:2].min() > 0.9 and spread[:2].max() < 1 and spread[2:].max() < 0.01  # noise is not blown up
    assert seen.T.cov()[~torch.eye(width, dtype=torch.bool)].abs().max() < 1e-3
    torch.nn.init.eye_(predict.linear.weight)
    far = predict(predict.mean + 100 * (values[:1] - predict.mean))
    assert far.abs().max() <= CLAMP  # driving motion beyond training's is held


def test_frames_that_move_alike_leave_one_sharp_picture():
    """A stripe whose place the values do not tell: with each frame's own motion it is learned, without it is blurred."""
    torch.manual_seed(0)
    places = 0.5 + 0.06 * torch.linspace(-1, 1, 7)
    errors = []
    for own in (True, False):
        torch.manual_seed(0)
        torso = TorsoField(TORSO)
        motions = torch.nn.Parameter(torch.zeros(7, TORSO.motion), requires_grad=own)
        optimiser = torch.optim.Adam([{"params": torso.parameters(), "lr": 5e-3}, {"params": [motions], "lr": 2e-3}])
        recent = []
        for step in range(250):
            position, slot = torch.rand(700, 2), torch.randint(0, 7, (700,))
            truth = ((position[:, 0] - places[slot]).abs() < 0.08).float()[:, None]
            rgb, _ = torso(position, motions, slot)
            loss = (rgb - truth).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            recent.append(loss.item())
        errors.append(sum(recent[-20:]) / 20)
    assert errors[0] < 0.5 * errors[1]
