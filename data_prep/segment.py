"""Soft masks of head, torso and background.

The person is found by MediaPipe's selfie segmenter (256x256); its edge is then drawn to the picture's own
edges by a guided filter (He, Sun and Tang 2010), which gives hair a soft alpha. Head and torso are divided
along the jaw from the landmarks; what hangs or stands beside the jaw is divided by colour, learned from the
clip itself: hair above the ears, clothes and neck below the chin.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from geneface.face.landmarks import FACE_OVAL

_MODEL_SIZE = 256
# The face outline of MediaPipe's mesh from one jaw angle over the chin to the other: image left to right.
JAW = np.array([58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288])
_CHIN, _FOREHEAD = 152, 10

_BINS = 16  # per colour channel
_SIDE = 0.66  # how far from the face's axis a pixel above the jaw angle is head whatever its colour [face widths]
_JAW_MARGIN = 0.012  # from the jaw's landmarks to its edge [face heights]
_SPREAD = 0.9  # how far from the face's axis hair hangs below the chin [face widths]
_HANGS = 0.35  # share of the space beside the jaw that hair must fill to be looked for at all
_HANG = 0.35  # how far below the chin hair still counts as head [face heights]; below it rests on the shoulders


class PersonSegmenter:
    """Probability that a pixel belongs to a person; a context manager, since the model holds native memory."""

    def __init__(self, model: str | Path | None = None) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        if model is None:
            from geneface import assets

            model = assets.path("selfie-segmenter")
        self._segmenter = vision.ImageSegmenter.create_from_options(vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_buffer=Path(model).read_bytes()),
            output_confidence_masks=True, output_category_mask=False,
        ))

    def probability(self, frame: np.ndarray) -> np.ndarray:
        """[256,256] float32 in [0,1] for `frame` [H,W,3] uint8 RGB, the whole frame scaled to a square."""
        import mediapipe

        small = cv2.resize(frame, (_MODEL_SIZE, _MODEL_SIZE), interpolation=cv2.INTER_AREA)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=small)
        return self._segmenter.segment(image).confidence_masks[-1].numpy_view().reshape(_MODEL_SIZE, _MODEL_SIZE).copy()

    def close(self) -> None:
        self._segmenter.close()

    def __enter__(self) -> "PersonSegmenter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Plate:
    """The picture without the person, to tell one from the other.

    Attributes:
        picture: [H,W,3] uint8 RGB.
        seen: [H,W] bool, where it was really seen.
        unrest: how far the background strays from it by itself [grey levels].
    """

    picture: np.ndarray
    seen: np.ndarray
    unrest: float

    def difference(self, frame: np.ndarray) -> np.ndarray:
        """[H,W] float32 in [0,1]: 0 where the frame shows the plate, 1 where it surely shows something else."""
        distance = cv2.GaussianBlur(cv2.absdiff(frame, self.picture), (0, 0), 0.8).astype(np.float32)
        distance = np.sqrt((distance ** 2).sum(-1))
        low, high = 8 + 3 * self.unrest, 30 + 6 * self.unrest
        return ((distance - low) / (high - low)).clip(0, 1)


def refine(probability: np.ndarray, frame: np.ndarray, plate: Plate | None = None) -> np.ndarray:
    """Person alpha at the frame's resolution, its edge drawn to the picture's.

    Args:
        probability: [h,w] float32 in [0,1].
        frame: [H,W,3] uint8 RGB.
        plate: decides along the edge, where it was seen.

    Returns:
        [H,W] float32 in [0,1].
    """
    height, width = frame.shape[:2]
    coarse = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(0.016 * max(height, width)))
    edge = cv2.blur(((coarse > 0.03) & (coarse < 0.97)).astype(np.float32), (2 * radius + 1, 2 * radius + 1))
    band = (edge * 6).clip(0, 1)
    evidence = coarse
    if plate is not None:
        other = plate.difference(frame)
        # What shows the plate is not the person; what does not is, where the segmenter finds it possible.
        decided = np.where(coarse < 0.9, coarse * other, coarse)
        decided = np.where(coarse > 0.3, np.maximum(decided, other * ((coarse - 0.3) / 0.2).clip(0, 1)), decided)
        evidence = np.where(plate.seen, band * decided + (1 - band) * coarse, coarse).astype(np.float32)
    scale = 0.5 if max(height, width) > 400 else 1.0  # its coefficients are smooth
    fine = cv2.ximgproc.guidedFilter(frame, evidence, radius, (0.02 * 255) ** 2, scale=scale)
    fine = ((fine - 0.18) / 0.74).clip(0, 1)  # the filter leaves a veil on both sides of the edge
    # Far from the segmenter's own edge it is trusted as it is: the filter may leak along like colours.
    return band * fine + (1 - band) * (coarse > 0.5)


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
        up = landmarks[_FOREHEAD] - landmarks[_CHIN]
        height = float(np.linalg.norm(up))
        up = up / max(height, 1e-6)
        right = np.array([-up[1], up[0]], np.float32)
        oval = landmarks[FACE_OVAL] @ right
        return cls(landmarks[_CHIN], right, up, float(np.ptp(oval)), height)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """[...,2] image points [px] to (x, y) with y up, both in px."""
        offset = points - self.origin
        return np.stack([offset @ self.right, offset @ self.up], -1)

    def image(self, x: float, y: float) -> np.ndarray:
        return self.origin + x * self.right + y * self.up


def head_side(landmarks: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the jaw line alone decides.

    Args:
        landmarks: [478,2] px.

    Returns:
        head: [H,W] float32, 1 above the jaw line and its continuation beside the face, soft over a pixel.
        beside: [2,H,W] bool, where colour may overrule it, left and right in the picture: beside the face,
            and below it down to where hanging hair rests on the shoulders.
        above_chin: [H,W] float32, height above the chin in face heights.
    """
    frame = HeadFrame2D.of(landmarks)
    jaw = landmarks[JAW]
    inner = frame.coordinates(jaw)
    middle = float(inner[:, 0].mean())
    # The landmarks lie a little inside the visible edge of the jaw.
    outline = jaw - _JAW_MARGIN * frame.height * frame.up
    left, right = inner[0], inner[-1]
    far, side = 3 * frame.width, _SIDE * frame.width
    head = _fill(np.array([
        frame.image(middle - far, left[1] + far), frame.image(middle - 1.25 * side, left[1]), *outline,
        frame.image(middle + 1.25 * side, right[1]), frame.image(middle + far, right[1] + far),
        frame.image(middle + far, 2 * far), frame.image(middle - far, 2 * far),
    ]), height, width)
    low, high = -_HANG * frame.height, max(left[1], right[1]) + 0.65 * frame.height
    beside = []
    for sign, edge, corner in ((-1, inner[:, 0].min(), left), (1, inner[:, 0].max(), right)):
        edge = edge + sign * 0.02 * frame.width
        beside.append(_fill(np.array([
            frame.image(edge, low), frame.image(edge, corner[1]), frame.image(middle + sign * side, corner[1]),
            frame.image(middle + sign * side, high), frame.image(middle + sign * far, high),
            frame.image(middle + sign * far, 0), frame.image(middle + sign * _SPREAD * frame.width, 0),
            frame.image(middle + sign * _SPREAD * frame.width, low)]), height, width) > 0.5)
    rows, columns = np.arange(height, dtype=np.float32) + 0.5, np.arange(width, dtype=np.float32) + 0.5
    above = ((columns - frame.origin[0]) * frame.up[0])[None] + ((rows - frame.origin[1]) * frame.up[1])[:, None]
    return head, np.stack(beside), (above / frame.height).astype(np.float32)


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
        # Beside the jaw, left and right in the picture: colours of the person there, and pixels looked at.
        self._beside = np.zeros((2, _BINS ** 3), np.float64)
        self._looked = np.zeros(2, np.float64)
        self._ready: np.ndarray | None = None

    @staticmethod
    def _index(frame: np.ndarray) -> np.ndarray:
        """[H,W] int histogram cell in Lab, smoothed so that single noisy pixels do not matter."""
        lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.int32) // (256 // _BINS)
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
        torso = sure & ~oval & (((y < -0.12) & (np.abs(x) < 0.3)) | ((y < -0.2) & (np.abs(x) > 0.75)) | (y < -0.45)
                                | (bottom & (y < 0.1) & (np.abs(x) > 0.45)))
        self._hair += np.bincount(index[hair], minlength=_BINS ** 3)
        self._torso += np.bincount(index[torso], minlength=_BINS ** 3)
        jaw = face.coordinates(landmarks[JAW])[:, 0] / face.width
        centred = jaw - jaw.mean()
        for side, out in enumerate((centred.min() - x, x - centred.max())):
            near = (out > 0.04) & (out < 0.2) & (y > 0.02) & (y < 0.25)
            self._looked[side] += near.sum()
            self._beside[side] += np.bincount(index[near & (person > 0.5)], minlength=_BINS ** 3)
        self._ready = None

    def _table(self) -> np.ndarray:
        """[cells] likelihood of hair for each colour."""
        if self._ready is None:
            smooth = [cv2.GaussianBlur(h.reshape(_BINS, -1), (0, 0), 0.5).reshape((_BINS,) * 3)
                      for h in (self._hair, self._torso)]
            hair, torso = (s / s.sum() for s in smooth)
            floor = 1e-5
            self._ready = ((hair + floor) / (hair + torso + 2 * floor)).reshape(-1).astype(np.float32)
        return self._ready

    @property
    def hangs(self) -> tuple[bool, bool]:
        """Whether hair hangs beside the jaw, left and right in the picture. Without this knowledge a dark
        collar that a bowed head comes near to would pass for dark hair."""
        hair = self._table()
        return tuple(bool(cells @ hair > _HANGS * max(looked, 1.0)) for cells, looked in zip(self._beside, self._looked))

    def likelihood(self, frame: np.ndarray) -> np.ndarray:
        """[H,W] float32 in [0,1]: hair (1) against clothes and neck (0), for (rows of) a frame [H,W,3] uint8 RGB."""
        return cv2.GaussianBlur(self._table()[self._index(frame)], (0, 0), 0.007 * max(frame.shape[:2]))


