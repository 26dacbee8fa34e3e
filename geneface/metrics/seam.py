"""Visible breaks where the head meets the torso: neck gaps, double chins, hard edges."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from .image import check_pair, dilate, in_sight, luma

BAND = 6.0
"""The border is where both head and torso lie within this distance [px at 512 scale]."""

TOLERANCE = 4
"""An edge that truth has within this distance is no new edge, only slightly out of place [px at 512 scale]."""

_NEAR = 2.0  # colours are compared between this distance from the border on both sides ...
_FAR = 5.0  # ... and this one [px at 512 scale]


@dataclass(frozen=True)
class Seam:
    """The border of head and torso in one picture.

    Attributes:
        gradient: slope of the luma across the border, the steepest within `BAND` px of it [8-bit levels per px].
        jump: difference of colour between the two sides of the border, RMS over the channels [8-bit levels].
            Both are means along the border.
    """

    gradient: float
    jump: float


class Border:
    """Where head and torso meet in a true frame: the lower edge of the head mask.

    Args:
        mask: [H,W,3] uint8 soft masks at 512 scale: head, torso, background; what hides them is missing from
            their sum, and the border behind it is left out.
    """

    def __init__(self, mask: np.ndarray) -> None:
        head, torso, seen = mask[..., 0] >= 128, mask[..., 1] >= 128, in_sight(mask)
        self.band = dilate(head, BAND) & dilate(torso, BAND) & seen
        reach = TOLERANCE + 8
        rows, columns = np.flatnonzero(self.band.any(axis=1)), np.flatnonzero(self.band.any(axis=0))
        if not rows.size:
            self.points, self.normals = np.zeros((2, 0, 2), np.float32)
            return
        # Only the band and what its filters reach is worth computing.
        self._window = (slice(max(0, rows[0] - reach), rows[-1] + reach + 1),
                        slice(max(0, columns[0] - reach), columns[-1] + reach + 1))
        head, torso, seen = (area[self._window] for area in (head, torso, seen))
        # Signed distance from the edge of the head: its slope is the normal, its sign the side.
        distance = ndimage.distance_transform_edt(~head) - ndimage.distance_transform_edt(head)
        slope = np.stack(np.gradient(cv2.GaussianBlur(distance, (0, 0), 2.0)), -1)
        edge = head & (distance > -1.5) & dilate(torso, 2.0) & ~dilate(~seen, BAND + 1)
        edge &= np.linalg.norm(slope, axis=-1) > 0.3  # no direction in a cleft between two edges
        normals = slope[edge]
        self.normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
        # The head's outermost pixels; the border runs half a pixel farther out.
        self.points = np.argwhere(edge).astype(np.float32) + 0.5 * self.normals

    def __bool__(self) -> bool:
        """Whether head and torso meet in the picture."""
        return bool(self.band.any())

    def seam(self, image: np.ndarray) -> Seam | None:
        """How strongly a picture shows the border: gradient and colour jump across it.

        A true frame has edges there too (a jaw line, its shadow, a collar), so judge a render by the ratio.

        Args:
            image: [H,W,3] uint8 RGB, truth or a render of the frame whose mask this is.

        Returns:
            None where head and torso do not meet.
        """
        if not len(self.points):
            return None
        picture = cv2.GaussianBlur(image[self._window].astype(np.float32), (0, 0), 1.0)
        offsets = np.arange(0.5 - BAND, BAND, dtype=np.float32)
        y, x = (self.points[:, axis, None] + self.normals[:, axis, None] * offsets for axis in (0, 1))
        # [points, offsets, 3] from inside the head to the torso
        profile = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        steps = np.abs(np.diff(luma(profile), axis=1))
        inner, outer = ((offsets * side >= _NEAR) & (offsets * side <= _FAR) for side in (-1, 1))
        jump = profile[:, outer].mean(axis=1) - profile[:, inner].mean(axis=1)
        return Seam(float(steps.max(axis=1).mean()), float(np.sqrt(np.square(jump).mean(axis=-1)).mean()))

    def new_edges(self, image: np.ndarray, truth: np.ndarray) -> float | None:
        """Edges along the border that truth does not have [8-bit levels per px].

        The gradient magnitude of the luma, Gaussian smoothed by 1 px, less the largest that truth shows
        within `TOLERANCE` px, where positive, averaged over the band around the border. A collar or a jaw line
        that truth has too counts nothing; a line drawn across the neck, a gap or a step in colour does.

        Args:
            image, truth: [H,W,3] uint8 RGB at 512 scale.

        Returns:
            0 for a render without a new edge; None where head and torso do not meet in the picture.

        Raises:
            ValueError: types or shapes that do not fit.
        """
        check_pair(image, truth, self.band)
        if not self:
            return None
        allowed = ndimage.maximum_filter(_gradient(truth[self._window]), size=2 * TOLERANCE + 1)
        excess = np.maximum(_gradient(image[self._window]) - allowed, 0)
        return float(excess[self.band[self._window]].mean())


def _gradient(image: np.ndarray) -> np.ndarray:
    """[H,W] gradient magnitude of the luma [levels per px]."""
    return ndimage.gaussian_gradient_magnitude(luma(image), sigma=1.0)
