"""A camera and head poses for the tests of the renderer."""
from __future__ import annotations

import torch
from scipy.spatial.transform import Rotation

INTRINSICS = torch.tensor([[90.0, 0, 20], [0, 95, 15], [0, 0, 1]])


def pose(seed: int) -> torch.Tensor:
    out = torch.eye(4)
    out[:3, :3] = torch.from_numpy(Rotation.from_euler("xyz", [0.2, -0.3, 0.1 * seed]).as_matrix())
    out[:3, 3] = torch.tensor([0.02, -0.01, 0.6 + 0.01 * seed])
    return out
