"""The person alone: what of a rendered frame is head or torso."""
from __future__ import annotations

import numpy as np

from ..nerf.render import AvatarRenderer, Layers
from ..nerf.views import View
from .spill import without_spill


def person(layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Colours [H,W,3], premultiplied, and opacity [H,W] of head and torso together, float32 in [0,1]."""
    seen = (1 - layers.head_alpha) * layers.torso_alpha
    rgb = layers.head_rgb + seen[..., None] * layers.torso_rgb
    return rgb.float().cpu().numpy(), (layers.head_alpha + seen).float().clamp(0, 1).cpu().numpy()


def cut_out(renderer: AvatarRenderer, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View
            ) -> tuple[np.ndarray, np.ndarray]:
    """`person` of a frame, fit to stand before any background. Arguments as of `AvatarRenderer.frame`."""
    rgb, alpha = person(renderer.layers(landmarks, head_to_camera, view=view))
    return without_spill(rgb, alpha, renderer.background), alpha


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """[...] from [0,1]."""
    return (picture * 255).round().clip(0, 255).astype(np.uint8)


class PersonAlone:
    """Frames of an avatar without a background.

    Args:
        renderer: of the avatar.
    """

    def __init__(self, renderer: AvatarRenderer) -> None:
        self._renderer = renderer
        self.size = renderer.size

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W,4] uint8 RGBA, straight alpha; black where there is nobody. Arguments as of `AvatarRenderer.frame`."""
        rgb, alpha = cut_out(self._renderer, landmarks, head_to_camera, view)
        straight = rgb / np.maximum(alpha, 1 / 255)[..., None]
        return to_uint8(np.concatenate([straight, alpha[..., None]], axis=-1))
