"""Head and torso of a person, divided along the jaw.

The jaw line comes from the landmarks. What hangs beside it is divided by colour, learned from the clip
itself: hair above the ears, clothes and neck below the chin.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from geneface.face.landmarks import FACE_OVAL

from .regions import box, disc, grown, largest

# The face outline of MediaPipe's mesh from one jaw angle over the chin to the other: image left to right.
JAW = np.array([58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288])
CHIN, _FOREHEAD = 152, 10

_BINS = 16  # per colour channel
_SIDE = 0.66  # how far from the face's axis a pixel above the jaw angle is head whatever its colour [face widths]
_JAW_MARGIN = 0.012  # from the jaw's landmarks to its edge [face heights]
_NECK = 0.26  # half of what is neck under the chin whatever its colour [face widths]
_SPREAD = 0.9  # how far from the face's axis hair hangs below the chin [face widths]
_HANGS = 0.6  # share of the space beside the jaw that is filled where hair hangs; 0.3 and less where it does not
_HANG = 0.35  # how far below the chin hair still counts as head [face heights]; below it rests on the shoulders


@dataclass(frozen=True)
class HeadFrame2D:
    """The upright frame of a face in the picture: origin on the chin, x along the eyes, y up.

    Attributes:
        origin: [2] chin [px].
        right, up: [2] unit vectors in the picture.
        width, height: of the face oval along them [px].
    """

    origin: np.ndarray
    right: np.ndarray
    up: np.ndarray
    width: float
    height: float

    @classmethod
    def of(cls, landmarks: np.ndarray) -> "HeadFrame2D":
        """From [478,2] image landmarks [px]."""
        up = landmarks[_FOREHEAD] - landmarks[CHIN]
        height = float(np.linalg.norm(up))
        up = up / max(height, 1e-6)
        right = np.array([-up[1], up[0]], np.float32)
        oval = landmarks[FACE_OVAL] @ right
        return cls(landmarks[CHIN], right, up, float(np.ptp(oval)), height)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """[...,2] image points [px] to (x, y) with y up, both in px."""
        offset = points - self.origin
        return np.stack([offset @ self.right, offset @ self.up], -1)

    def image(self, x: float, y: float) -> np.ndarray:
        return self.origin + x * self.right + y * self.up


@dataclass(frozen=True)
class JawSide:
    """Where the jaw line divides head from torso, and where it alone does not.

    Attributes:
        head: [H,W] float32, 1 above the jaw line and its continuation beside the face, soft over a pixel.
        below: [2,H,W] bool, left and right in the picture: beside and under the jaw, down to where hanging
            hair rests on the shoulders. Hair there is head.
        above: [2,H,W] bool: above the jaw's level, far out. Clothes there (raised shoulders) are torso.
        needed: [H,W] float32, likelihood of hair from which a pixel of either is head.
        above_chin: [H,W] bool.
    """

    head: np.ndarray
    below: np.ndarray
    above: np.ndarray
    needed: np.ndarray
    above_chin: np.ndarray

    @classmethod
    def of(cls, landmarks: np.ndarray, height: int, width: int) -> "JawSide":
        """From [478,2] image landmarks [px]."""
        frame = HeadFrame2D.of(landmarks)
        rows, columns = np.arange(height, dtype=np.float32) + 0.5, np.arange(width, dtype=np.float32) + 0.5
        dx, dy = columns - np.float32(frame.origin[0]), (rows - np.float32(frame.origin[1]))[:, None]
        inner = frame.coordinates(landmarks[JAW])
        middle = float(inner[:, 0].mean())
        x = (dx * frame.right[0] + dy * frame.right[1] - middle) / frame.width  # [face widths] from the axis
        y = (dx * frame.up[0] + dy * frame.up[1]) / frame.height  # [face heights] above the chin
        left, right = inner[0, 1] / frame.height, inner[-1, 1] / frame.height  # level of the jaw's angles

        # The landmarks lie a little inside the visible edge of the jaw.
        outline = landmarks[JAW] - _JAW_MARGIN * frame.height * frame.up
        far, side = 3 * frame.width, 1.25 * _SIDE * frame.width
        head = _fill(np.array([
            frame.image(middle - far, inner[0, 1] + far), frame.image(middle - side, inner[0, 1]), *outline,
            frame.image(middle + side, inner[-1, 1]), frame.image(middle + far, inner[-1, 1] + far),
            frame.image(middle + far, 2 * far), frame.image(middle - far, 2 * far),
        ]), height, width)
        level = np.where(x < 0, left, right)
        # One pixel of margin: the soft edge of the continuation is no edge of hair that hangs across it.
        under = (y < level + 1.5 / frame.height) & (y > -_HANG) & ((np.abs(x) < _SPREAD) | (y > 0))
        edges = inner[:, 0].min() - middle, inner[:, 0].max() - middle
        beyond = (x < edges[0] / frame.width - 0.02) | (x > edges[1] / frame.width + 0.02)
        below = under & (np.abs(x) > _NECK) & ((head < 0.5) | (beyond & (head < 1)))
        above = (np.abs(x) > _SIDE) & (y > level) & (y < max(left, right) + 0.65) & ~below
        # Beside the jaw hair is as likely as not; under it and further down only what is clearly hair is taken
        # for it; above the jaw's level only what is clearly clothes is not head.
        needed = np.where(above, 0.12, np.where(beyond, (0.45 - 3.5 * y).clip(0.14, 0.85), 0.8))
        sides = np.stack([x < 0, x >= 0])
        return cls(head, sides & below, sides & above, needed.astype(np.float32), y > 0)


def _fill(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """[H,W] float32 coverage of a polygon [N,2] px, its edge soft over about a pixel."""
    canvas = np.zeros((height, width), np.uint8)
    shift = 4
    # OpenCV's pixel centres are whole numbers, ours are at one half.
    far = 8 * max(height, width)
    points = np.round((polygon - 0.5).clip(-far, far) * (1 << shift)).astype(np.int32)
    cv2.fillPoly(canvas, [points], 255, cv2.LINE_AA, shift)
    return canvas.astype(np.float32) / 255


class ColourSplit:
    """Head hair against clothes and neck, as colour histograms of one clip.

    Call `learn` on a few frames, then `likelihood` on each.
    """

    def __init__(self) -> None:
        self._hair = np.full(_BINS ** 3, 1e-3, np.float64)
        self._torso = np.full(_BINS ** 3, 1e-3, np.float64)
        self._skin = np.full(_BINS ** 3, 1e-3, np.float64)
        # Beside the jaw, left and right in the picture: colours of the person there, and how much it fills.
        self._beside = np.zeros((2, _BINS ** 3), np.float64)
        self._filled: tuple[list[float], list[float]] = [], []
        self._ready: np.ndarray | None = None

    @staticmethod
    def _index(frame: np.ndarray) -> np.ndarray:
        """[H,W] int histogram cell in Lab, smoothed so that single noisy pixels do not matter."""
        lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.uint16) // (256 // _BINS)
        return (lab[..., 0] * _BINS + lab[..., 1]) * _BINS + lab[..., 2]

    def learn(self, frame: np.ndarray, person: np.ndarray, landmarks: np.ndarray) -> None:
        """Add the colours of one frame.

        Args:
            frame: [H,W,3] uint8 RGB.
            person: [H,W] alpha.
            landmarks: [478,2] px.
        """
        height, width = person.shape
        face = HeadFrame2D.of(landmarks)
        rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
        place = face.coordinates(np.stack([columns, rows], -1))
        x = (place[..., 0] - face.coordinates(landmarks[JAW])[:, 0].mean()) / face.width
        y = place[..., 1] / face.height
        sure = cv2.erode((person > 0.95).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        oval = _fill(landmarks[FACE_OVAL], height, width) > 0.5
        oval = cv2.dilate(oval.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        index = self._index(frame)
        # Above the ears, and outside of them: what hangs down is often darker.
        hair = sure & ~oval & (((y > 0.75) & (np.abs(x) < 1.0)) | ((y > 0.15) & (np.abs(x) > 0.62) & (np.abs(x) < 1.3)))
        bottom = rows > 0.95 * height
        torso = sure & ~oval & (((y < -0.12) & (np.abs(x) < 0.3)) | ((y < -0.3) & (np.abs(x) > 0.9)) | (y < -0.5)
                                | (bottom & (y < 0.1) & (np.abs(x) > 0.45)))
        self._hair += np.bincount(index[hair], minlength=_BINS ** 3)
        self._torso += np.bincount(index[torso], minlength=_BINS ** 3)
        self._skin += np.bincount(index[sure & oval & (y < 0.5)], minlength=_BINS ** 3)
        jaw = face.coordinates(landmarks[JAW])[:, 0] / face.width
        centred = jaw - jaw.mean()
        for side, out in enumerate((centred.min() - x, x - centred.max())):
            near = (out > 0.04) & (out < 0.16) & (y > 0.2) & (y < 0.4)
            if near.any():
                self._filled[side].append(float((person[near] > 0.5).mean()))
            around = (out > 0.04) & (out < 0.2) & (y > 0.1) & (y < 0.4) & (person > 0.95)
            self._beside[side] += np.bincount(index[around], minlength=_BINS ** 3)
        self._ready = None

    def _table(self) -> np.ndarray:
        """[cells] likelihood of hair for each colour."""
        if self._ready is None:
            hair, skin = self._hair.copy(), _density(self._skin)
            for cells, hangs in zip(self._beside, self.hangs):
                # Hair in the shadow of the face is darker than on top.
                hair += cells * (_share(skin, _density(cells)) < 0.3) * hangs
            self._ready = _share(_density(hair), _density(self._torso)).astype(np.float32)
        return self._ready

    @property
    def hangs(self) -> tuple[bool, bool]:
        """Whether hair hangs beside the jaw, left and right in the picture: there is somebody where otherwise
        the background shows between cheek and shoulder. Without this knowledge a dark collar that a bowed
        head comes near to would pass for dark hair."""
        return tuple(bool(share and np.median(share) > _HANGS) for share in self._filled)

    def likelihood(self, frame: np.ndarray) -> np.ndarray:
        """[H,W] float32 in [0,1]: hair (1) against clothes and neck (0), for (rows of) a frame [H,W,3] uint8 RGB."""
        return cv2.GaussianBlur(self._table()[self._index(frame)], (0, 0), 0.007 * max(frame.shape[:2]))


def _density(counts: np.ndarray) -> np.ndarray:
    """[cells] relative frequency of each colour, shared with like colours."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(counts.reshape((_BINS,) * 3), 0.5, mode="constant").reshape(-1)
    return smooth / max(smooth.sum(), 1e-12)


