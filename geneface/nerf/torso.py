"""The torso: a picture in the image plane that deforms with the head's pose."""
from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from .. import ops
from .cameras import project
from .condition import ConditionEncoder
from .layers import MLP, frequency_encode

JAW = tuple(range(0, 17, 2))  # every other jaw point of the 68
# Fixed points of head space [m] whose image positions spell the head's pose (after ER-NeRF's
# projected anchors): left, right, below, and one deeper.
ANCHORS = ((-0.08, 0.0, 0.0), (0.08, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 0.12))
BANDS = 5


@dataclass(frozen=True)
class TorsoSpec:
    """Sizes of the torso field. JSON values, kept in the avatar.

    Attributes:
        levels, base_resolution, max_resolution, log2_table_size: 2D hash grid over the image, two
            features a level.
        hidden: width of the networks.
        condition: size of the encoded pose.
        appearance: size of the per-frame appearance code.
        reach: largest deformation, as a share of the image side.
    """

    levels: int = 16
    base_resolution: int = 16
    max_resolution: int = 512
    log2_table_size: int = 16
    hidden: int = 64
    condition: int = 16
    appearance: int = 4
    reach: float = 0.25

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def grid(self) -> ops.GridSpec:
        return ops.GridSpec(2, self.levels, 2, self.base_resolution, self.max_resolution, self.log2_table_size)


def pose_values(landmarks: Tensor, head_to_camera: Tensor, intrinsics: Tensor, side: float) -> Tensor:
    """What the torso sees of the head: image positions of pose anchors and posed jaw points.

    Args:
        landmarks: [T,68,3] canonical landmarks [m].
        head_to_camera: [T,4,4] rigid transforms [m].
        intrinsics: [3,3] pinhole matrix [px].
        side: longer image side [px], the unit of the result.

    Returns:
        [T,2*(len(ANCHORS)+len(JAW))] positions in image sides.
    """
    anchors = torch.tensor(ANCHORS, dtype=landmarks.dtype, device=landmarks.device).expand(len(landmarks), -1, -1)
    points = torch.cat([anchors, landmarks[:, list(JAW)]], dim=1)
    return (project(points, intrinsics, head_to_camera) / side).flatten(1)


class TorsoField(nn.Module):
    """Colour and opacity of the torso at image positions.

    A small network maps position and pose to a displacement; a 2D hash grid is read at the displaced
    position (RAD-NeRF's torso).
    """

    def __init__(self, spec: TorsoSpec) -> None:
        super().__init__()
        self.spec, self.grid_spec = spec, spec.grid
        self.table = nn.Parameter(torch.empty(self.grid_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.encoder = ConditionEncoder(2 * (len(ANCHORS) + len(JAW)), spec.condition)
        self.deform_net = MLP([2 + 4 * BANDS, spec.hidden, spec.hidden, 2], per_frame=spec.condition)
        self.colour_net = MLP([self.grid_spec.width, spec.hidden, spec.hidden, 4], per_frame=spec.appearance)
        with torch.no_grad():  # starts undeformed
            self.deform_net.layers[-1].weight.mul_(1e-2)

    def forward(
        self, position: Tensor, condition: Tensor, appearance: Tensor, slot: Tensor | None = None, bf16: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate at N image positions of F frames.

        Args:
            position: [N,2] image positions in image sides (0 to 1).
            condition: [F,condition] encoded pose (`encoder`).
            appearance: [F,appearance] codes.
            slot: [N] frame of each position; may be None if F = 1.
            bf16: networks in bfloat16.

        Returns:
            rgb [N,3] and alpha [N], both in [0,1]; shift [N,2], the displacement in image sides.
        """
        shift = self.deform_net([frequency_encode(position * 2 - 1, BANDS)], condition, slot, bf16)
        shift = self.spec.reach * torch.tanh(shift)
        features = ops.grid_encode(position + shift, self.table, self.grid_spec)
        out = torch.sigmoid(self.colour_net([features], appearance, slot, bf16))
        return out[:, :3], out[:, 3], shift
