"""Cameras can be learnt: gradients of a picture with respect to them, against finite differences."""
from __future__ import annotations

import pytest
import torch

from geneface import ops
from geneface.nerf.cameras import camera_rays

AABB = torch.tensor([-0.5, -0.5, -0.5, 0.5, 0.5, 0.5])
GRID = 16
STEP = 0.02
INTRINSICS = torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]])


def rotation(angles: torch.Tensor) -> torch.Tensor:
    """[3,3] from a vector of angles [3] (exponential map)."""
    x, y, z = angles
    zero = x * 0
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3))


def field(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth ball of density whose colour changes with the place."""
    sigma = 30 * torch.exp(-((x / 0.25) ** 2).sum(-1))
    return sigma, torch.sin(x * torch.tensor([5.0, 7, 9], dtype=x.dtype)) * 0.5 + 0.5


def picture(cameras: torch.Tensor, pixels: torch.Tensor, of: torch.Tensor, samples: tuple | None) -> tuple:
    """Colours of pixels [N,2] of cameras [F,6] (angles, place), number `of` [N], and the samples they used.

    `samples`: depths to use again, for finite differences: which cells a sample falls into is not differentiable.
    """
    poses = [torch.cat([rotation(c[:3]), c[3:, None]], dim=1) for c in cameras]
    last = torch.tensor([[0.0, 0, 0, 1]], dtype=cameras.dtype)
    cam_to_world = torch.stack([torch.cat([pose, last]) for pose in poses])
    rays_o, rays_d = camera_rays(INTRINSICS.to(cameras.dtype), cam_to_world[of], pixels)
    if samples is None:
        aabb = AABB.to(cameras.dtype)
        nears, fars = ops.near_far_from_aabb(rays_o, rays_d, aabb, 0.05)
        # Cells in a chequered pattern: rays have different numbers of samples, with gaps.
        cell = torch.arange(GRID) // 2
        chequered = (cell[:, None, None] + cell[:, None] + cell) % 3 > 0
        bits = ops.pack_bits(chequered.flatten().float(), 0.5)
        samples = ops.march_rays(rays_o, rays_d, nears, fars, bits, aabb, GRID, STEP, 64)
    t, dt, offsets = samples
    x, _ = ops.sample_points(rays_o, rays_d, t, offsets)
    sigma, rgb = field(x)
    image, alpha, depth = ops.composite(sigma, rgb, t, dt, offsets, 0.0)
    return image, alpha, depth, samples


def scene(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    cameras = torch.tensor([[0.1, -0.2, 0.05, 0.4, 0.2, -2], [-0.05, 0.1, 0, -0.2, -0.1, -1.8], [0, 0, 0, 9, 9, -2]])
    pixels = torch.rand(60, 2) * torch.tensor([32.0, 24])
    return cameras.to(dtype), pixels.to(dtype), torch.arange(60) % 3  # the third camera looks past the box


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_camera_gradients_against_finite_differences(dtype):
    """float64 takes the reference, float32 the native kernels; differences are taken in float64."""
    torch.manual_seed(0)
    exact, pixels, of = scene(torch.float64)
    towards = torch.randn(60, 5, dtype=torch.float64)

    def loss(cameras, samples, dtype):
        image, alpha, depth, samples = picture(cameras, pixels.to(dtype), of, samples)
        values = torch.cat([image, alpha[:, None], depth[:, None]], dim=1)
        return (values * towards.to(dtype)).sum(), samples

    leaf = exact.to(dtype).requires_grad_()
    value, samples = loss(leaf, None, dtype)
    value.backward()
    counts = samples[2].diff()
    assert counts[of == 2].sum() == 0 and counts[of == 0].float().std() > 1
    samples = (samples[0].double(), samples[1].double(), samples[2])
    expected = torch.zeros_like(exact)
    for i in range(exact.numel()):
        moved = [exact.clone() for _ in range(2)]
        moved[0].view(-1)[i] += 1e-6
        moved[1].view(-1)[i] -= 1e-6
        ahead, back = (loss(m, samples, torch.float64)[0] for m in moved)
        expected.view(-1)[i] = (ahead - back) / 2e-6
    assert expected[:2].abs().min() > 1e-3 and (expected[2] == 0).all()
    torch.testing.assert_close(leaf.grad.double(), expected, rtol=0, atol=1e-4 * float(expected.detach().abs().max()))


def test_a_displaced_camera_is_found_again():
    """Gradient descent on the pose alone brings a camera back to where the picture was taken from."""
    torch.manual_seed(0)
    truth = torch.tensor([[0.05, -0.1, 0.02, 0.2, 0.1, -2.0]])
    pixels, of = torch.rand(300, 2) * torch.tensor([32.0, 24]), torch.zeros(300, dtype=torch.int64)
    wanted = picture(truth, pixels, of, None)[0]
    camera = (truth + torch.tensor([[0.02, -0.02, 0.03, -0.03, 0.04, 0.05]])).requires_grad_()
    optimiser = torch.optim.Adam([camera], lr=3e-3)
    errors = []
    for _ in range(150):
        error = (picture(camera, pixels, of, None)[0] - wanted).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.02 * errors[0]
    points = torch.tensor([[0.1, 0.0, 0], [-0.1, 0.1, 0.1], [0, -0.1, -0.1]])  # where the ball is, as the cameras see it

    def seen(c):
        return (points - c[0, 3:]) @ rotation(c[0, :3])

    before = float((seen(truth + torch.tensor([[0.02, -0.02, 0.03, -0.03, 0.04, 0.05]])) - seen(truth)).norm())
    assert float((seen(camera.detach()) - seen(truth)).norm()) < 0.3 * before
