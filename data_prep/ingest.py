"""First look at a video, and its frames cut out.

The scan decodes the video once and notes everything that decides whether and how it can be used: cuts,
where the face is, how many faces there are, blur, exposure. Then the frames of the chosen take are cropped,
scaled and written.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from geneface import media
from geneface.face.detector import Detection, FaceDetector
from geneface.face.landmarks import FACE_OVAL
from geneface.progress import track

from .crop import Crop
from .shots import Cut, CutFinder, Take
from .streams import Sequence, encode_jpeg, ordered_map

_EVERY = 5  # every how many frames the scan looks for faces
_LOOK = 640  # longer side at which it looks [px]


@dataclass(frozen=True)
class Scan:
    """What the first pass over a video found.

    Attributes:
        frames: number of frames at the working rate.
        width, height: of the source picture [px].
        cuts: all cuts.
        movement: largest change of any spot over the clip [grey levels].
        looked: frames in which faces were looked for.
        faces: for each of those, left, top, right, bottom of the face oval [source px], or None.
        second: for each, height of the second face relative to the first, 0 where there is none.
        sharpness: for each, spread of the Laplacian over the face scaled to 128 px.
        exposure: for each, mean brightness of the face [grey levels].
    """

    frames: int
    width: int
    height: int
    cuts: tuple[Cut, ...]
    movement: float
    looked: tuple[int, ...]
    faces: tuple[tuple[float, float, float, float] | None, ...]
    second: tuple[float, ...]
    sharpness: tuple[float, ...]
    exposure: tuple[float, ...]

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "Scan":
        cuts = tuple(Cut(**cut) for cut in data["cuts"])
        lists = {name: tuple(data[name]) for name in ("looked", "second", "sharpness", "exposure")}
        faces = tuple(None if face is None else tuple(face) for face in data["faces"])
        return cls(**{**data, **lists, "cuts": cuts, "faces": faces})

    def within(self, start: int, stop: int) -> list[int]:
        """Indices into the per-look lists of the looks at frames start to stop - 1."""
        return [i for i, frame in enumerate(self.looked) if start <= frame < stop]

    def usable(self) -> np.ndarray:
        """[frames] bool: a face was found in the nearest look."""
        found = np.array([face is not None for face in self.faces], bool)
        return np.repeat(found, _EVERY)[:self.frames] if len(found) else np.zeros(self.frames, bool)


def scan(video: str | Path, fps: float) -> Scan:
    """Look through the whole video.

    Raises:
        UserError: unreadable or without video.
    """
    info = media.probe(video)
    finder = CutFinder()
    looked, faces, second, sharpness, exposure = [], [], [], [], []
    with FaceDetector(max_faces=2) as detector:
        frames = media.read_frames(video, fps)
        for index, frame in enumerate(track(frames, "Looking through the video", round(info.duration * fps) or None)):
            finder.add(frame)
            if index % _EVERY:
                continue
            box, other = _find_faces(detector, frame)
            looked.append(index)
            faces.append(None if box is None else tuple(float(v) for v in box))
            second.append(other)
            detail, light = (0.0, 0.0) if box is None else _quality(frame, box)
            sharpness.append(detail)
            exposure.append(light)
    return Scan(len(finder), info.width, info.height, tuple(finder.cuts()), finder.movement, tuple(looked),
                tuple(faces), tuple(second), tuple(sharpness), tuple(exposure))


def _oval_box(detection: Detection) -> np.ndarray:
    oval = detection.landmarks[FACE_OVAL]
    return np.concatenate([oval.min(0), oval.max(0)])


def _find_faces(detector: FaceDetector, frame: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Box of the largest face [px], and the second one's relative height."""
    height, width = frame.shape[:2]
    for x, y, side_x, side_y in _windows(width, height):
        piece = frame[y:y + side_y, x:x + side_x]
        scale = min(1.0, _LOOK / max(side_x, side_y))
        if scale < 1:
            piece = cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = detector.detect(piece)
        if found is None:
            continue
        box = _oval_box(found)
        other = 0.0
        if found.faces > 1:
            # Paint the first face over to measure the second.
            covered = piece.copy()
            left, top, right, bottom = box.astype(int)
            grow = (bottom - top) // 4
            covered[max(0, top - grow):bottom + grow, max(0, left - grow):right + grow] = 128
            rest = detector.detect(covered)
            if rest is not None:
                next_box = _oval_box(rest)
                other = float((next_box[3] - next_box[1]) / max(box[3] - box[1], 1e-3))
        return box / scale + np.array([x, y, x, y]), other
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


def _quality(frame: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    """Sharpness and brightness of the face."""
    height, width = frame.shape[:2]
    left, top = np.maximum(box[:2].astype(int), 0)
    right, bottom = min(int(box[2]), width), min(int(box[3]), height)
    if right - left < 4 or bottom - top < 4:
        return 0.0, 0.0
    face = cv2.cvtColor(np.ascontiguousarray(frame[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    scaled = cv2.resize(face, (128, 128), interpolation=cv2.INTER_AREA if face.shape[0] > 128 else cv2.INTER_CUBIC)
    return float(cv2.Laplacian(scaled, cv2.CV_32F).std()), float(face.mean())


def write_frames(video: str | Path, target: Sequence, take: Take, crop: Crop, size: int, fps: float,
                 quality: int) -> tuple[int, str]:
    """Crop, scale and write the frames of a take; returns how many, and the SHA-256 of them all."""
    target.clear()
    frames = media.read_frames(video, fps, take.start, take.stop)
    encoded = ordered_map(lambda frame: encode_jpeg(crop.apply(frame, size), quality), frames)
    return target.write(track(encoded, "Cutting out frames", len(take)))
