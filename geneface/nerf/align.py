"""The head's pose in a picture, found by the avatar itself: landmarks tell it only roughly."""
from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..metrics.image import in_sight
from .pose import POSE_VALUES, rigid
from .render import AvatarRenderer

PIXELS = 4096  # that are looked at
ROUNDS = 3  # of Gauss and Newton
DIFFERENCE = 2e-3  # of a pose value, for a derivative [rad]
NOISE = 0.05  # deviation of a pixel's colour; errors of neighbours go together, and
TOGETHER = 20  # so many pixels tell as much as one alone would
DOUBT = 0.02  # deviation of the tracked pose [rad]
OUTLIER = 0.15  # colour error from which a pixel says little: hair and shine are not where they were
EDGE = 1 / 64  # outside the head by this much of the image side, a picture still tells where its edge is


class PoseAligner:
    """Moves an avatar's head to where a picture shows it: six numbers a frame, nothing else is taken from the picture.

    Least squares over colours, with the tracked pose as prior. Each frame starts where the last one's ended, unless the
    tracked pose is more like the picture, as it may be after a cut.

    Args:
        renderer: of the avatar. seed: of the pixels that are looked at.
    """

    def __init__(self, renderer: AvatarRenderer, seed: int = 0) -> None:
        self._renderer = renderer
        self._random = np.random.default_rng(seed)
        self._last = torch.zeros(POSE_VALUES)

    def pose(
        self, picture: np.ndarray, mask: np.ndarray, driving: np.ndarray, head_to_camera: np.ndarray
    ) -> np.ndarray:
        """[4,4] head pose that renders most like the picture; the tracked one where no head is in sight.

        Args:
            picture: [H,W,3] uint8 of the renderer's size. mask: [H,W,3] uint8 its head, torso and background.
            driving: of the frame, as for `AvatarRenderer.frame`. head_to_camera: [4,4] the tracked pose.

        Raises:
            ValueError: a picture or mask of another size than the renderer's.
        """
        for name, value in (("picture", picture), ("mask", mask)):
            if value.shape[1::-1] != self._renderer.size:
                raise ValueError(f"{name}: expected {self._renderer.size} px, got {value.shape[1::-1]}")
        pixels = self._pixels(mask)
        if not len(pixels):
            return head_to_camera
        tracked = torch.from_numpy(np.asarray(head_to_camera, np.float32))
        layers = self._renderer.layers(driving, head_to_camera)
        rest = (layers.rgb - layers.head_rgb) / (1 - layers.head_alpha).clamp(min=1e-3)[..., None]
        rows, columns = pixels.T
        behind, truth = rest.cpu()[rows, columns], torch.from_numpy(picture[rows, columns]).float() / 255
        centres = pixels[:, ::-1] + 0.5

        def error(values: Tensor) -> Tensor:
            moved = (tracked @ rigid(values[None])[0]).numpy()
            rgb, alpha = (value.cpu() for value in self._renderer.rays(driving, centres, moved))
            return rgb + (1 - alpha[:, None]) * behind - truth

        values, prior = torch.zeros(POSE_VALUES), torch.eye(POSE_VALUES) / DOUBT**2
        now, last = error(values), error(self._last)
        if _cost(last, self._last) < _cost(now, values):
            values, now = self._last, last
        for turn in range(ROUNDS):
            now = error(values) if turn else now
            slopes = torch.stack([(error(values + d) - now) / DIFFERENCE for d in DIFFERENCE * torch.eye(6)], dim=-1)
            weight = 1 / (1 + (now.norm(dim=-1) / OUTLIER).square()) / (TOGETHER * NOISE**2)
            weighted = slopes * weight[:, None, None]
            normal = torch.einsum("nci,ncj->ij", weighted, slopes) + prior
            values = values - torch.linalg.solve(normal, torch.einsum("nci,nc->i", weighted, now) + prior @ values)
            values = values.clamp(-3 * DOUBT, 3 * DOUBT)
        self._last = values
        return (tracked @ rigid(values[None])[0]).numpy()

    def _pixels(self, mask: np.ndarray) -> np.ndarray:
        """[N,2] rows and columns of pixels in and just outside the head, where nothing hides it."""
        rounds = max(1, round(EDGE * max(mask.shape[:2])))
        grown = ndimage.binary_dilation(mask[..., 0] >= 128, iterations=rounds)
        found = np.argwhere(grown & in_sight(mask))
        return found[self._random.permutation(len(found))[:PIXELS]]


def _cost(error: Tensor, values: Tensor) -> float:
    """What the least squares with weights `1 / (1 + (error / OUTLIER)^2)` bring down (Cauchy's loss), and the prior."""
    data = OUTLIER**2 * torch.log1p((error.norm(dim=-1) / OUTLIER).square()).sum() / (TOGETHER * NOISE**2)
    return float(data + (values / DOUBT).square().sum())
