"""Losses: their values on cases worked out by hand, weights, masks, and what the energy score wants."""
from __future__ import annotations

import pytest
import torch

from geneface.fit.motion import DRIVEN
from geneface.fit.motion.losses import MouthLoss, divergence
from geneface.fit.motion.processes import Processes
from geneface.motion.measures import MouthMeasures
from geneface.motion.vae import GeneratorSpec, MotionGenerator

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def model():
    return MotionGenerator(GeneratorSpec(DRIVEN, hidden=16))


def loss(model, velocity=0.0, acceleration=0.0):
    return MouthLoss(MouthMeasures.of_basis(), model, velocity, acceleration, ALONE)


def batch(frames=8, clips=2):
    return torch.zeros(clips, len(DRIVEN), frames), torch.ones(clips, 1, frames), torch.ones(clips, 1, 1)


def test_a_constant_error_has_no_velocity_and_a_ramp_no_acceleration(model):
    target, mask, weight = batch()
    constant, ramp = target + 0.3, target + 0.1 * torch.arange(8.0)
    place = loss(model).squared(constant, target, mask, weight)
    # Unit deviations: a quarter of the squared error from the weights, all of it from lips scaled to unit mean square.
    assert place > 0.25 * 0.09
    torch.testing.assert_close(loss(model, 5, 7).squared(constant, target, mask, weight), place)
    slope = loss(model, 1).squared(ramp, target, mask, weight) - loss(model).squared(ramp, target, mask, weight)
    torch.testing.assert_close(slope, place / 9)  # a step of 0.1 a frame against a constant 0.3
    torch.testing.assert_close(loss(model, 0, 7).squared(ramp, target, mask, weight),
                               loss(model).squared(ramp, target, mask, weight))
    bend = target + 0.05 * torch.arange(8.0).square()  # second difference 0.1
    gain = loss(model, 0, 1).squared(bend, target, mask, weight) - loss(model).squared(bend, target, mask, weight)
    torch.testing.assert_close(gain, place / 9)


def test_frames_outside_the_mask_and_clips_without_weight_do_not_count(model):
    target, mask, weight = batch()
    predicted = target + 0.3
    expected = loss(model, 1, 1).squared(predicted, target, mask, weight)
    mask[0, :, 5:] = 0
    wild = predicted.clone()
    wild[0, :, 5:] = 100
    torch.testing.assert_close(loss(model, 1, 1).squared(wild, target, mask, weight), expected)
    wild[1] = 50
    weight[1] = 0
    torch.testing.assert_close(loss(model, 1, 1).squared(wild, target, mask, weight), expected * 5 / 13)


def test_energy_score_is_least_at_the_target_s_own_spread(model):
    """Samples of the target's distribution beat its mean, narrower ones and wilder ones."""
    torch.manual_seed(0)
    clips = 2000
    mask, weight = torch.ones(clips, 1, 6), torch.ones(clips, 1, 1)
    # All weights together, held over the clip.
    target, one, other = torch.randn(3, clips, 1, 1).expand(3, clips, len(DRIVEN), 6)
    energy = loss(model, 3.0).energy
    score = {spread: float(energy(spread * one, spread * other, target, mask, weight))
             for spread in (0.0, 0.5, 1.0, 1.5, 2.5)}
    assert min(score, key=score.get) == 1.0
    mask[:, :, 5:] = 0
    wild = target.clone()
    wild[:, :, 5:] = 1e3
    assert float(energy(wild, wild, target, mask, weight)) == pytest.approx(0.5e-3, abs=1e-4)


def test_divergence_of_standard_normals():
    """KL of N(m, s) from N(0, 1) is (m^2 + s^2 - 1) / 2 - log s; its single-sample form has that mean."""
    torch.manual_seed(0)
    mean, log_std = 0.7, torch.full((200, 4, 50), -0.5)
    noise = torch.randn(200, 4, 50)
    value = divergence(mean + noise * log_std.exp(), noise, log_std, torch.ones(200, 1, 50), ALONE)
    expected = (mean**2 + torch.tensor(-1.0).exp() - 1) / 2 + 0.5
    assert float(value) == pytest.approx(float(expected), abs=0.02)