def split(person: np.ndarray, frame: np.ndarray, landmarks: np.ndarray, colours: ColourSplit) -> np.ndarray:
    """Divide the person into head and torso.

    Args:
        person: [H,W] float32 alpha.
        frame: [H,W,3] uint8 RGB.
        landmarks: [478,2] px.

    Returns:
        [H,W,3] float32: head, torso, background; sums to 1.
    """
    height, width = person.shape
    # Whatever else the segmenter took for a person (flags, chairs) does not hang together with this one.
    person = person * _grown(_largest(person > 0.3), round(0.02 * max(height, width)))
    head, beside, above_chin = head_side(landmarks, height, width)
    undecided = np.zeros((height, width), bool)
    for region, hangs in zip(beside, colours.hangs):
        undecided |= region if hangs else region & (head > 0.5)
    undecided &= person > 0.02
    if undecided.any():
        # Only the rows in question, with some around them.
        rows = np.flatnonzero(undecided.any(1))
        part = slice(max(0, rows[0] - height // 50), rows[-1] + 1 + height // 50)
        head[part] = _by_colour(head[part], undecided[part], above_chin[part], person[part],
                                colours.likelihood(frame[part]), max(height, width))
    head = head * person
    return np.stack([head, person - head, 1 - person], -1)


def _by_colour(head: np.ndarray, undecided: np.ndarray, above_chin: np.ndarray, person: np.ndarray, hair: np.ndarray,
               size: int) -> np.ndarray:
    """Divide the undecided pixels between hair and clothes.

    Args:
        head, undecided, above_chin: [h,W] from `head_side`.
        person: [h,W] alpha.
        hair: [h,W] likelihood of hair.
        size: longer side of the whole picture [px].

    Returns:
        [h,W] float32, 1 where it is head.
    """
    # Beside the jaw hair is as likely as not; further down only what is clearly hair is taken for it;
    # above the jaw's level only what is clearly clothes (raised shoulders) is not head.
    needed = np.where(head > 0.5, np.float32(0.12), (0.45 - 3.5 * above_chin).clip(0.14, 0.85))
    label = np.where(undecided, ((hair - needed) / 0.15 + 0.5).clip(0, 1), head).astype(np.float32)
    # Strands as thin as the blur between two colours are that blur.
    thin = 2 * max(1, round(0.006 * size)) + 1
    opened = cv2.morphologyEx(label, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thin, thin)))
    label = np.where(undecided & (head < 0.5), opened, label)
    # Hair hangs on the head and clothes lie on the shoulders: islands belong to what surrounds them.
    solid = person > 0.3
    label[undecided & ~_grown(_largest(solid & (label > 0.5)))] = 0
    label[undecided & (above_chin > 0) & ~_grown(_largest(solid & (label <= 0.5)))] = 1
    return np.where(undecided, cv2.GaussianBlur(label, (0, 0), max(0.7, 0.0025 * size)), head)


def _largest(region: np.ndarray) -> np.ndarray:
    """[H,W] bool: the largest connected part of a region [H,W] bool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    return region if count <= 2 else labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _grown(region: np.ndarray, rim: int = 2) -> np.ndarray:
    """[H,W] bool: a region and its rim [px]."""
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)) > 0


def to_bytes(masks: np.ndarray) -> np.ndarray:
    """[H,W,3] in [0,1], summing to 1, to uint8 summing to exactly 255."""
    person = np.rint((1 - masks[..., 2]) * 255)
    head = np.minimum(np.rint(masks[..., 0] * 255), person)
    return np.stack([head, person - head, 255 - person], -1).astype(np.uint8)
