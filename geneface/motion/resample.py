"""Motion at another frame rate.

Curves are taken to be cubic splines through their samples. A higher rate reads the spline at more places; a lower rate
takes the spline that comes nearest to all samples (least squares), which leaves out what the lower rate cannot hold
instead of folding it back as jitter, and undoes a higher rate (Unser, Aldroubi and Eden 1995, "Enlargement or reduction
of digital images with minimum loss of information").
"""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import UserError
from ..face.basis import load_basis
from ..types import MotionSequence

MAX_FPS = 1000.0
_MOST_FRAMES = 1 << 21
_PASSES = 8  # after so many, what curves lost where the spline ran beyond their bounds is found again
_STEADY = 1e-9  # share of the sum of squares that keeps coefficients without a sample near them where they are
_AFTER = 0.03  # weight of a value after the last sample wanted


def frame_rate(fps: float) -> float:
    """The exact rate of film and television that people round: 23.976, 29.97, 47.95, 59.94 and 119.88 are 24000/1001,
    30000/1001 and so on; any other as it is."""
    if not math.isfinite(fps):
        return fps
    whole = round(fps)
    exact = whole * 1000 / 1001
    return exact if whole in (24, 30, 48, 60, 120) and abs(fps - whole) > 0.02 and abs(fps - exact) < 0.01 else fps


def resample(motion: MotionSequence, fps: float) -> MotionSequence:
    """`motion` at `fps` frames per second, as long as it was, to the nearest frame.

    Raises:
        UserError: `fps` is no frame rate, or makes too many frames.
    """
    if not (math.isfinite(fps) and 0 < fps <= MAX_FPS):
        raise UserError(f"fps: must be more than 0 and at most {MAX_FPS:g}, got {fps:g}")
    return motion if fps == motion.fps else at_rate(motion, fps).after(f"resample {fps:g}")


def at_rate(motion: MotionSequence, fps: float) -> MotionSequence:
    """`resample` without a line in the history."""
    before, bounds = motion.fps, (0.0, 1.0)
    frames = frames_at(len(motion), before, fps)
    if frames > _MOST_FRAMES:
        raise UserError(f"the motion would have {frames} frames; at most {_MOST_FRAMES}: cut it, or take a lower rate")
    expression = resample_series(motion.expression, before, fps, bounds)
    landmarks = load_basis().landmarks68(expression) + resample_series(beyond_weights(motion), before, fps)
    return replace(
        motion, expression=expression, landmarks=landmarks,
        blink=resample_series(motion.blink, before, fps, bounds), gaze=resample_series(motion.gaze, before, fps),
        head_pose=None if motion.head_pose is None else resample_poses(motion.head_pose, before, fps), fps=float(fps),
    )


def beyond_weights(motion: MotionSequence) -> np.ndarray:
    """[T, 68, 3] float32 what landmarks have that the weights do not say [m]; zeros for most motions."""
    return (motion.landmarks - load_basis().landmarks68(motion.expression)).astype(np.float32)


def resample_poses(poses: np.ndarray, fps: float, wanted: float) -> np.ndarray:
    """Rigid transforms [R, 4, 4] at `fps` as they are at `wanted` frames per second: places and unit quaternions as
    curves."""
    from scipy.spatial.transform import Rotation

    if abs(fps - wanted) < 1e-6 or not len(poses):
        return poses
    turns = steady_quaternions(poses)
    curves = resample_series(np.concatenate([turns, poses[:, :3, 3]], axis=1), fps, wanted)
    out = np.tile(np.eye(4), (len(curves), 1, 1))
    out[:, :3, :3] = Rotation.from_quat(curves[:, :4]).as_matrix()
    out[:, :3, 3] = curves[:, 4:]
    return out


def steady_quaternions(poses: np.ndarray) -> np.ndarray:
    """[R, 4] unit quaternions of rigid transforms [R, 4, 4], none of them opposite to the one before: curves that can
    be filtered."""
    from scipy.spatial.transform import Rotation

    return steady(Rotation.from_matrix(poses[:, :3, :3]).as_quat())


def steady(quaternions: np.ndarray) -> np.ndarray:
    """[T, 4] the same rotations, none of them opposite to the one before: q and -q are one rotation."""
    against = (quaternions[1:] * quaternions[:-1]).sum(1) < 0
    return quaternions * np.concatenate([[1], np.where(np.logical_xor.accumulate(against), -1, 1)])[:, None]


def frames_at(frames: int, fps: float, wanted: float) -> int:
    """How many frames at `wanted` frames per second last as long as `frames` at `fps`; 1 at least, of any."""
    return max(1, round(frames * wanted / fps)) if frames else 0


def resample_series(values: np.ndarray, fps: float, wanted: float, bounds: tuple[float, float] | None = None,
                    ) -> np.ndarray:
    """Curves at another rate.

    Args:
        values: [T] or [T, ...] samples, the k-th at k/fps seconds.
        bounds: that all values lie between.

    Returns:
        `frames_at(T, fps, wanted)` samples of the same type, the k-th at k/wanted seconds; after the last one given,
        they stay.
    """
    count = frames_at(len(values), fps, wanted)
    if not count or fps == wanted:
        return values
    low, high = bounds or (-np.inf, np.inf)
    flat = values.reshape(len(values), -1).astype(np.float64)
    if wanted > fps:
        out = np.clip(_Spline(len(flat), count, fps / wanted).read(flat), low, high)
    else:
        spline = _Spline(count, len(flat), wanted / fps)
        out = np.clip(spline.fit(flat), low, high)
        for _ in range(_PASSES if bounds else 0):
            out = np.clip(out + spline.fit(flat - np.clip(spline.read(out), low, high)), low, high)
    return out.reshape(count, *values.shape[1:]).astype(values.dtype)


class _Spline:
    """The cubic spline through `coarse` samples at 0, 1, 2, ..., and where it is at `fine` places, `step` <= 1 apart.

    Of fewer than four samples its degree is lower. Raises nothing: past the last sample it is level.
    """

    def __init__(self, coarse: int, fine: int, step: float) -> None:
        from scipy.interpolate import BSpline
        from scipy.sparse import diags_array, eye_array
        from scipy.sparse.linalg import splu

        last, degree = coarse - 1.0, min(3, coarse - 1)
        # Not-a-knot: as many knots as make one coefficient a sample, so that cubics stay what they are.
        inner = np.arange(2, coarse - 2, dtype=np.float64) if degree == 3 else np.zeros(0)
        ends = (np.zeros(degree + 1), np.full(degree + 1, max(last, 1.0)))
        knots = np.concatenate([ends[0], inner, ends[1]])
        places = np.arange(fine) * step
        self._coarse = BSpline.design_matrix(np.arange(coarse, dtype=np.float64), knots, degree).tocsc()
        self._fine = BSpline.design_matrix(np.minimum(places, last), knots, degree).tocsc()
        # Values after the last coarse sample say little of it, but all there is where none lies close before it.
        self._counted = self._fine.T @ diags_array(np.where(places <= last, 1.0, _AFTER))
        squares = self._counted @ self._fine + _STEADY * eye_array(coarse, format="csc")
        self._through, self._nearest = splu(self._coarse), splu(squares.tocsc())

    def read(self, samples: np.ndarray) -> np.ndarray:
        """[fine, C] values of the spline through [coarse, C]."""
        return self._fine @ self._through.solve(samples)

    def fit(self, values: np.ndarray) -> np.ndarray:
        """[coarse, C] samples of the spline nearest to [fine, C]."""
        return self._coarse @ self._nearest.solve(self._counted @ values)
