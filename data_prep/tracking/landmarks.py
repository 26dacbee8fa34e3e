"""Face landmarks of every frame of a clip, streamed."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneface.face.arkit import ARKIT_NAMES
from geneface.face.detector import FaceDetector
from geneface.types import EXPRESSIONS, LANDMARKS, check_array

from ..streams import ordered_map

STRETCH = 400
"""Frames that are looked at in one go."""

_EARLY = 25  # frames before a stretch


@dataclass(frozen=True)
class Detections:
    """What the face tracker saw.

    Attributes:
        landmarks: [T,478,2] MediaPipe landmarks of the largest face [px], zero where there is none.
        scores: [T,52] MediaPipe's blendshape scores in ARKit order (tongueOut is not scored: 0).
        valid: [T] bool, a face was found.
        faces: [T] number of faces found (at most 2 are looked for).
    """

    landmarks: np.ndarray
    scores: np.ndarray
    valid: np.ndarray
    faces: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.landmarks)
        check_array("landmarks", self.landmarks, (frames, LANDMARKS, 2))
        check_array("scores", self.scores, (frames, EXPRESSIONS))
        check_array("valid", self.valid, (frames,))
        check_array("faces", self.faces, (frames,))

    def __len__(self) -> int:
        return len(self.landmarks)

    def __getitem__(self, frames: slice) -> "Detections":
        return Detections(self.landmarks[frames], self.scores[frames], self.valid[frames], self.faces[frames])

    @classmethod
    def joined(cls, parts: Iterable["Detections"]) -> "Detections":
        """Of clips, or pieces of one, in a row."""
        arrays = zip(*((part.landmarks, part.scores, part.valid, part.faces) for part in parts))
        return cls(*(np.concatenate(pieces) for pieces in arrays))


def detect_landmarks(
    frames: Iterable[np.ndarray], fps: float, model_path: str | Path | None = None
) -> Detections:
    """Find the face in every frame.

    Two faces are looked for although one is wanted: the second is counted, and MediaPipe leaves its temporal filter
    out, which would make the lips lag (it sees the past only; `fit_track` smooths with past and future alike).

    Args:
        frames: [H,W,3] uint8 RGB, in order; consumed one at a time.
        fps: frames per second.
        model_path: `face_landmarker.task`, by default the asset of that name.
    """
    landmarks, scores, faces = [], [], []
    with FaceDetector(video=True, max_faces=2, model=model_path) as detector:
        for index, frame in enumerate(frames):
            found = detector.detect(frame, index / fps)
            if found is None:
                landmarks.append(np.zeros((LANDMARKS, 2), np.float32))
                scores.append(np.zeros(EXPRESSIONS, np.float32))
                faces.append(0)
                continue
            landmarks.append(found.landmarks.astype(np.float32))
            scores.append(np.array([found.blendshapes.get(name, 0.0) for name in ARKIT_NAMES], np.float32))
            faces.append(found.faces)
    count = np.array(faces, np.int32)
    return Detections(
        np.array(landmarks, np.float32).reshape(-1, LANDMARKS, 2),
        np.array(scores, np.float32).reshape(-1, EXPRESSIONS), count > 0, count,
    )


def detect_in_stretches(read: Callable[[range], Iterable[np.ndarray]], count: int, fps: float) -> Iterator[Detections]:
    """The landmarks of a long clip, stretch by stretch, two of which are worked on at once.

    MediaPipe looks for faces on one core only. Each stretch is begun some frames early, so that a head turned too far to
    be found anew is followed into it.

    Args:
        read: range of frames -> frames [H,W,3] uint8 RGB, in order.
        count: length of the clip.

    Yields:
        of each stretch, together of the whole clip.
    """
    def detect(start: int) -> Detections:
        early = max(0, start - _EARLY)
        return detect_landmarks(read(range(early, min(count, start + STRETCH))), fps)[start - early:]

    return ordered_map(detect, range(0, count, STRETCH))
