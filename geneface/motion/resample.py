"""Motion at another frame rate."""
from __future__ import annotations

import math

import numpy as np

from ..errors import UserError
from ..face.basis import load_basis
from ..types import MotionSequence
from .head import resample_poses

MAX_FPS = 1000.0


def frame_rate(fps: float) -> float:
    """The exact rate of film and television that people round: 23.976, 29.97, 47.95, 59.94 and 119.88 are 24000/1001,
    30000/1001 and so on; any other as it is."""
    whole = round(fps)
    exact = whole * 1000 / 1001
    return exact if whole in (24, 30, 48, 60, 120) and abs(fps - whole) > 0.02 and abs(fps - exact) < 0.01 else fps


def resample(motion: MotionSequence, fps: float) -> MotionSequence:
    """`motion` at `fps` frames per second, as long as it was.

    Raises:
        UserError: `fps` is no frame rate.
    """
    if not (math.isfinite(fps) and 0 < fps <= MAX_FPS):
        raise UserError(f"fps: must be more than 0 and at most {MAX_FPS:g}, got {fps:g}")
    if abs(fps - motion.fps) < 1e-6 or len(motion) < 2:
        return motion.after(f"resample {fps:g}", fps=float(fps)) if fps != motion.fps else motion
    from scipy.interpolate import PchipInterpolator

    before = np.arange(len(motion)) / motion.fps
    at = np.minimum(np.arange(max(1, math.floor(len(motion) * fps / motion.fps + 1e-6))) / fps, before[-1])

    def curve(values: np.ndarray) -> np.ndarray:
        return PchipInterpolator(before, values)(at).astype(np.float32)

    expression = np.clip(curve(motion.expression), 0, 1)
    return motion.after(
        f"resample {fps:g}", expression=expression, landmarks=load_basis().landmarks68(expression),
        blink=np.clip(curve(motion.blink), 0, 1), gaze=curve(motion.gaze), fps=float(fps),
        head_pose=None if motion.head_pose is None else resample_poses(motion.head_pose, motion.fps, fps)[:len(at)],
    )
