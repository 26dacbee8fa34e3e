"""One look at one frame: the face, its light and sharpness, and what is around and in front of it."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from geneface.face.detector import FaceDetector
from geneface.face.landmarks import FACE_OVAL

from .occlusion import changed_share, front_view, odd_share, skin_colours
from .steadiness import CameraWatch

_SIDE = 640  # longer side of the picture that faces are looked for in [px]
_SURROUNDINGS = 64  # side of the thumbnail that light and colour of the surroundings are compared in [px]
_WATCH = 320  # width of the picture that camera motion is watched in [px]
_DARK = 16.0  # added to colours that are compared: the ratio of two dark ones is noise [grey levels]
_HANDS_EVERY = 2  # looks
_HANDS_WIDE = 2.2  # side of the picture that hands are looked for in, in face heights: they are found whole
_TAKEN_OFF = 12  # grey levels: darker is black, as far from white is white


@dataclass(frozen=True)
class Look:
    """What one look saw.

    Attributes:
        frame: index of the frame.
        face: left, top, right, bottom of the face oval [source px], None without a face.
        second: height of a second face relative to the first, 0 where there is none.
        sharpness: spread of the Laplacian over the face scaled to 128 px [grey levels].
        brightness: mean of the face [grey levels].
        clipped: share of the face that is black or white.
        turned: how much farther one side of the face reaches from the nose than the other, over its width; positive
            where the nose points to the right of the picture.
        hand: share of the face that a hand covers.
        odd: share of the skin points whose colour is not the usual one: something is in front of them.
        changed: share of the face's features that do not show what they usually show.
        light_step: change of the surroundings' brightness since the look before [grey levels].
        colour_step: change of the balance of their red, green and blue, whatever the brightness [%].
        combed: how much neighbouring rows differ beyond rows two apart [grey levels]: fields of two moments.
        camera: displacement of the surroundings since the start [source px], None where they show too little.
    """

    frame: int
    face: tuple[float, float, float, float] | None = None
    second: float = 0.0
    sharpness: float = 0.0
    brightness: float = 0.0
    clipped: float = 0.0
    turned: float = 0.0
    hand: float = 0.0
    odd: float = 0.0
    changed: float = 0.0
    light_step: float = 0.0
    colour_step: float = 0.0
    combed: float = 0.0
    camera: tuple[float, float] | None = None


class Looker:
    """Looks at frames, in order; a context manager, since its detectors hold native memory."""

    def __init__(self) -> None:
        from mediapipe.python.solutions.hands import Hands

        self._faces = FaceDetector(max_faces=2)
        self._hands = Hands(static_image_mode=True, max_num_hands=2, model_complexity=0)
        self._watch = CameraWatch()
        self._last: np.ndarray | None = None
        self._usual: list[tuple[np.ndarray, np.ndarray] | None] = []
        self._looks: list[Look] = []

    def add(self, frame: np.ndarray, index: int) -> None:
        """Look at frame number `index`, [H,W,3] uint8 RGB."""
        height, width = frame.shape[:2]
        landmarks, second = find_faces(self._faces, frame)
        face = None if landmarks is None else oval_box(landmarks)
        look = Look(index, second=second, combed=combing(frame))
        if face is not None:
            hand = self._hand_share(frame, landmarks) if len(self._looks) % _HANDS_EVERY == 0 else 0.0
            look = replace(look, face=tuple(float(v) for v in face), turned=turned(landmarks), hand=hand,
                           **quality(frame, face))
        scale = min(1.0, _WATCH / width)
        small = cv2.resize(frame, (max(8, round(width * scale)), max(8, round(height * scale))),
                           interpolation=cv2.INTER_AREA)
        place = self._watch.add(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None if face is None else face * scale)
        light, colour = self._steps(frame)
        self._looks.append(replace(look, light_step=light, colour_step=colour,
                                   camera=None if place is None else (place[0] / scale, place[1] / scale)))
        seen = None if landmarks is None else (skin_colours(frame, landmarks), front_view(frame, landmarks))
        self._usual.append(seen)

    def looks(self, cuts: Sequence[int]) -> tuple[Look, ...]:
        """All looks so far.

        Args:
            cuts: first frames of new shots: faces are compared within a shot only.
        """
        frames = [look.frame for look in self._looks]
        odd, changed = np.zeros(len(frames)), np.zeros(len(frames))
        edges = np.searchsorted(frames, [0, *cuts, np.inf])
        for first, last in zip(edges[:-1], edges[1:]):
            seen = [i for i in range(first, last) if self._usual[i] is not None]
            if seen:
                odd[seen] = odd_share(np.stack([self._usual[i][0] for i in seen]))
                changed[seen] = changed_share(np.stack([self._usual[i][1] for i in seen]))
        return tuple(replace(look, odd=float(a), changed=float(b)) for look, a, b in zip(self._looks, odd, changed))

    def _steps(self, frame: np.ndarray) -> tuple[float, float]:
        """Change of light and colour of what surrounds the speaker: the median over the rim of the picture, so that
        something that moves through part of it does not count."""
        small = cv2.resize(frame, (_SURROUNDINGS, _SURROUNDINGS), interpolation=cv2.INTER_AREA)
        sides = (small[:, :10], small[:, -10:], small[:8, 10:-10])
        rim = np.concatenate([side.reshape(-1, 3) for side in sides])
        last, self._last = self._last, rim.astype(np.float32)
        if last is None:
            return 0.0, 0.0
        light = np.median(self._last.mean(1) - last.mean(1))
        red_green_blue = np.median(np.log((self._last + _DARK) / (last + _DARK)), axis=0)
        return float(abs(light)), float(100 * np.ptp(red_green_blue))

    def _hand_share(self, frame: np.ndarray, landmarks: np.ndarray) -> float:
        """Share of the face oval that lies under hands."""
        left, top, right, bottom = oval_box(landmarks)
        side = _HANDS_WIDE * max(right - left, bottom - top)
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        low, high = np.maximum([x, y], 0).astype(int), np.array([x + side, y + side]).astype(int)
        piece = frame[low[1]:high[1], low[0]:high[0]]
        if min(piece.shape[:2]) < 16:
            return 0.0
        scale = min(1.0, 256 / max(piece.shape[:2]))
        piece = cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._hands.process(np.ascontiguousarray(piece)).multi_hand_landmarks
        if not found:
            return 0.0
        tall, wide = piece.shape[:2]
        face, hands = np.zeros((tall, wide), np.uint8), np.zeros((tall, wide), np.uint8)
        cv2.fillPoly(face, [np.rint((landmarks[FACE_OVAL] - low) * scale).astype(np.int32)], 1)
        for hand in found:
            points = np.array([(p.x * wide, p.y * tall) for p in hand.landmark], np.float32)
            cv2.fillConvexPoly(hands, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
        return float((face & hands).sum() / max(1, int(face.sum())))

    def __enter__(self) -> "Looker":
        return self

    def __exit__(self, *_: object) -> None:
        self._faces.close()
        self._hands.close()


def oval_box(landmarks: np.ndarray) -> np.ndarray:
    """[4] left, top, right, bottom of the face oval of [478,2] landmarks."""
    oval = landmarks[FACE_OVAL]
    return np.concatenate([oval.min(0), oval.max(0)])


def find_faces(detector: FaceDetector, frame: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Landmarks of the largest face [478,2 px], and the second one's height relative to it."""
    height, width = frame.shape[:2]
    for x, y, side_x, side_y in _windows(width, height):
        piece = frame[y:y + side_y, x:x + side_x]
        scale = min(1.0, _SIDE / max(side_x, side_y))
        if scale < 1:
            piece = cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = detector.detect(piece)
        if found is None:
            continue
        other = 0.0
        if found.faces > 1:
            # Paint the first face over to measure the second.
            left, top, right, bottom = oval_box(found.landmarks).astype(int)
            covered = piece.copy()
            grow = (bottom - top) // 4
            covered[max(0, top - grow):bottom + grow, max(0, left - grow):right + grow] = 128
            rest = detector.detect(covered)
            if rest is not None:
                next_box = oval_box(rest.landmarks)
                other = float((next_box[3] - next_box[1]) / max(bottom - top, 1))
        return found.landmarks / scale + np.array([x, y]), other
    return None, 0.0


