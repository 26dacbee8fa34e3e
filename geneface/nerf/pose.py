"""Head poses as the head field needs them: what tracking gets wrong about a person, learned with the field."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from .cameras import invert_rigid

POSE_VALUES = 6  # a small rotation [rad], then a shift
COMPONENTS = 6  # directions of the landmarks' motion that a correction may depend on
LEVER_M = 0.1  # a shift of this much moves the picture about as far as a rotation by one radian
CLAMP = 3.0  # deviations


class PoseCorrection(nn.Module):
    """Small rigid corrections of tracked head poses.

    A tracker that knows a face by its landmarks is wrong about the pose in ways that repeat: with a shape that is too
    flat a nod comes out too large, and an open jaw is taken for a raised chin. Such errors are functions of pose and
    expression. `weight` holds the linear part, learned on the training frames and applied to any pose; `residual`
    is what is left of each training frame, used in the fit alone, so that noise of single frames does not blur the
    field.

    Buffers: rotation [3,3], mean and deviation [6] of the training poses; face [D] and components [D,COMPONENTS] of
    the training landmarks.
    """

    def __init__(self, frames: int, driving: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(POSE_VALUES + COMPONENTS, POSE_VALUES))
        self.residual = nn.Parameter(torch.zeros(frames, POSE_VALUES))
        self.register_buffer("rotation", torch.eye(3))
        self.register_buffer("mean", torch.zeros(POSE_VALUES))
        self.register_buffer("deviation", torch.ones(POSE_VALUES))
        self.register_buffer("face", torch.zeros(driving))
        self.register_buffer("components", torch.zeros(driving, COMPONENTS))

    def set(self, poses: Tensor, driving: Tensor) -> None:
        """Take the statistics of training poses [T,4,4] and driving values [T,D]."""
        u, _, vh = torch.linalg.svd(poses[:, :3, :3].mean(0).double())
        u[:, 2] *= torch.det(u @ vh)  # a rotation, not a reflection
        self.rotation.copy_(u @ vh)
        values = self._pose_values(poses)
        self.mean.copy_(values.mean(0))
        self.deviation.copy_(values.std(0, correction=0).clamp(min=1e-4))
        self.face.copy_(driving.mean(0))
        _, size, directions = torch.linalg.svd((driving - self.face).double(), full_matrices=False)
        size = size[:COMPONENTS] / len(driving) ** 0.5
        moves = size > 1e-6
        self.components.zero_()
        self.components[:, : len(size)][:, moves] = (directions[: len(size)][moves].T / size[moves]).float()

    def features(self, poses: Tensor, driving: Tensor) -> Tensor:
        """[T,12] standardised poses [T,4,4] and expressions [T,D]: what a correction depends on."""
        pose = (self._pose_values(poses) - self.mean) / self.deviation
        return torch.cat([pose, (driving - self.face) @ self.components], dim=1).clamp(-CLAMP, CLAMP)

    def _pose_values(self, poses: Tensor) -> Tensor:
        return torch.cat([rotation_vectors(self.rotation.T @ poses[:, :3, :3]), poses[:, :3, 3]], dim=1)

    def head_to_camera(self, poses: Tensor, driving: Tensor) -> Tensor:
        """Corrected poses [T,4,4] of any frames, tracked or made."""
        return poses @ rigid(self.features(poses, driving) @ self.weight)

    def rays(
        self, rays_o: Tensor, rays_d: Tensor, slot: Tensor, features: Tensor, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rays [N,3] of training frames as they are with corrected poses; differentiable.

        Args:
            slot: [N] which of the F frames each ray belongs to.
            features: [F,12] of the frames. frames: [F] their positions in the training set.
        """
        back = invert_rigid(rigid(features @ self.weight + self.residual[frames]))[slot]
        turn = back[:, :3, :3]
        return (turn @ rays_o[..., None]).squeeze(-1) + back[:, :3, 3], (turn @ rays_d[..., None]).squeeze(-1)

    def size(self, frames: Tensor) -> Tensor:
        """Mean square of the residuals of frames [F], in degrees (shifts alike, by `LEVER_M`)."""
        return self.residual[frames].rad2deg().square().sum(-1).mean()

    @torch.no_grad()
    def absorb(self, features: Tensor) -> None:
        """Let `weight` take what the residuals of all training frames, features [T,12], have in common."""
        ridge = 0.02 * len(features) * torch.eye(features.shape[1], device=features.device)
        common = torch.linalg.solve(features.T @ features + ridge, features.T @ self.residual)
        self.weight += common
        self.residual -= features @ common


def rigid(values: Tensor) -> Tensor:
    """Rigid transforms [T,4,4] of values [T,6]: rotation vectors [rad], then shifts in units of `LEVER_M`."""
    x, y, z = values[:, :3].unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    turn = torch.matrix_exp(skew)
    top = torch.cat([turn, LEVER_M * values[:, 3:, None]], dim=2)
    bottom = torch.tensor([0.0, 0, 0, 1], device=values.device).expand(len(values), 1, 4)
    return torch.cat([top, bottom], dim=1)


def rotation_vectors(rotations: Tensor) -> Tensor:
    """[T,3] rotation vectors [rad] of rotations [T,3,3], none of them by half a turn."""
    axis = torch.stack([
        rotations[:, 2, 1] - rotations[:, 1, 2], rotations[:, 0, 2] - rotations[:, 2, 0],
        rotations[:, 1, 0] - rotations[:, 0, 1],
    ], dim=1) / 2
    sine = axis.norm(dim=1, keepdim=True)
    cosine = (rotations.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) - 1) / 2
    angle = torch.atan2(sine, cosine)
    return axis * torch.where(sine > 1e-6, angle / sine.clamp(min=1e-6), torch.ones_like(sine))
