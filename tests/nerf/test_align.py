"""An avatar finds its head's pose in a picture."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.nerf.align import PoseAligner
from geneface.nerf.pose import rigid

SIZE = 96


class Ball:
    """Stands in for `AvatarRenderer`: a textured plane patch that moves with the pose."""

    size = (SIZE, SIZE)

    def rays(self, driving, pixels, head_to_camera):
        place = torch.as_tensor(pixels).double() / SIZE - 0.5
        pose = torch.as_tensor(head_to_camera).double()
        at = place - pose[:2, 3] * 8  # a shift in the plane
        turn = torch.atan2(pose[1, 0], pose[0, 0])
        x = at[:, 0] * turn.cos() + at[:, 1] * turn.sin()
        y = at[:, 1] * turn.cos() - at[:, 0] * turn.sin()
        alpha = torch.sigmoid(60 * (0.3 - (x.square() + 2 * y.square()).sqrt()))
        waves = [0.4 * torch.sin(13 * x), 0.4 * torch.cos(11 * y), 0.3 * torch.sin(9 * (x + y))]
        colour = 0.5 + torch.stack(waves, 1)
        return (colour * alpha[:, None]).float(), alpha.float()

    def layers(self, driving, head_to_camera):
        class Layers:
            pass

        y, x = np.mgrid[:SIZE, :SIZE] + 0.5
        rgb, alpha = self.rays(driving, np.stack([x.ravel(), y.ravel()], 1), head_to_camera)
        out = Layers()
        out.head_rgb, out.head_alpha = rgb.view(SIZE, SIZE, 3), alpha.view(SIZE, SIZE)
        out.rgb = out.head_rgb + (1 - out.head_alpha[..., None]) * 0.2
        return out


def pose(values) -> np.ndarray:
    base = torch.eye(4)
    base[2, 3] = 0.6
    return (base @ rigid(torch.tensor([values]))[0]).numpy()


def shown(renderer: Ball, head_to_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    layers = renderer.layers(None, head_to_camera)
    mask = np.zeros((SIZE, SIZE, 3), np.uint8)
    mask[..., 0] = (layers.head_alpha > 0.5).numpy() * 255
    mask[..., 2] = 255 - mask[..., 0]
    return (layers.rgb * 255).round().to(torch.uint8).numpy(), mask


def test_finds_turn_and_shift_and_starts_the_next_frame_there():
    renderer = Ball()
    aligner = PoseAligner(renderer)
    true = pose([0, 0, 0.03, 0.02, -0.015, 0])
    tracked = pose([0.0] * 6)
    picture, mask = shown(renderer, true)
    found = aligner.pose(picture, mask, None, tracked)
    assert np.abs(found[:2, 3] - true[:2, 3]).max() < 2e-4
    assert abs(found[1, 0] - true[1, 0]) < 6e-3
    again = aligner.pose(picture, mask, None, tracked)
    assert np.abs(again[:2, 3] - true[:2, 3]).max() <= np.abs(found[:2, 3] - true[:2, 3]).max() + 5e-5


def test_what_one_shot_asked_for_does_not_mislead_in_the_next():
    renderer = Ball()
    aligner, tracked = PoseAligner(renderer), pose([0.0] * 6)
    for _ in range(2):
        found = aligner.pose(*shown(renderer, pose([0, 0, 0.06, -0.06, 0.06, 0])), None, tracked)
    assert np.hypot(*found[:2, 3]) > 0.007
    true = pose([0, 0, -0.05, 0.05, -0.055, 0])  # after a cut
    found = aligner.pose(*shown(renderer, true), None, tracked)
    alone = PoseAligner(renderer).pose(*shown(renderer, true), None, tracked)
    assert np.abs(found - alone).max() < 2e-4


@pytest.mark.parametrize("wrong", ["picture", "mask"])
def test_pictures_of_another_size_are_refused(wrong):
    renderer = Ball()
    picture, mask = shown(renderer, pose([0.0] * 6))
    given = {"picture": picture, "mask": mask}
    given[wrong] = given[wrong][:, :-8]
    with pytest.raises(ValueError, match=rf"^{wrong}: expected \(96, 96\) px, got \(88, 96\)"):
        PoseAligner(renderer).pose(**given, driving=None, head_to_camera=pose([0.0] * 6))


def test_what_hides_the_head_has_no_say():
    renderer = Ball()
    true = pose([0, 0, 0, 0.02, 0, 0])
    picture, mask = shown(renderer, true)
    covered = picture.copy()
    covered[:, 60:] = [255, 0, 255]
    mask[:, 60:] = 0
    found = PoseAligner(renderer).pose(covered, mask, None, pose([0.0] * 6))
    assert np.abs(found[:2, 3] - true[:2, 3]).max() < 3e-4


def test_without_a_head_the_tracked_pose_stands():
    renderer = Ball()
    picture, mask = shown(renderer, pose([0.0] * 6))
    mask[..., 0] = 0
    tracked = pose([0, 0, 0, 0.01, 0, 0])
    assert np.array_equal(PoseAligner(renderer).pose(picture, mask, None, tracked), tracked)
