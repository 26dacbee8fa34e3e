"""The colour of the filmed background, taken out of the person's edge."""
from __future__ import annotations

import cv2
import numpy as np

_RIM = 0.012  # how deep into the person the background's colour reaches, in sides of the picture
_OPAQUE = 0.98
_GAP = 0.06  # side of the largest square that is a gap in the person, not background, in sides of the picture
_ALIKE = 20 / 255  # person and background that differ by less than this are not told apart


def without_spill(rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Colours of a person to put before another background.

    A field that was fitted to pictures cannot tell an edge that lets the background through from one of its colour:
    some of it stays in the person. Near the edge, what of a colour's difference from the colours further inside points
    towards the background is taken away; all other differences, such as strands of hair, stay.

    Args:
        rgb: [H,W,3] premultiplied, in [0,1].
        alpha: [H,W] opacity.
        background: [H,W,3] of the pictures that the person was fitted to, in [0,1].

    Returns:
        [H,W,3] premultiplied.
    """
    reach = _RIM * max(alpha.shape)
    # A translucent gap within the person, between hair and cheek, is not the person's edge.
    _, places, about, _ = cv2.connectedComponentsWithStats((alpha < _OPAQUE).astype(np.uint8))
    beside = about[:, cv2.CC_STAT_AREA] >= (_GAP * max(alpha.shape)) ** 2
    beside[0] = False
    depth = cv2.distanceTransform((~beside[places]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inner = ((depth > reach) & (alpha >= _OPAQUE)).astype(np.float32)
    sums, share = (cv2.GaussianBlur(values, (0, 0), reach) for values in (rgb * inner[..., None], inner))
    straight = rgb / np.maximum(alpha, 1 / 255)[..., None]
    inside = sums / np.maximum(share, 1e-6)[..., None]
    towards = background - inside
    spill = ((straight - inside) * towards).sum(-1) / (np.square(towards).sum(-1) + _ALIKE**2)
    rim = np.clip(1 - depth / reach, 0, 1) * np.clip(share / 1e-3, 0, 1)  # and only where there is an inside near
    clean = straight - (rim * np.clip(spill, 0, 1))[..., None] * towards
    return np.clip(clean, 0, 1) * alpha[..., None]
