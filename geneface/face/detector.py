"""MediaPipe's Face Landmarker, one frame at a time.

One wrapper for everything that looks for a face in a picture: preparation, live capture, and the
metrics, which detect the landmarks anew on truth and on render.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..types import LANDMARKS


@dataclass(frozen=True)
class Detection:
    """The largest face found in one frame.

    Attributes:
        landmarks: [478,2] image landmarks [px].
        blendshapes: MediaPipe's score in [0,1] for each of its expression names ("_neutral" left out).
        faces: how many faces were found in the frame.
    """

    landmarks: np.ndarray
    blendshapes: dict[str, float]
    faces: int


class FaceDetector:
    """Finds the face of a frame; a context manager, since the model holds native memory.

    Args:
        video: track from frame to frame, with MediaPipe's temporal filter (frames must then come in
            order, with their times). Without it every frame is searched afresh: slower, noisier, and
            hides no flicker, which is what a measurement wants.
        max_faces: how many faces to look for. MediaPipe filters over time only when this is 1.
        model: the `face_landmarker.task` file, by default the asset of that name.
    """

    def __init__(self, video: bool = False, max_faces: int = 1, model: str | Path | None = None) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        if model is None:
            from .. import assets

            model = assets.path("face-landmarker")
        self._video = video
        # The file is handed over as bytes: MediaPipe opens paths with the narrow-character calls of
        # the C library, which fail on Windows for a user name with letters outside ASCII.
        self._landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=Path(model).read_bytes()),
                running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
                num_faces=max_faces,
                output_face_blendshapes=True,
            )
        )

    def detect(self, frame: np.ndarray, time: float | None = None) -> Detection | None:
        """The largest face of `frame`, or None where there is none.

        Args:
            frame: [H,W,3] uint8 RGB.
            time: seconds since the first frame, strictly growing; needed for video, else unused.

        Raises:
            ValueError: wrong shape or type of frame, or no time in video mode.
        """
        import mediapipe

        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"frame: expected uint8 [H,W,3], got {frame.dtype} {frame.shape}")
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        if self._video:
            if time is None:
                raise ValueError("time: needed for every frame of a video")
            result = self._landmarker.detect_for_video(image, round(1000 * time))
        else:
            result = self._landmarker.detect(image)
        if not result.face_landmarks:
            return None
        size = np.array([frame.shape[1], frame.shape[0]], np.float32)
        found = [np.array([(p.x, p.y) for p in face], np.float32) * size for face in result.face_landmarks]
        largest = int(np.argmax([np.prod(np.ptp(points, axis=0)) for points in found]))
        landmarks = found[largest]
        if landmarks.shape != (LANDMARKS, 2):
            raise ValueError(f"model: gives {len(landmarks)} landmarks a face, expected {LANDMARKS}")
        scores = {c.category_name: float(c.score) for c in result.face_blendshapes[largest]}
        scores.pop("_neutral", None)
        return Detection(landmarks, scores, len(found))

    def close(self) -> None:
        """Release the model."""
        self._landmarker.close()

    def __enter__(self) -> "FaceDetector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
