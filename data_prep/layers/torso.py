"""The torso of a whole clip as if no head were in front of it.

What the head hides in one frame, another shows in which it is held differently. A typical torso, the median
of what frames spread over all positions of the head show, is laid over each frame where its torso is, and
joined to what the frame itself shows: a membrane carries the differences along the border inwards, so no
edge is left. Where no frame shows anything, the neck goes on upwards as it ends.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from geneface.progress import track

from ..streams import Sequence, encode_png, ordered_map
from ..tracking.takes import pieces
from .background import fill_smoothly, median_where
from .parting import CHIN
from .regions import box, disc

_LEARN = 32  # frames that a typical torso is made of
_LEAST = 2  # of them that must show a pixel
_STRETCH = 75  # frames between jumps from which a stretch has a typical torso of its own
_RIM = 0.012  # along the head, that its soft edge and its shadow spoil [picture sides]
_REACH = 0.1  # how far the neck goes on where no frame shows it [picture sides]
_TRACKED = 96  # side at which the torso's motion is found [px]
_COARSE = 8  # the membrane's cells [px]
_CHANGE = 24.0  # of light, that the membrane carries on; larger differences are things out of place [8-bit levels]


def hidden_share(mask: np.ndarray) -> np.ndarray:
    """[H,W] uint8: how much of each pixel of a mask [H,W,3] uint8 shows neither torso nor background."""
    return 255 - mask[..., 1] - mask[..., 2]


def own_torso(frame: np.ndarray, mask: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """[H,W,4] uint8: colour and alpha of the torso that a frame itself shows.

    Args:
        frame: [H,W,3] uint8 RGB.
        mask: [H,W,3] uint8.
        plate: [H,W,3] uint8, what shows through its soft edge.
    """
    alpha = cv2.extractChannel(mask, 1)
    out = np.zeros((*alpha.shape, 4), np.uint8)
    cv2.copyTo(cv2.merge([*cv2.split(frame), alpha]), alpha, out)
    soft = np.flatnonzero(cv2.inRange(alpha, 1, 254))
    shares, shown, behind = (picture.reshape(-1, 3)[soft].astype(np.float32) for picture in (mask, frame, plate))
    torso, background = shares[:, 1:2], shares[:, 2:]
    # What is seen between the head's strands is torso and background in these shares.
    unmixed = (shown * (torso + background) - behind * background) / torso
    values = np.concatenate([unmixed.clip(0, 255), 255 * torso / (torso + background)], 1)
    out.reshape(-1, 4)[soft] = np.rint(values)
    return out


def _times_alpha(picture: np.ndarray) -> np.ndarray:
    """[...,4] float32: colour times alpha, and alpha [8-bit levels], of [...,4] uint8."""
    layer = picture.astype(np.float32)
    layer[..., :3] *= layer[..., 3:] / 255
    return layer


def _by_alpha(layer: np.ndarray) -> np.ndarray:
    """[...,4] uint8, the inverse of `_times_alpha`."""
    alpha = layer[..., 3:].clip(0, 255)
    colour = layer[..., :3] * (255 / np.maximum(alpha, 8)) * (alpha >= 2)
    return np.rint(np.concatenate([colour, alpha], -1).clip(0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class TypicalTorso:
    """What a clip shows of a torso in all its frames together.

    Attributes:
        layer: [H,W,4] float32: colour times alpha, and alpha [8-bit levels].
        grey: [h,w] float32 picture, and inside: [h,w] uint8 where of it the torso is, by which it is found again.
    """

    layer: np.ndarray
    grey: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, views: list[tuple[np.ndarray, np.ndarray]], plate: np.ndarray) -> "TypicalTorso":
        """From frames [H,W,3] and their masks [H,W,3] uint8. The middle one tells where the torso is."""
        middle = cls._bare(*views[len(views) // 2])
        layers, sure = [], []
        for frame, mask in views:
            place = middle._place(*_small(frame, mask))
            size = mask.shape[1::-1]
            shown = cv2.dilate(hidden_share(mask), _rim(max(size)))
            own = np.rint(_times_alpha(own_torso(frame, mask, plate))).astype(np.uint8)
            layers.append(cv2.warpAffine(own, place, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
            hidden = cv2.warpAffine(shown, place, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=255)
            sure.append(hidden < 5)
        layer, known = median_where(np.stack(layers), np.stack(sure), min(_LEAST, len(views)))
        return cls(_go_on_upwards(layer, known), middle.grey, middle.inside)

    @classmethod
    def _bare(cls, frame: np.ndarray, mask: np.ndarray) -> "TypicalTorso":
        grey, inside = _small(frame, mask)
        return cls(np.zeros((*mask.shape[:2], 4), np.float32), grey, inside)

    def _place(self, grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """[2,3] affine map from the typical torso's pixels to those of a frame, see `_small`."""
        place = np.eye(2, 3, dtype=np.float32)
        if min(np.count_nonzero(inside), np.count_nonzero(self.inside)) < 0.02 * inside.size:
            return place
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-3)
        try:
            _, place = cv2.findTransformECC(self.grey, grey, place, cv2.MOTION_EUCLIDEAN, stop, inside, 3)
        except cv2.error:  # nothing to hold on to: taken to stand still
            return np.eye(2, 3, dtype=np.float32)
        scale = self.layer.shape[1] // grey.shape[1]
        place[:, 2] = place[:, 2] * scale + (scale - 1) / 2 * (np.eye(2) - place[:, :2]).sum(1)
        return place if np.abs(place[:, 2]).max() < 0.25 * max(self.layer.shape) else np.eye(2, 3, dtype=np.float32)

    @cached_property
    def top(self) -> int:
        """First row of the layer that is not empty."""
        return int(np.argmax((self.layer[..., 3] > 0).any(1)))

    def in_frame(self, frame: np.ndarray, mask: np.ndarray) -> tuple[int, np.ndarray]:
        """Where the torso of a frame is: the row above which there is none, and the layer [H-row,W,4] below."""
        place = self._place(*_small(frame, mask))
        height, width = mask.shape[:2]
        ends = place @ np.array([[0, width], [self.top] * 2, [1, 1]], np.float32)
        top = int(np.clip(ends[1].min() - _RIM * height, 0, height - 1))
        place[1, 2] -= top
        return top, cv2.warpAffine(self.layer, place, (width, height - top), borderMode=cv2.BORDER_REPLICATE)


