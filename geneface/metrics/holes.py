"""Holes in a head: where a picture looks through it though there is head all around."""
from __future__ import annotations

import torch
from scipy.ndimage import binary_fill_holes

from ..nerf.views import closing

REACH = 0.01  # half the width of the widest gap that counts as a hole, in sides of the picture


def hole_share(alpha: torch.Tensor) -> float:
    """Share of the head's silhouette that is a hole.

    The silhouette is where the opacity [H,W] exceeds a half, its gaps up to `2 * REACH` picture sides wide closed and
    all that is enclosed filled. A notch that belongs to the head, as between ear and hair, counts as well: compare
    with the view that the head was fitted to. 0 where there is no head.
    """
    solid = (alpha > 0.5).float().cpu()
    whole = binary_fill_holes(closing(solid, max(1, round(REACH * max(alpha.shape)))).numpy() > 0.5)
    return float((whole & (solid.numpy() == 0)).sum() / max(whole.sum(), 1))
