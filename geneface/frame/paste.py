"""The avatar in the original video's frame."""
from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from ..media import Crop
from ..nerf.render import AvatarRenderer
from ..nerf.views import View
from .colour import ColourMatch
from .person import person

# All in sides of the crop.
_EDGE = 0.06  # over which the portrait fades out towards the crop's edges
_KEPT = 0.02  # around the person: there the portrait's background covers what the person of the video shows beyond
_FADE = 0.05  # over which that background fades out
_PERSON = 0.1  # least opacity of what counts as the person


class PastedBack:
    """Frames of the original video with the avatar where its person was; everything else stays as it was recorded.

    Each frame takes the next of the video's. The avatar, and a narrow ring of its background that hides what of the
    original person looks out from behind it, is blended in; near the crop's edges, where the person goes on into the
    rest of the picture, it fades out.

    Args:
        renderer: of the avatar; its pictures are scaled to the crop's place.
        crop: where it lies in the frames of the stretch.
        frames: number of the frame in the stretch, head pose [4,4] of the person in it, and the whole picture
            [H,W,3] uint8; without end.
    """

    def __init__(self, renderer: AvatarRenderer, crop: Crop,
                 frames: Iterator[tuple[int, np.ndarray, np.ndarray]]) -> None:
        self._renderer, self._crop, self._frames = renderer, crop, frames
        self._match = ColourMatch()
        self.size = crop.source_width, crop.source_height

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W,3] uint8 RGB, the next. Arguments as of `AvatarRenderer.frame`."""
        number, pose, whole = next(self._frames)
        layers = self._renderer.layers(landmarks, head_to_camera, view=view)
        covered = person(layers)[1]
        if not np.array_equal(pose, head_to_camera):  # the original's head is elsewhere, and must be covered, too
            covered = np.maximum(covered, person(self._renderer.layers(landmarks, pose))[1])
        portrait = layers.rgb.float().clamp(0, 1).cpu().numpy()
        return paste(whole, portrait, covered, self._crop, number, self._match)


def paste(whole: np.ndarray, portrait: np.ndarray, covered: np.ndarray, crop: Crop, number: int,
          match: ColourMatch) -> np.ndarray:
    """Frame [H,W,3] uint8 with the portrait blended in; untouched wherever `blend_weight` is 0.

    Args:
        portrait: [n,n,3] float32 in [0,1].
        covered: [n,n] opacity of persons that must not be seen, the portrait's own and the frame's.
        number: of the frame in the crop's stretch.
        match: follows the colours from frame to frame.
    """
    weight = blend_weight(covered, crop, number)
    around = crop.apply(whole, len(portrait), number).astype(np.float32) / 255
    matched = match.apply(portrait, around, weight)
    laid = crop.laid(np.dstack([weight[..., None] * matched, weight]), number)
    share = laid[..., 3:].clip(0, 1)
    rows, columns = crop.window(number)
    result = whole.copy()
    blended = 255 * laid[..., :3] + (1 - share) * whole[rows, columns]
    result[rows, columns] = np.where(share > 0, blended.round().clip(0, 255), whole[rows, columns])
    return result


def blend_weight(covered: np.ndarray, crop: Crop, number: int) -> np.ndarray:
    """[n,n] float32 share of the portrait in the blend.

    Args:
        covered: [n,n] opacity of persons.
        crop, number: which says where the picture ends: at edges where the crop does, too, nothing fades.
    """
    size = len(covered)
    x, y = crop.corner(number)
    middles = (np.arange(size, dtype=np.float32) + 0.5) / size
    across, down = (
        _rise(middles if at > 0.5 else np.ones_like(middles), _EDGE)
        * _rise(1 - middles if at + crop.side < end - 0.5 else np.ones_like(middles), _EDGE)
        for at, end in ((x, crop.source_width), (y, crop.source_height))
    )
    outside = (covered < _PERSON).astype(np.uint8)
    if outside.all():
        return np.zeros_like(covered)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / size
    return _rise(_KEPT + _FADE - distance, _FADE) * down[:, None] * across


def _rise(values: np.ndarray, width: float) -> np.ndarray:
    """0 where values are 0 or less, 1 from `width` on, smooth between."""
    share = np.clip(values / width, 0, 1)
    return share * share * (3 - 2 * share)
