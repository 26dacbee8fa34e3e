"""Head poses of training frames, found by the half-fitted avatar: what is left of tracking's errors."""
from __future__ import annotations

import numpy as np
import torch

from ..nerf.align import PoseAligner
from ..nerf.pose import LEVER_M, PoseCorrection, rotation_vectors
from ..nerf.render import AvatarRenderer
from ..progress import track
from ..types import PreparedPerson

FRAMES = 160  # that are aligned; between them corrections are interpolated, since a tracker's errors drift slowly


def align_poses(
    pose: PoseCorrection, renderer: AvatarRenderer, person: PreparedPerson, frames: list[int], driving: np.ndarray
) -> None:
    """Set the residuals of all training frames to what aligning some of them with the avatar finds; `weight` takes
    what they have in common.

    Args:
        pose: the corrections of the portrait that is being fitted. renderer: of the avatar as it is now.
        frames: the training frames. driving: [len(frames),69,3] their driving values.
    """
    aligner, slots = PoseAligner(renderer), np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int))
    device = pose.weight.device
    poses = torch.from_numpy(person.camera.head_to_camera[frames]).float()
    found = torch.from_numpy(np.stack([
        aligner.pose(person.frame(frames[slot]), person.mask(frames[slot]), driving[slot], poses[slot].numpy())
        for slot in track(slots, "aligning poses", total=len(slots))
    ])).float()
    values = torch.from_numpy(driving).float().flatten(1)
    with torch.no_grad():
        corrected = renderer.portrait.pose.head_to_camera(found.to(device), values[slots].to(device)).cpu()
        change = torch.linalg.inv(poses[slots]) @ corrected
        total = torch.cat([rotation_vectors(change[:, :3, :3]), change[:, :3, 3] / LEVER_M], dim=1).numpy()
        whole = np.stack([np.interp(np.arange(len(frames)), slots, column) for column in total.T], axis=1)
        features = pose.features(poses.to(device), values.to(device))
        pose.residual.copy_(torch.from_numpy(whole).float().to(device) - features @ pose.weight)
        pose.absorb(features)
