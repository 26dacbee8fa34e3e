"""Flicker: what changes from frame to frame where nothing but the head's motion should."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from ..face import landmarks as sets
from .image import luma

SMOOTHING = 1.5
"""Pictures are smoothed by a Gaussian of this deviation first [px at 512 scale]: a camera's noise, which no render
should have, would else be most of what truth shows."""

# Forehead, temples, cheekbones and nose. Everything below moves with speech.
_OUTLINE = np.concatenate([sets.FACE_OVAL[:9], sets.FACE_OVAL[28:], [98, 2, 327]])
_MOVING = (np.concatenate([sets.EYE_RIGHT, sets.BROW_RIGHT]), np.concatenate([sets.EYE_LEFT, sets.BROW_LEFT]))
_MARGIN = 6  # kept from the outline, the eyes and the brows [px at 512 scale]
_REACH = 32  # farthest motion from frame to frame that is followed [px at 512 scale]


def static_skin(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """[height,width] bool: skin that moves with the skull alone: forehead to nose without eyes and brows.

    Args:
        landmarks: [478,2] of one frame [px].
    """
    area = _hull(landmarks[_OUTLINE], height, width)
    area = cv2.erode(area, _DISC, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    for part in _MOVING:
        area[cv2.dilate(_hull(landmarks[part], height, width), _DISC) > 0] = 0
    return area > 0


_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _MARGIN + 1, 2 * _MARGIN + 1))


def _hull(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """[height,width] uint8, 1 inside the convex hull of [N,2]."""
    area = np.zeros((height, width), np.uint8)
    return cv2.fillConvexPoly(area, cv2.convexHull(np.rint(points).astype(np.int32)), 1)


@dataclass(frozen=True)
class _Frame:
    index: int
    pictures: dict[str, np.ndarray]
    seen: np.ndarray


class Flicker:
    """Follows consecutive frames of truth and renders.

    The warped difference of blind video temporal consistency (Lai et al., "Learning blind video temporal
    consistency", 2018), within `static_skin`: truth's own optical flow (DIS, Kroeger et al. 2016) takes each previous
    frame, of truth and of the renders alike, to the present one, and what then still differs is flicker. A render
    that trembles against truth, whose texture swims, or whose brightness pumps, differs more than truth does.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._previous: _Frame | None = None

    def step(
        self, index: int, pictures: Mapping[str, np.ndarray], landmarks: np.ndarray | None, seen: np.ndarray
    ) -> dict[str, float] | None:
        """Compare a frame with the one before.

        Args:
            index: its number.
            pictures: name -> [H,W,3] uint8 RGB; "truth" among them.
            landmarks: [478,2] of truth [px], None where no face was found.
            seen: [H,W] bool: where nothing is in front of the person.

        Returns:
            name -> mean absolute difference from its predecessor along truth's flow [8-bit levels]; None
            where the last step was not the frame before, or no static skin is in sight.
        """
        previous, self._previous = self._previous, _Frame(index, dict(pictures), seen)
        if previous is None or previous.index != index - 1 or landmarks is None:
            return None
        height, width = seen.shape
        skin = static_skin(landmarks, height, width) & seen & previous.seen
        if not skin.any():
            return None
        rows, columns = np.flatnonzero(skin.any(axis=1)), np.flatnonzero(skin.any(axis=0))
        window = (slice(max(0, rows[0] - _REACH), rows[-1] + _REACH + 1),
                  slice(max(0, columns[0] - _REACH), columns[-1] + _REACH + 1))
        skin = skin[window]
        here, before = (np.rint(luma(frame["truth"][window])).astype(np.uint8)
                        for frame in (pictures, previous.pictures))
        flow = self._flow.calc(here, before, None)
        grid = np.mgrid[: skin.shape[0], : skin.shape[1]].astype(np.float32)
        x, y = grid[1] + flow[..., 0], grid[0] + flow[..., 1]
        out = {}
        for name, picture in pictures.items():
            now, then = (cv2.GaussianBlur(p[window].astype(np.float32), (0, 0), SMOOTHING)
                         for p in (picture, previous.pictures[name]))
            warped = cv2.remap(then, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            out[name] = float(np.abs(now - warped)[skin].mean())
        return out
