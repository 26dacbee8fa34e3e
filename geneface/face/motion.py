"""Tracked faces, and weights from anywhere, as motion: in the form that generated motion has."""
from __future__ import annotations

import numpy as np

from ..types import CameraTrack, FaceTrack, MotionSequence
from .arkit import indices
from .basis import FaceBasis, load_basis
from .gaze import gaze_of_weights


def tracked_motion(
    face: FaceTrack, camera: CameraTrack | None = None, frames: range | None = None, source: str = "tracked",
    basis: FaceBasis | None = None,
) -> MotionSequence:
    """Canonical landmarks, expression, blinks, gaze and head pose of tracked frames.

    Args:
        face: the tracked face.
        camera: gives the head pose; None leaves it out.
        frames: which frames, all by default.
        source: where the motion came from, for people.
        basis: the basis that the face was tracked with, the bundled one by default.

    Raises:
        ValueError: camera and face differ in length, or `frames` runs past the track.
    """
    if camera is not None and len(camera) != len(face):
        raise ValueError(f"camera: {len(camera)} frames, but the face has {len(face)}")
    frames = range(len(face)) if frames is None else frames
    if len(frames) and not 0 <= min(frames) <= max(frames) < len(face):
        raise ValueError(f"frames: {frames} runs past the {len(face)} frames of the track")
    index = np.arange(len(face))[frames.start:frames.stop:frames.step] if len(frames) else np.arange(0)
    expression = face.expression[index]
    return MotionSequence(
        landmarks=(basis or load_basis()).landmarks68(expression),
        expression=expression,
        blink=1 - face.eye_open[index].mean(1),
        gaze=face.gaze[index],
        fps=face.fps,
        source=source,
        head_pose=None if camera is None else camera.head_to_camera[index],
    )


def motion_from_weights(
    expression: np.ndarray, fps: float, source: str, head_pose: np.ndarray | None = None,
    gaze: np.ndarray | None = None, blink: np.ndarray | None = None,
) -> MotionSequence:
    """The motion that ARKit weights make, as another program or a recording has them.

    Args:
        expression: [T,52] weights in the order of `ARKIT_NAMES`; beyond [0,1] they are cut off.
        fps, source, head_pose: see `MotionSequence`.
        gaze: [T,2] [rad]; by default what the weights of the eyes say.
        blink: [T] eyelid closure; by default the mean of both lids' weights.
    """
    expression = np.clip(expression, 0, 1).astype(np.float32)
    lids = expression[:, indices("eyeBlink*")].mean(1)
    return MotionSequence(
        landmarks=load_basis().landmarks68(expression),
        expression=expression,
        blink=lids if blink is None else np.clip(blink, 0, 1).astype(np.float32),
        gaze=gaze_of_weights(expression) if gaze is None else np.asarray(gaze, np.float32),
        fps=float(fps),
        source=source,
        head_pose=head_pose,
    )
