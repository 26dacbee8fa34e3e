"""Cameras beside the recorded one, and what a head shows them that no training camera saw.

The camera goes round the head; the head itself is a 3D field. The torso is a picture: it is taken to lie in the plane
through the head's mean position that faces the recorded camera, and turns with that. The background is left where it
is, as if it went round with the camera: how far behind the person it is, and how it goes on beyond the picture, the
recording does not tell.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..types import CameraTrack

MAX_YAW, MAX_PITCH = 30.0, 20.0  # degrees; what lies further round, no portrait video shows
GAP = 0.01  # tears of the head up to this wide are closed, in sides of the picture
SWAY_SECONDS = 8.0


@dataclass(frozen=True)
class View:
    """Where a camera stands on its way round the head.

    Attributes:
        yaw: degrees to the picture's right of the recorded camera.
        pitch: degrees above it.

    Raises:
        UserError: further round than the head can be shown from.
    """

    yaw: float = 0.0
    pitch: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in (("yaw", MAX_YAW), ("pitch", MAX_PITCH)):
            value = getattr(self, name)
            if not abs(value) <= limit:
                raise UserError(f"{name} {value:g}: must be at most {limit:g} degrees off the recorded camera")

    def swayed(self, amount: float, seconds: float) -> "View":
        """The camera of a slow sway by `amount` degrees to both sides, `seconds` after its middle."""
        return View(self.yaw + amount * sin(2 * pi * seconds / SWAY_SECONDS), self.pitch)


@dataclass(frozen=True)
class CameraMove:
    """From the recorded camera to another that looks at the same point from the same distance.

    Attributes:
        transform: [4,4] recorded-to-moved camera frame [m].
        to_torso: [3,3] homography from the moved picture to the recorded one [px], by way of the torso's plane.
    """

    transform: Tensor
    to_torso: Tensor

    @classmethod
    def of(cls, view: View, camera: CameraTrack, intrinsics: np.ndarray) -> "CameraMove | None":
        """The move to a view, round the mean place of the head's origin.

        Args:
            intrinsics: [3,3] pinhole matrix of the picture to be made [px].

        Returns:
            None for the recorded camera itself.
        """
        if view == View():
            return None
        a, b = radians(view.yaw), radians(view.pitch)
        turn = np.array([[1, 0, 0], [0, cos(b), -sin(b)], [0, sin(b), cos(b)]]) @ np.array(
            [[cos(a), 0, sin(a)], [0, 1, 0], [-sin(a), 0, cos(a)]]
        )
        pivot = camera.head_to_camera[:, :3, 3].astype(float).mean(0)
        shift = pivot - turn @ pivot
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = turn, shift
        intrinsics = np.asarray(intrinsics, float)
        # A pixel p of the recorded picture shows the plane's point depth * K^-1 p, since p's third component is one.
        onto = intrinsics @ (pivot[2] * turn + np.outer(shift, [0, 0, 1])) @ np.linalg.inv(intrinsics)
        return cls(torch.from_numpy(transform).float(), torch.from_numpy(np.linalg.inv(onto)).float())

    def pose(self, head_to_camera: Tensor) -> Tensor:
        """[4,4] head to moved camera, for a head-to-camera transform [4,4] of the recorded one."""
        return self.transform.to(head_to_camera) @ head_to_camera

    def torso_pixels(self, pixels: Tensor, width: int, height: int) -> Tensor:
        """[N,2] where the torso seen at `pixels` [N,2] of the moved picture lies in the recorded one [px].

        What would lie beyond its edge is taken from there: nothing else is known of it.
        """
        to_torso = self.to_torso.to(pixels)
        image = pixels @ to_torso[:, :2].T + to_torso[:, 2]
        last = pixels.new_tensor([width, height]) - 0.5
        return (image[:, :2] / image[:, 2:]).clamp(min=0.5).minimum(last)


def closing(alpha: Tensor, reach: int) -> Tensor:
    """[H,W] morphological closing: gaps up to 2 * `reach` pixels wide take the value of their surroundings."""
    # Empty all around, so that the picture's edge counts as no head.
    wide = _largest(F.pad(alpha[None, None], (2 * reach,) * 4), reach)
    return torch.maximum(-_largest(-wide, reach)[0, 0], alpha)


def _largest(values: Tensor, reach: int) -> Tensor:
    """[...,H-2*reach,W-2*reach] largest of [...,H,W] in squares, row by row and column by column."""
    side = 2 * reach + 1
    return F.max_pool2d(F.max_pool2d(values, (1, side), stride=1), (side, 1), stride=1)


def close_gaps(rgb: Tensor, alpha: Tensor, depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mend the tears that a head shows from new sides, from what is around them.

    A field fitted from the front has its surfaces right where cameras saw them at a slant only to a few millimetres:
    a turned view looks through between them.

    Args:
        rgb: [H,W,3] premultiplied. alpha: [H,W]. depth: [H,W] premultiplied [m].

    Returns:
        The same, closed.
    """
    reach = max(1, round(GAP / 2 * max(alpha.shape)))
    side = 4 * reach + 1  # the surroundings that colour is taken from reach beyond the widest gap
    missing = closing(alpha, reach) - alpha
    values = torch.cat([rgb, depth[..., None], alpha[..., None]], dim=-1).permute(2, 0, 1)[None]
    around = F.avg_pool2d(values, (1, side), stride=1, padding=(0, 2 * reach))
    around = F.avg_pool2d(around, (side, 1), stride=1, padding=(2 * reach, 0))[0].permute(1, 2, 0)
    around = around / around[..., 4:].clamp(min=1e-6)
    closed = values[0].permute(1, 2, 0) + missing[..., None] * around
    return closed[..., :3].contiguous(), closed[..., 4].contiguous(), closed[..., 3].contiguous()