def whole_torso(frame: np.ndarray, mask: np.ndarray, plate: np.ndarray, typical: TypicalTorso) -> np.ndarray:
    """[H,W,4] uint8: neck and torso of a frame with what is hidden filled in.

    Args:
        frame: [H,W,3] uint8 RGB.
        mask: [H,W,3] uint8.
        plate: [H,W,3] uint8.
    """
    out = own_torso(frame, mask, plate)
    top, expected = typical.in_frame(frame, mask)
    lower, size = out[top:], max(mask.shape)
    hidden = cv2.dilate(hidden_share(mask[top:]), _rim(size))
    part = box((hidden > 0) & (expected[..., 3] > 2), size // 25)
    expected, hidden, own = expected[part], hidden[part], _times_alpha(lower[part])
    shown = cv2.GaussianBlur(255 - hidden, (0, 0), 0.5 * _RIM * size).astype(np.float32) / 255
    shown[hidden == 255] = 0
    change = _membrane((own - expected).clip(-_CHANGE, _CHANGE), hidden < 5) * (expected[..., 3:] / 255)
    expected += change
    lower[part] = _by_alpha(expected + shown[..., None] * (own - expected))
    return out


def _membrane(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[h,w,4] difference known in places, carried smoothly to all others."""
    height, width = known.shape
    small = max(1, width // _COARSE), max(1, height // _COARSE)
    weight = cv2.resize(known.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    if weight.max() <= 0.2:
        return np.zeros_like(difference)
    mean = cv2.resize(difference * known[..., None], small, interpolation=cv2.INTER_AREA)
    mean /= np.maximum(weight, 1e-3)[..., None]
    return cv2.resize(fill_smoothly(mean, weight > 0.2, sweeps=16), (width, height), interpolation=cv2.INTER_LINEAR)


def _go_on_upwards(layer: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[H,W,4]: what is not known becomes what is below it, ever smoother, for as far as the neck may reach."""
    layer, known = layer.copy(), known.copy()
    columns = np.arange(known.shape[1])
    if known[-1].any():  # what hair hides down to the edge of the picture goes on sideways
        for channel in layer[-1].T:
            channel[~known[-1]] = np.interp(columns[~known[-1]], columns[known[-1]], channel[known[-1]])
        known[-1] = True
    reach = max(1, round(_REACH * max(known.shape)))
    torso = layer[..., 3] > 127
    left = np.zeros(known.shape[1], int)  # rows that each column may still go up
    for y in range(len(layer) - 1, -1, -1):
        left = np.where(known[y], reach * torso[y], left - 1)
        grows = ~known[y] & (left > 0)
        below = cv2.blur(layer[min(y + 1, len(layer) - 1)][None], (5, 1))[0]
        layer[y][grows] = below[grows]
    return layer


def _small(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grey picture [h,w] float32 and its torso [h,w] uint8, to find the torso by."""
    # A whole factor: quick, and exact in its place.
    factor = max(1, round(max(mask.shape) / _TRACKED))
    height, width = mask.shape[0] // factor, mask.shape[1] // factor
    frame, mask = (cv2.resize(picture[:height * factor, :width * factor], (width, height), interpolation=cv2.INTER_AREA)
                   for picture in (frame, mask))
    grey, torso = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.extractChannel(mask, 1)
    hidden = cv2.dilate(hidden_share(mask), np.ones((3, 3), np.uint8))
    # The outline belongs to it: plain clothes have no other mark.
    inside = (cv2.dilate(torso, np.ones((3, 3), np.uint8)) > 127) & (hidden < 25)
    return grey.astype(np.float32), inside.astype(np.uint8)


def _rim(size: int) -> np.ndarray:
    return disc(max(1, round(_RIM * size)))


def write_torso(frames: Sequence, masks: Sequence, target: Sequence, landmarks: np.ndarray, plate: np.ndarray,
                jumps: tuple[int, ...] = ()) -> tuple[int, str]:
    """Fill in and write the torso of every frame.

    Args:
        frames, masks: of the clip.
        target: where the pictures go.
        landmarks: [T,478,2] px.
        plate: [H,W,3] uint8.
        jumps: first frames after jumps: what was worn may have changed.

    Returns:
        How many pictures, and the SHA-256 of them all.
    """
    count = len(landmarks)
    target.clear()
    stretches = pieces(np.ones(count, bool), jumps, _STRETCH)

    def finished(item: tuple[np.ndarray, np.ndarray, TypicalTorso]) -> bytes:
        frame, mask, typical = item
        return encode_png(whole_torso(frame, mask, plate, typical))

    def items() -> Iterable[tuple[np.ndarray, np.ndarray, TypicalTorso]]:
        for stretch in stretches:
            chosen = _spread(landmarks[stretch]) + stretch.start
            typical = TypicalTorso.of(list(zip(frames.read(chosen), masks.read(chosen))), plate)
            span = range(stretch.start, stretch.stop)
            for frame, mask in zip(frames.read(span), masks.read(span)):
                yield frame, mask, typical

    return target.write(ordered_map(finished, track(items(), "Torso", count)))


def _spread(landmarks: np.ndarray) -> np.ndarray:
    """Frames of landmarks [T,478,2] in which the chin is in all the places where it gets, ascending."""
    chin = landmarks[:, CHIN]
    half = np.linspace(0, len(chin) - 1, min(_LEARN // 2, len(chin))).astype(int)
    return np.unique(np.argsort(chin, axis=0, kind="stable")[half])
