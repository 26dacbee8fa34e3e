"""Corrections of head poses: what tracking gets wrong in the same way each time is learned and undone."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from geneface.nerf.cameras import camera_rays, invert_rigid
from geneface.nerf.pose import LEVER_M, PoseCorrection, rigid, rotation_vectors

FRAMES, DRIVING = 60, 12


def tracked(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses [T,4,4] and driving values [T,D] of a head that nods and speaks."""
    random = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(np.array([0.1, 0.4, 0]) + random.normal(0, 0.06, (FRAMES, 3))).as_matrix()
    poses[:, :3, 3] = [0, 0, 0.6] + random.normal(0, 0.01, (FRAMES, 3))
    return torch.from_numpy(poses).float(), torch.from_numpy(random.normal(0, 1e-3, (FRAMES, DRIVING))).float()


def correction() -> tuple[PoseCorrection, torch.Tensor, torch.Tensor]:
    poses, driving = tracked()
    made = PoseCorrection(FRAMES, DRIVING)
    made.set(poses, driving)
    return made, poses, driving


def test_rigid_is_the_exponential_of_rotation_and_a_shift_by_the_lever():
    values = torch.tensor([[0.3, -0.2, 0.5, 0.1, -0.2, 0.4], [0.0, 0, 0, 0, 0, 1]])
    made = rigid(values)
    assert np.allclose(made[:, :3, :3], Rotation.from_rotvec(values[:, :3].numpy()).as_matrix(), atol=1e-6)
    assert torch.allclose(made[:, :3, 3], LEVER_M * values[:, 3:])
    assert torch.equal(made[:, 3], torch.tensor([[0.0, 0, 0, 1]]).expand(2, 4))


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.2, 3.0])
def test_rotation_vectors(angle):
    expected = angle * np.array([[0.6, 0.0, -0.8]])
    found = rotation_vectors(torch.from_numpy(Rotation.from_rotvec(expected).as_matrix()).float())
    assert np.allclose(found, expected, atol=1e-5)


def test_features_are_standardised_and_clamped():
    made, poses, driving = correction()
    features = made.features(poses, driving)
    assert torch.allclose(features[:, :6].mean(0), torch.zeros(6), atol=0.05)
    assert features.std(0, correction=0).sub(1).abs().max() < 0.1
    assert made.features(poses, 1000 * driving).abs().max() == 3.0


def test_starts_as_the_tracked_poses():
    made, poses, driving = correction()
    assert torch.equal(made.head_to_camera(poses, driving), poses)


def test_still_parts_say_nothing():
    made, poses, _ = correction()
    made.set(poses, torch.ones(FRAMES, DRIVING))
    assert torch.equal(made.features(poses, 2 * torch.ones(FRAMES, DRIVING))[:, 6:], torch.zeros(FRAMES, 6))


def test_rays_are_those_of_the_corrected_pose():
    made, poses, driving = correction()
    torch.manual_seed(0)
    with torch.no_grad():
        made.weight.normal_(0, 0.02)
        made.residual.normal_(0, 0.02)
    frames, slot = torch.tensor([7, 30]), torch.tensor([0, 1, 1])
    intrinsics = torch.tensor([[500.0, 0, 100], [0, 500, 100], [0, 0, 1]])
    pixels = torch.tensor([[20.0, 30], [120, 90], [50, 150]])
    features = made.features(poses, driving)[frames]
    given = camera_rays(intrinsics, invert_rigid(poses[frames])[slot], pixels)
    found = made.rays(*given, slot, features, frames)
    whole = poses[frames] @ rigid(features @ made.weight + made.residual[frames])
    expected = camera_rays(intrinsics, invert_rigid(whole)[slot], pixels)
    for a, b in zip(found, expected):
        assert torch.allclose(a, b, atol=1e-5)
    sum(value.square().sum() for value in found).backward()
    assert made.weight.grad.abs().sum() > 0
    assert made.residual.grad.abs().sum(1).nonzero().flatten().tolist() == frames.tolist()


def test_absorb_moves_what_residuals_share_and_leaves_the_sum():
    made, poses, driving = correction()
    features = made.features(poses, driving)
    true = torch.zeros_like(made.weight)
    true[0, 0], true[7, 4] = -0.01, 0.02
    noise = 1e-4 * torch.randn(FRAMES, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made.residual.copy_(features @ true + noise)
    before = (features @ made.weight + made.residual).detach().clone()
    made.absorb(features)
    assert torch.allclose(features @ made.weight + made.residual, before, atol=1e-6)
    assert (made.weight - true).abs().max() < 2e-3  # the ridge keeps some back
    assert made.residual.std() < 0.2 * before.std()
