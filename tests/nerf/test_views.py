"""Cameras that go round the head, and the mending of what they look through."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.metrics.holes import hole_share
from geneface.nerf.views import SWAY_SECONDS, CameraMove, View, close_gaps, closing
from geneface.types import CameraTrack

WIDTH, HEIGHT, FOCAL = 60, 44, 90.0
INTRINSICS = np.array([[FOCAL, 0, 31.0], [0, FOCAL, 20.0], [0, 0, 1]], np.float32)
PLACE = np.array([0.03, -0.02, 0.9])  # of the head's origin in the camera frame, on average


def camera() -> CameraTrack:
    poses = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    poses[:, :3, 3] = PLACE + [[0.01, 0, 0], [-0.01, 0, 0]]
    return CameraTrack(INTRINSICS, poses, WIDTH, HEIGHT, 25.0)


def picture(points: np.ndarray) -> np.ndarray:
    image = points @ INTRINSICS.T.astype(float)
    return image[..., :2] / image[..., 2:]


def moved(view: View, points: np.ndarray) -> np.ndarray:
    transform = CameraMove.of(view, camera(), INTRINSICS).transform.numpy().astype(float)
    return points @ transform[:3, :3].T + transform[:3, 3]


def test_no_move_is_none():
    assert CameraMove.of(View(), camera(), INTRINSICS) is None


@pytest.mark.parametrize(
    "view, sideways, down", [(View(10), -1, 0), (View(-10), 1, 0), (View(0, 10), 0, 1), (View(0, -10), 0, -1)]
)
def test_the_head_stays_in_place_and_its_near_side_turns_away_from_the_camera(view, sideways, down):
    nose = PLACE + [0, 0, -0.1]
    assert moved(view, PLACE) == pytest.approx(PLACE, abs=1e-6)
    assert moved(view, nose) - PLACE == pytest.approx(
        [0.1 * sideways * np.sin(np.pi / 18), 0.1 * down * np.sin(np.pi / 18), -0.1 * np.cos(np.pi / 18)], abs=1e-6
    )


def test_pitch_tilts_the_camera_that_has_gone_sideways():
    """It stays level: what is upright stays so in the picture's middle column."""
    spine = PLACE + [0, 0.1, 0]
    assert moved(View(25, 15), spine)[0] == pytest.approx(PLACE[0], abs=1e-6)


def test_a_pose_leads_to_the_moved_camera():
    move = CameraMove.of(View(12, -7), camera(), INTRINSICS)
    pose = torch.from_numpy(camera().head_to_camera[0])
    point = torch.tensor([0.02, 0.05, -0.08, 1.0])
    expected = moved(View(12, -7), (pose @ point).numpy()[:3].astype(float))
    assert (move.pose(pose) @ point).numpy()[:3] == pytest.approx(expected, abs=1e-5)


def test_torso_pixels_lead_back_to_the_recorded_picture():
    view = View(14, -9)
    onto = PLACE + np.array([[0, 0, 0], [0.05, 0.08, 0], [-0.1, 0.06, 0], [0.08, -0.05, 0]])  # the torso's plane
    move = CameraMove.of(view, camera(), INTRINSICS)
    pixels = torch.from_numpy(picture(moved(view, onto))).float()
    assert move.torso_pixels(pixels, WIDTH, HEIGHT).numpy() == pytest.approx(picture(onto), abs=1e-3)
    far = move.torso_pixels(torch.tensor([[-40.0, -40.0], [100.0, 100.0]]), WIDTH, HEIGHT)
    assert far.tolist() == [[0.5, 0.5], [WIDTH - 0.5, HEIGHT - 0.5]]


def test_a_sway_goes_to_both_sides_and_returns():
    view = View(5, -3)
    assert view.swayed(10, SWAY_SECONDS / 4) == View(15, -3)
    assert view.swayed(10, 3 * SWAY_SECONDS / 4).yaw == pytest.approx(-5)
    assert view.swayed(10, 0) == view


@pytest.mark.parametrize("values", [(31, 0), (-31, 0), (0, 21), (0, -21), (float("nan"), 0)])
def test_views_from_too_far_round_are_refused(values):
    with pytest.raises(UserError, match="degrees off the recorded camera"):
        View(*values)


def head(size: int = 200) -> torch.Tensor:
    """Opacity of a disc of radius 60."""
    y, x = torch.meshgrid(torch.arange(size) - 100.0, torch.arange(size) - 100.0, indexing="ij")
    return ((x**2 + y**2).sqrt() < 60).float()


def test_hole_share_counts_holes_and_slits_and_nothing_outside():
    alpha = head()
    area = float(alpha.sum())
    assert hole_share(alpha) == pytest.approx(0, abs=2e-3)  # a coarse disc's own corners
    base = hole_share(alpha)
    slit = alpha.clone()
    slit[100:, 99:102] = 0  # open to the outside, 3 px of the 4 that close
    assert hole_share(slit) - base == pytest.approx(60 * 3 / area, rel=0.1)
    window = alpha.clone()
    window[90:110, 90:110] = 0.4  # wide, but enclosed
    assert hole_share(window) - base == pytest.approx(400 / area, rel=0.02)
    mouth = alpha.clone()
    mouth[100:, 90:110] = 0  # wide and open: no hole but shape
    assert hole_share(mouth) - base < 2e-3
    assert hole_share(torch.zeros(40, 40)) == 0


def test_tears_are_closed_in_the_colour_and_depth_around_them():
    alpha = head()
    alpha[100:, 100:102] = 0.2
    colour = torch.tensor([0.8, 0.4, 0.2])
    rgb, depth = alpha[..., None] * colour, alpha * 0.9
    assert hole_share(alpha) > 0.01
    closed_rgb, closed, closed_depth = close_gaps(rgb, alpha, depth)
    assert hole_share(closed) < 2e-3
    inside = closed[105:150, 100:102]
    assert torch.allclose(inside, torch.ones_like(inside), atol=1e-5)
    assert torch.allclose(closed_rgb[105:150, 100:102], colour.expand(45, 2, 3), atol=1e-5)
    assert torch.allclose(closed_depth[105:150, 100:102], torch.full((45, 2), 0.9), atol=1e-5)
    assert closed_rgb.shape == (200, 200, 3) and closed.max() <= 1 + 1e-6


def test_closing_leaves_whole_things_alone():
    alpha = torch.zeros(40, 50)
    alpha[10:30, 5:45] = 0.7  # a rectangle is closed already
    alpha[0:5, 0:5] = 1  # also in the picture's corner
    assert torch.equal(closing(alpha, 2), alpha)
    rgb = torch.rand(40, 50, 3) * alpha[..., None]
    after = close_gaps(rgb, alpha, alpha)
    assert torch.equal(after[0], rgb) and torch.equal(after[1], alpha) and torch.equal(after[2], alpha)
