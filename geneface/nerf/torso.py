"""The torso: a picture in the image plane that moves with the head's pose."""
from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops
from .cameras import project
from .condition import CLAMP, LEAST_DEVIATION_IMAGE
from .layers import MLP

JAW = range(0, 17, 2)  # every other jaw point of the 68
# Fixed points of head space [m] whose image positions spell the head's pose (after ER-NeRF's
# projected anchors): left, right, below, and one deeper.
ANCHORS = ((-0.08, 0.0, 0.0), (0.08, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 0.12))
MARGIN = 0.1  # of the picture, on each side
FINE = 4  # cells of the bent lattice for each of its own


@dataclass(frozen=True)
class TorsoSpec:
    """Sizes of the torso field. JSON values, kept in the avatar.

    Attributes:
        levels, base_resolution, max_resolution, log2_table_size: 2D hash grid over the picture of the torso, two
            features a level.
        hidden: width of the network.
        lattice: points a side of the lattice over the image whose shifts move the torso.
    """

    levels: int = 16
    base_resolution: int = 16
    max_resolution: int = 512
    log2_table_size: int = 16
    hidden: int = 64
    lattice: int = 9

    def to_dict(self) -> dict:
        return asdict(self)

    @property
    def grid(self) -> ops.GridSpec:
        return ops.GridSpec(2, self.levels, 2, self.base_resolution, self.max_resolution, self.log2_table_size)

    @property
    def motion(self) -> int:
        """Values of a torso's motion: two for each lattice point."""
        return 2 * self.lattice**2


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
    points = torch.cat([anchors, landmarks[:, JAW.start:JAW.stop:JAW.step]], dim=1)
    return (project(points, intrinsics, head_to_camera) / side).flatten(1)


class PoseMotion(nn.Module):
    """What the head's pose tells of the torso's motion: a linear map of the decorrelated pose values.

    More than a linear map would learn the training frames by heart: shoulders follow the head late, and not always.

    Buffers: mean [D], decorrelate [D,D].
    """

    def __init__(self, motion: int) -> None:
        super().__init__()
        width = 2 * (len(ANCHORS) + len(JAW))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("decorrelate", torch.eye(width))
        self.linear = nn.Linear(width, motion)
        nn.init.zeros_(self.linear.weight)  # starts still
        nn.init.zeros_(self.linear.bias)

    def set(self, values: Tensor) -> None:
        """Take the statistics of the training frames' `pose_values` [T,D]."""
        self.mean.copy_(values.mean(0))
        # Directions that hardly vary are noise: they are not blown up.
        variance, axes = torch.linalg.eigh((values - self.mean).T.cov(correction=0))
        deviation = variance.clamp(min=0).sqrt() + LEAST_DEVIATION_IMAGE
        self.decorrelate.copy_(axes / deviation)

    def forward(self, values: Tensor) -> Tensor:
        """[F,motion] shifts of the lattice points for `pose_values` [F,D]."""
        return self.linear(((values - self.mean) @ self.decorrelate).clamp(-CLAMP, CLAMP))


class TorsoField(nn.Module):
    """Colour and opacity of the torso at image positions: one sharp picture, a 2D hash grid, that is bent smoothly.

    Where each frame's torso is, the head's pose tells only in part. A fit therefore finds the motion of each training
    frame, what the pose tells (`predict`) plus a remainder; the picture stays sharp, since no frame blurs it.
    """

    def __init__(self, spec: TorsoSpec) -> None:
        super().__init__()
        self.spec, self.grid_spec = spec, spec.grid
        self.table = nn.Parameter(torch.empty(self.grid_spec.rows, 2).uniform_(-1e-4, 1e-4))
        self.predict = PoseMotion(spec.motion)
        self.colour_net = MLP([self.grid_spec.width, spec.hidden, spec.hidden, 4])

    def forward(
        self, position: Tensor, motion: Tensor, slot: Tensor | None = None, bf16: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Evaluate at N image positions of F frames.

        Args:
            position: [N,2] image positions in image sides (0 to 1).
            motion: [F,motion] shifts of the lattice points in image sides (`predict`).
            slot: [N] frame of each position; may be None if F = 1.
            bf16: networks in bfloat16.

        Returns:
            rgb [N,3] and alpha [N], both in [0,1].
        """
        # Room beside the picture for what lies outside the image in most frames.
        place = (position + self._shift(position, motion, slot)) * (1 - 2 * MARGIN) + MARGIN
        return self.picture(place.clamp(0, 1), bf16)

    def picture(self, place: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """rgb [N,3] and alpha [N] at places [N,2] of the picture itself (0 to 1, its margin included)."""
        out = torch.sigmoid(self.colour_net([ops.grid_encode(place, self.table, self.grid_spec)], bf16=bf16))
        return out[:, :3], out[:, 3]

    def _shift(self, position: Tensor, motion: Tensor, slot: Tensor | None) -> Tensor:
        """[N,2] shifts at `position`: bicubic between the lattice points, so that nothing creases."""
        lattice, frames = self.spec.lattice, len(motion)
        fine = F.interpolate(
            motion.view(frames, 2, lattice, lattice), size=FINE * (lattice - 1) + 1, mode="bicubic", align_corners=True
        )
        # Frames are slices of one volume, read exactly at the slice.
        depth = position.new_zeros(len(position)) if slot is None or frames == 1 else slot / (frames - 1) * 2 - 1
        where = torch.cat([position * 2 - 1, depth[:, None].to(position)], dim=1)[None, None, None]
        shift = F.grid_sample(fine.transpose(0, 1)[None], where, padding_mode="border", align_corners=True)
        return shift[0, :, 0, 0].T
