"""Rays, layers, condition and fields: values and gradients."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface import ops
from geneface.nerf import render
from geneface.nerf.cameras import camera_rays, image_pixels, invert_rigid, project
from geneface.nerf.condition import CLAMP, ConditionEncoder, Standardiser
from geneface.nerf.head import HeadField, HeadSpec
from geneface.nerf.layers import MLP, TruncatedExp
from geneface.nerf.portrait import Portrait, over
from geneface.nerf.torso import TorsoSpec
from tests.nerf.camera import INTRINSICS, pose

HEAD = HeadSpec(levels=4, max_resolution=64, log2_table_size=10, motion_levels=4, motion_resolution=32)
TORSO = TorsoSpec(levels=4, max_resolution=64, log2_table_size=10)


def test_rays_pass_through_projected_points():
    point = torch.tensor([[0.03, -0.05, -0.02]])
    for seed in range(3):
        transform = pose(seed)
        pixel = project(point, INTRINSICS, transform[None])[0]
        origin, direction = camera_rays(INTRINSICS, invert_rigid(transform), pixel)
        along = (point - origin) @ direction[0]
        assert torch.allclose(direction.norm(dim=1), torch.ones(1))
        assert torch.allclose(origin + along * direction, point, atol=1e-6)


def test_rays_take_a_pose_each():
    transforms = invert_rigid(torch.stack([pose(0), pose(2)]))
    pixels = torch.tensor([[3.5, 4.5], [10.5, 2.5]])
    together = camera_rays(INTRINSICS, transforms, pixels)
    for index in range(2):
        alone = camera_rays(INTRINSICS, transforms[index], pixels[index : index + 1])
        for a, b in zip(together, alone):
            assert torch.allclose(a[index], b[0], atol=1e-6)


def test_pixels_of_an_image_that_is_not_square():
    pixels = image_pixels(3, 2)
    assert pixels.tolist() == [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]


def test_inverse_of_rigid_transforms():
    transform = torch.stack([pose(1), pose(5)])
    assert torch.allclose(invert_rigid(transform) @ transform, torch.eye(4).expand(2, 4, 4), atol=1e-6)


def test_truncated_exp_limits_value_and_gradient():
    x = torch.tensor([-1.0, 2.0, 30.0], requires_grad=True)
    y = TruncatedExp.apply(x)
    y.sum().backward()
    limit = np.exp(TruncatedExp.LIMIT)
    assert y.tolist() == pytest.approx([np.exp(-1), np.exp(2), limit], rel=1e-5)
    assert x.grad.tolist() == pytest.approx([np.exp(-1), np.exp(2), limit], rel=1e-5)


@pytest.mark.parametrize("samples", [1, 31, 33])
def test_frame_inputs_equal_concatenated_inputs(samples):
    """Rows added by frame, one row for all, and plain concatenation are the same function."""
    torch.manual_seed(0)
    net = MLP([5, 16, 3], per_frame=4)
    x, frames, index = torch.randn(samples, 5), torch.randn(3, 4), torch.randint(0, 3, (samples,))
    plain = torch.cat([x, frames[index]], 1) @ torch.cat([net.layers[0].weight, net.frame_layer.weight], 1).T
    plain = plain.relu() @ net.layers[1].weight.T
    assert torch.allclose(net([x], frames, index), plain, atol=1e-5)
    alone = net([x[:1]], frames[index[:1]])
    assert torch.allclose(alone, plain[:1], atol=1e-5)


def test_standardiser_floors_still_values_and_holds_extremes():
    standardise = Standardiser(2)
    values = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    standardise.set(values, least=0.5)
    assert standardise.mean.tolist() == [1.0, 1.0] and standardise.deviation.tolist() == [1.0, 0.5]
    assert standardise(torch.tensor([[100.0, 1.25]])).tolist() == [[CLAMP, 0.5]]


def test_condition_noise_is_seeded():
    encoder = ConditionEncoder(6, 3)
    draws = [encoder(torch.zeros(2, 6), 0.1, torch.Generator().manual_seed(4)) for _ in range(2)]
    assert torch.equal(*draws) and not torch.equal(draws[0], encoder(torch.zeros(2, 6)))


def test_head_field_ranges_and_gradients():
    torch.manual_seed(0)
    head = HeadField(HEAD)
    head.aabb.copy_(torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1]))
    x = (torch.rand(33, 3) - 0.5) * 0.2
    index = torch.randint(0, 2, (33,))
    sigma, rgb, motion = head(
        x, ops.spherical_harmonics(torch.nn.functional.normalize(x, dim=1)), torch.arange(33),
        head.encoder(torch.randn(2, 207)), index,
    )
    assert sigma.shape == (33,) and (sigma > 0).all()
    assert rgb.shape == (33, 3) and (rgb > 0).all() and (rgb < 1).all()
    assert motion.shape == (33, 3 + HEAD.condition) and (motion.abs() <= 1).all()
    (sigma.sum() + rgb.sum()).backward()
    for name, value in head.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, name


def test_weights_of_samples_sum_to_opacity():
    torch.manual_seed(0)
    portrait = Portrait(HEAD, TORSO, 3, 16, 8, 8)
    portrait.head.aabb.copy_(torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1]))
    rays_o = torch.tensor([[0.0, 0, -0.5]]).repeat(7, 1)
    rays_d = torch.nn.functional.normalize(torch.randn(7, 3) * 0.3 + torch.tensor([0, 0, 1.0]), dim=1)
    samples = portrait.sample_head(
        rays_o, rays_d, portrait.head.encoder(torch.zeros(1, 207)), None, 0.004, 64
    )
    _, alpha, _ = ops.composite(samples.sigma, samples.rgb, samples.t, samples.dt, samples.offsets, 0.0)
    summed = torch.zeros(7).index_add(0, samples.ray, samples.weights())
    assert torch.allclose(summed, alpha.detach(), atol=1e-5)


@pytest.mark.parametrize("tables, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_fused_head_is_the_trained_head(tables, tolerance):
    """Inference runs one op, training several: the same picture."""
    torch.manual_seed(0)
    portrait = small_portrait()
    rays_o = torch.tensor([[0.01, 0, -0.5]]).repeat(50, 1)
    rays_d = torch.nn.functional.normalize(torch.randn(50, 3) * 0.2 + torch.tensor([0, 0, 1.0]), dim=1)
    landmarks = torch.randn(69, 3)
    condition = portrait.head.encoder(portrait.head.whole(landmarks[None]))
    samples = portrait.sample_head(rays_o, rays_d, condition, None, 0.004, 64)
    expected = ops.composite(samples.sigma, samples.rgb, samples.t, samples.dt, samples.offsets)
    actual = ops.render_rays(
        rays_o, rays_d, portrait.head.fused(tables), *portrait.head.frame_inputs(landmarks),
        portrait.occupancy.bits, portrait.occupancy.size, 0.004, 64,
    )
    assert 0.1 < expected[1].mean() < 0.99
    for a, b in zip(actual, expected):
        assert torch.allclose(a, b, atol=tolerance)


def small_portrait() -> Portrait:
    """A head of random tables in a box of 0.2 m, a third of its cells occupied, all within an inner box."""
    portrait = Portrait(HEAD, TORSO, 3, 16, 8, 8)
    portrait.head.aabb.copy_(torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1]))
    with torch.no_grad():
        portrait.head.position_table.normal_()
        portrait.head.motion_table.normal_()
        portrait.head.motion_net.layers[-1].weight[:3].mul_(20)  # moves, as a fitted field does
    cells = torch.zeros(16, 16, 16)
    cells[4:12, 3:13, 5:15] = (torch.rand(8, 10, 10) < 0.8).float()  # z, y, x
    cells[4, 3, 5] = cells[11, 12, 14] = 1
    portrait.occupancy.bits.copy_(ops.pack_bits(cells.flatten(), 0.5))
    return portrait


def test_box_of_the_occupied_cells():
    portrait = small_portrait()
    cell = 0.2 / 16
    expected = torch.tensor([5, 3, 4, 15, 13, 12]) * cell - 0.1
    assert torch.allclose(render._occupied_box(portrait), expected, atol=1e-6)
    portrait.occupancy.bits.zero_()
    box = render._occupied_box(portrait)
    assert torch.equal(box[:3], box[3:])


@pytest.mark.parametrize("width, height", [(40, 30), (33, 31), (7, 5)])
def test_pixels_outside_the_box_show_no_head(width, height):
    torch.manual_seed(1)
    portrait = small_portrait()
    intrinsics = torch.tensor([[1.5 * width, 0, width / 2], [0, 1.5 * width, height / 2], [0, 0, 1]])
    plate, everywhere = torch.rand(height, width, 3), torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1])
    for shift in (0.0, 0.15, 5.0):  # in the middle, cut by the edge, out of the picture
        transform = pose(0)
        transform[0, 3] += shift
        arguments = (portrait, torch.zeros(68, 3), transform, intrinsics, plate, 0.005, False)
        tight = render.render_layers(*arguments)
        wide = render.render_layers(*arguments, render.Constants(portrait.head.fused(), everywhere))
        assert torch.equal(tight.rgb, wide.rgb) and torch.equal(tight.head_alpha, wide.head_alpha)
        assert bool(tight.head_alpha.any()) == (shift < 1)


def test_over_composites_premultiplied_layers():
    front, back = torch.tensor([[0.2, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert over(front, torch.tensor([0.25]), back).tolist() == [[pytest.approx(0.2), 0.75, 0.0]]
