"""Pictures of what was found in a frame: landmarks, fitted head, masks."""
from __future__ import annotations

import cv2
import numpy as np

from geneface.face.basis import FaceBasis
from geneface.face.landmarks import FACE_OVAL, LIPS, MEDIAPIPE_TO_68
from geneface.types import CameraTrack, FaceTrack

HEAD, TORSO, OCCLUDER = (40, 220, 90), (190, 90, 240), (255, 150, 0)
_FITTED = (255, 255, 255)
_DOTS = [(255, 80, 60) if i in LIPS else (60, 170, 255) if i in FACE_OVAL else (255, 230, 120) for i in range(478)]
# Lines of the 68 points: first, past the last, closed.
_LINES_68 = ((0, 17, False), (17, 22, False), (22, 27, False), (27, 31, False), (31, 36, False), (36, 42, True),
             (42, 48, True), (48, 60, True), (60, 68, True))
_HIDDEN = 64  # of 255 missing from a pixel's masks: something is in front of the person


def fitted_points(camera: CameraTrack, face: FaceTrack, basis: FaceBasis) -> np.ndarray:
    """[T,68,2] the fitted head's landmarks in the image [px].

    The fit shifts single landmarks by what the basis lacks of this person. The tracks do not hold those shifts; how far
    the landmarks usually lie from the detected ones stands for them.
    """
    points = camera.project(basis.landmarks68(face.expression, face.identity)).astype(np.float32)
    if not face.valid.any():
        return points
    return points - np.median(points[face.valid] - face.landmarks[face.valid][:, MEDIAPIPE_TO_68], axis=0)


def occluded(mask: np.ndarray) -> np.ndarray:
    """[H,W] bool: where a mask [H,W,3] leaves room for something in front of the person."""
    return mask.sum(axis=2, dtype=np.int32) < 255 - _HIDDEN


def overlay(frame: np.ndarray, mask: np.ndarray, landmarks: np.ndarray, fitted: np.ndarray | None = None,
            height: int | None = None) -> np.ndarray:
    """The frame with what was found in it.

    Args:
        frame, mask: [H,W,3] uint8.
        landmarks: [478,2] detected [px].
        fitted: [68,2] of the fitted head [px], or None.
        height: of the result [px]; by default the frame's.

    Returns:
        [height,w,3] uint8: head outlined in green, torso in violet, occluders in orange, landmarks as dots, the fitted
        head as white lines.
    """
    scale = 1.0 if height is None else height / len(frame)
    if scale == 1:
        picture = frame.copy()
    else:
        size = (max(1, round(frame.shape[1] * scale)), max(1, round(len(frame) * scale)))
        how = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR  # the latter is fast, and good enough near full size
        picture, mask = (cv2.resize(image, size, interpolation=how) for image in (frame, mask))
    line = max(1, round(len(picture) / 400))
    for inside, colour in ((mask[..., 0] > 127, HEAD), (mask[..., 1] > 127, TORSO), (occluded(mask), OCCLUDER)):
        outline, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, colour, line, cv2.LINE_AA)
    if fitted is not None:
        lines = _fixed(fitted * scale)
        for first, last, closed in _LINES_68:
            cv2.polylines(picture, [lines[first:last]], closed, _FITTED, 1, cv2.LINE_AA, 4)
    for centre, colour in zip(_fixed(landmarks * scale).tolist(), _DOTS):
        cv2.circle(picture, centre, 8 * line, colour, -1, cv2.LINE_AA, 4)
    return picture


def _fixed(points: np.ndarray) -> np.ndarray:
    """[N,2] int32 in sixteenths of a pixel, pixel centres at whole numbers, within what OpenCV draws."""
    return np.clip(np.rint((points - 0.5) * 16), -30000, 30000).astype(np.int32)


def cut_out(frame: np.ndarray, mask: np.ndarray, channel: int, colour: tuple[int, int, int]) -> np.ndarray:
    """[H,W,3] uint8: one part of the frame on a plain colour."""
    return on_colour(np.dstack([frame, mask[..., channel]]), colour)


def on_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """[H,W,4] uint8 RGBA on a plain colour -> [H,W,3]."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.rint(picture[..., :3] * alpha + np.array(colour) * (1 - alpha)).astype(np.uint8)