def _windows(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """The whole picture, then overlapping squares: the detector misses faces under a seventh of its input."""
    yield 0, 0, width, height
    side = min(width, height)
    if max(width, height) > 1.5 * side:
        count = int(np.ceil(2 * max(width, height) / side)) - 1
        for at in np.linspace(0, max(width, height) - side, count).astype(int):
            yield (at, 0, side, side) if width > height else (0, at, side, side)
    if side >= 480:
        half = side // 2
        for y in range(0, height - half + 1, half // 2):
            for x in range(0, width - half + 1, half // 2):
                yield x, y, half, half


def quality(frame: np.ndarray, box: np.ndarray) -> dict[str, float]:
    """`sharpness`, `brightness` and `clipped` of the face in `box`."""
    height, width = frame.shape[:2]
    left, top = np.maximum(box[:2].astype(int), 0)
    right, bottom = min(int(box[2]), width), min(int(box[3]), height)
    if right - left < 4 or bottom - top < 4:
        return {}
    face = cv2.cvtColor(np.ascontiguousarray(frame[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    scaled = cv2.resize(face, (128, 128), interpolation=cv2.INTER_AREA if face.shape[0] > 128 else cv2.INTER_CUBIC)
    # The corners of the box are not face.
    inner = scaled[16:112, 24:104]
    lost = (inner < _TAKEN_OFF) | (inner > 255 - _TAKEN_OFF)
    return {"sharpness": float(cv2.Laplacian(scaled, cv2.CV_32F).std()), "brightness": float(face.mean()),
            "clipped": float(lost.mean())}


def turned(landmarks: np.ndarray) -> float:
    """0 for a face seen from the front, towards 1 and -1 for profiles: how unequally far the cheeks are from the nose."""
    axis = landmarks[454] - landmarks[234]
    width = float(np.linalg.norm(axis))
    middle = float((landmarks[1] - landmarks[234]) @ axis) / max(width, 1e-6) ** 2
    return min(1.0, max(-1.0, 2 * middle - 1))


def combing(frame: np.ndarray) -> float:
    """How much neighbouring rows differ beyond rows two apart, where they do so most [grey levels].

    Whole pictures give less than nothing (rows two apart differ more); fields of two moments, woven, give tens of
    grey levels wherever something moves.
    """
    height, width = frame.shape[:2]
    if height < 32 or width < 32:
        return 0.0
    rows = frame[:height - height % 2, ::2, 1].astype(np.int16)
    near = np.abs(rows[1:-1] - rows[2:])
    excess = cv2.blur((near - np.abs(rows[:-2] - rows[2:])).astype(np.float32), (16, 16))
    return float(max(0.0, excess.max()))