def _share(a: np.ndarray, b: np.ndarray, floor: float = 1e-5) -> np.ndarray:
    """[cells] probability of density `a` against `b`; one half where neither says anything."""
    return (a + floor) / (a + b + 2 * floor)


def split(person: np.ndarray, frame: np.ndarray, landmarks: np.ndarray, colours: ColourSplit,
          hair: np.ndarray | None = None) -> np.ndarray:
    """Divide the person into head and torso.

    Args:
        person: [H,W] float32 alpha.
        frame: [H,W,3] uint8 RGB.
        landmarks: [478,2] px.
        colours: what hair and clothes look like in this clip.
        hair: [h,w] float32, likelihood that a pixel is head, of any size, from a model that knows better; None to
            go by the colours.

    Returns:
        [H,W,3] float32: head, torso, background; sums to 1.
    """
    height, width = person.shape
    # Whatever else the segmenter took for a person (flags, chairs) does not hang together with this one.
    person = person * _around_largest(person, round(0.02 * max(height, width)))
    jaw = JawSide.of(landmarks, height, width)
    head = jaw.head
    undecided = np.zeros((height, width), bool)
    for below, above, hangs in zip(jaw.below, jaw.above, colours.hangs if hair is None else (True, True)):
        undecided |= below | above if hangs else above & (head > 0.5)
    undecided &= person > 0.02
    if undecided.any():
        # Only the part in question, with some around it.
        part = box(undecided, max(height, width) // 50)
        if hair is None:
            likelihood = colours.likelihood(frame[part])
        else:
            likelihood = cv2.resize(hair, (width, height), interpolation=cv2.INTER_LINEAR)[part]
        head[part] = _by_hair(head[part], undecided[part], jaw.needed[part], jaw.above_chin[part], person[part],
                              likelihood, max(height, width))
    head = head * person
    return cv2.merge([head, person - head, 1 - person])


def _by_hair(head: np.ndarray, undecided: np.ndarray, needed: np.ndarray, above_chin: np.ndarray,
             person: np.ndarray, hair: np.ndarray, size: int) -> np.ndarray:
    """Divide the undecided pixels between hair and clothes.

    Args:
        head, needed, above_chin: [h,W] from `JawSide`.
        undecided: [h,W] bool.
        person: [h,W] alpha.
        hair: [h,W] likelihood of hair.
        size: longer side of the whole picture [px].

    Returns:
        [h,W] float32, 1 where it is head.
    """
    label = np.where(undecided, ((hair - needed) / 0.15 + 0.5).clip(0, 1), head).astype(np.float32)
    # Strands as thin as the blur between two colours are that blur.
    opened = cv2.morphologyEx(label, cv2.MORPH_OPEN, disc(max(1, round(0.006 * size))))
    label = np.where(undecided & (needed > 0.13), opened, label)
    # Hair hangs on the head and clothes lie on the shoulders: islands belong to what surrounds them.
    solid = person > 0.3
    label[undecided & ~grown(largest(solid & (label > 0.5)))] = 0
    label[undecided & above_chin & ~grown(largest(solid & (label <= 0.5)))] = 1
    return np.where(undecided, cv2.GaussianBlur(label, (0, 0), max(0.7, 0.0025 * size)), head)


def _around_largest(person: np.ndarray, rim: int) -> np.ndarray:
    """[H,W] uint8: 1 in the largest connected part of a person [H,W] and around it, found at half size."""
    half = cv2.resize(person, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    near = grown(largest(half > 0.3), max(1, rim // 2)).astype(np.uint8)
    return cv2.resize(near, person.shape[::-1], interpolation=cv2.INTER_NEAREST)
