"""Landmarks as motion, read only: what trackers and the GeneFace family of programs leave as .npy or .npz.

What is known of each kind:

* [T,68,3] or [T,204]: iBUG points in 3D, a face in any right-handed axes and unit. Pose and shape are taken out
  (`face.alignment`); those that lie on our own mean head in head space are canonical already.
* [T,68,3] or [T,204] of differences: GeneFace's `idexp_lm3d` (reconstruct_idexp_lm3d in its face3d_helper.py): where a
  face lies from BFM's mean face, ten times in decimetres, so in centimetres, x to the image's right, y up, z to the
  viewer. Files that hold it divided by a video's own deviation cannot be undone.
* [T,68,2], [T,468 or 478,2 or 3]: image landmarks, iBUG's or MediaPipe's, in pixels, or in shares of the image as
  MediaPipe gives them. Third coordinates are guesses of MediaPipe's and are left aside.
"""
from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face import landmarks as lm
from ..face.alignment import image_camera, looks_like_a_face, to_head_space
from ..face.basis import load_basis
from ..face.motion import motion_from_weights
from ..face.pose import DISTANCE_M
from ..face.solve import Solved, solve_image, solve_landmarks
from ..guard import MAX_BYTES, check_fps, check_frames
from ..types import MotionSequence
from ..types.records import one_line, read_npy, read_npz, require

_NAMES = ("landmarks", "idexp_lm3d", "lm3d", "pred_lm3d", "lm68", "lm478", "lms", "arr_0")
_IDEXP_M = 0.01  # a unit of idexp_lm3d [m]
_FLIP = np.array([1.0, -1.0, -1.0])  # from axes with y up and z to the viewer to those of the head
_CANONICAL_M = 0.001  # landmarks of the nose's ridge and the eye corners that lie as near to ours are ours [m]
_STEADY = np.array([27, 28, 29, 36, 39, 42, 45])  # of the 68
_MOST_FRAMES = 1 << 15  # 22 minutes at 25 frames per second: solving takes 20 kB a frame
_DRIFT_S = 0.1  # what image landmarks leave over is averaged over a window of this deviation: the rest is noise [s]


def holds_landmarks(path: Path) -> bool:
    """Whether an .npz file is one of landmarks and not a motion of this package."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(name).stem for name in archive.namelist()[:64]}
    except (OSError, zipfile.BadZipFile):
        return False
    return "header" not in names and bool(names & set(_NAMES))


def read(path: Path, fps: float | None = None) -> MotionSequence:
    """Motion of a file of landmarks.

    The motion's landmarks are what the file says, brought to the mean head, and its weights are solved for them: what
    those leave is the motion's `arkit_residual`. Image landmarks also give the head's pose.

    Args:
        fps: frames per second, where the file does not say it.

    Raises:
        UserError: not landmarks, of a kind of which too little is known, or without a frame rate.
    """
    points, known = _load(path)
    rate = known.get("fps", fps)
    if rate is None:
        raise UserError(f"{path}: says no frame rate; give it, as in geneface export {path.name} --fps 25 -o M.npz")
    rate = check_fps(rate, path)
    if points.shape[1] == 68 and points.shape[2] == 3:
        return _of_heads(points, rate, path)
    return _of_images(points[..., :2], rate, known, path)


def _load(path: Path) -> tuple[np.ndarray, dict[str, float]]:
    """[T,L,2 or 3] float64 points, finite, and the scalars fps, width and height that the file holds."""
    try:
        if path.suffix.lower() == ".npz":
            arrays = read_npz(path, MAX_BYTES)
        else:
            size = path.stat().st_size
            require(size <= MAX_BYTES, f"{size / 1e6:.0f} MB is more than a motion of {MAX_BYTES / 1e6:.0f} MB")
            with open(path, "rb") as file:
                arrays = {"landmarks": read_npy(file, "its array", size)}
    except Exception as error:  # whatever zip, zlib and numpy find to say of damaged bytes
        what = f"not a readable file of landmarks ({one_line(error)})"
        raise UserError(f"{path}: {what}; save the array itself") from error
    name = next((name for name in _NAMES if name in arrays), None)
    if name is None:
        raise UserError(f"{path}: holds no landmarks; they are an array called " + ", ".join(_NAMES[:3]))
    points = arrays[name]
    if points.ndim == 2 and points.shape[1] % 3 == 0:
        points = points.reshape(len(points), -1, 3)
    if points.ndim == 4 and points.shape[1] == 1:
        points = points[:, 0]
    kinds = {(68, 3), (68, 2), (468, 2), (468, 3), (478, 2), (478, 3)}
    if points.dtype.kind not in "fiu" or points.ndim != 3 or points.shape[1:] not in kinds:
        raise UserError(f"{path}: {name} has shape {points.shape}; landmarks are [frames, 68, 2 or 3], [frames, 204], "
                        "or MediaPipe's [frames, 468 or 478, 2 or 3]")
    check_frames(len(points), path)
    if len(points) > _MOST_FRAMES:
        raise UserError(f"{path}: has {len(points)} frames of landmarks; cut it to parts of at most {_MOST_FRAMES}")
    with np.errstate(invalid="ignore"):  # of NaN, which is refused below
        points = points.astype(np.float64)
    if not np.isfinite(points).all() or np.abs(points).max() > 1e6:
        frame = int(np.argmax(~(np.abs(points) <= 1e6).all((1, 2))))
        raise UserError(f"{path}: {name} is not a number, or beyond all measure, in frame {frame}; fill such frames in")
    scalars = {key: float(arrays[key]) for key in ("fps", "width", "height")
               if key in arrays and arrays[key].size == 1 and arrays[key].dtype.kind in "fiu"}
    return points, scalars


def _of_heads(points: np.ndarray, fps: float, path: Path) -> MotionSequence:
    """Motion of 3D landmarks [T,68,3]."""
    mean = load_basis().landmarks68(None).astype(np.float64)
    middle = np.median(points, 0)
    if np.linalg.norm((points - mean)[:, _STEADY], axis=-1).mean() < _CANONICAL_M:
        return _motion(solve_landmarks(points, fps), points, fps, path)
    if not looks_like_a_face(middle):
        spread = points.std(0).ravel()
        if len(points) > 8 and np.quantile(spread, 0.05) > 0.5 and np.quantile(spread, 0.95) < 2:
            raise UserError(f"{path}: landmarks divided by their own deviation; multiply it back, and add the mean, "
                            "with the numbers that made them")
        points = mean + points * _FLIP * _IDEXP_M
        if not looks_like_a_face(np.median(points, 0)):
            raise UserError(f"{path}: neither faces of 68 iBUG landmarks nor GeneFace's idexp_lm3d; save landmarks of "
                            "whole faces")
    _check_sizes(points, path)
    heads, neutral = to_head_space(points)
    return _motion(solve_landmarks(heads, fps, neutral), mean + heads - neutral, fps, path)


def _of_images(points: np.ndarray, fps: float, known: dict[str, float], path: Path) -> MotionSequence:
    """Motion of image landmarks [T,L,2]."""
    from scipy.ndimage import gaussian_filter1d

    width, height = known.get("width"), known.get("height")
    if (width is None) != (height is None) or (width is not None and not (1 <= width <= 1e5 and 1 <= height <= 1e5)):
        raise UserError(f"{path}: width and height are the image's, both of them, in pixels")
    if np.abs(points).max() <= 4:  # shares of the image, which a face may stick out of
        if width is None:
            raise UserError(f"{path}: landmarks in shares of an image of unknown shape; save its width and height with "
                            "them, or multiply them by those")
        points = points * [width, height]
    if width is None:  # only the middle and the size of it matter
        width, height = points.reshape(-1, 2).max(0) + points.reshape(-1, 2).min(0).clip(0)
    _check_sizes(points, path)
    camera = image_camera(points, round(max(width, 1)), round(max(height, 1)), fps)
    solved = solve_image(points, camera)
    which = np.arange(68) if points.shape[1] == 68 else lm.MEDIAPIPE_TO_68
    rotation, place = camera.head_to_camera[:, :3, :3], camera.head_to_camera[:, :3, 3]
    per_metre = camera.intrinsics[0, 0] / place[:, 2]  # [T] px
    left = np.zeros((len(points), 68, 3))
    left[..., :2] = solved.missed[:, which] / per_metre[:, None, None]
    left = gaussian_filter1d(left @ rotation, _DRIFT_S * fps, axis=0, mode="nearest")
    landmarks = load_basis().landmarks68(solved.expression) + left
    pose = np.tile(np.eye(4), (len(points), 1, 1))
    pose[:, :3, :3] = rotation
    pose[:, :2, 3] = place[:, :2] - place[:, :2].mean(0)
    pose[:, 2, 3] = DISTANCE_M * np.median(per_metre) / per_metre
    return _motion(solved, landmarks, fps, path, pose)


def _check_sizes(points: np.ndarray, path: Path) -> None:
    """Raise UserError where a frame's landmarks [T,L,2 or 3] shrink to a spot, as where a tracker found no face."""
    size = np.sqrt(points.var(1).sum(-1))
    small = ~(size > 0.1 * np.median(size))
    if small.any():
        raise UserError(f"{path}: frame {int(np.argmax(small))} holds no face, its landmarks lie in one place; fill "
                        "such frames in, or cut them off")


def _motion(
    solved: Solved, landmarks: np.ndarray, fps: float, path: Path, head_pose: np.ndarray | None = None,
) -> MotionSequence:
    """Motion of solved weights that keeps canonical `landmarks` [T,68,3]."""
    motion = motion_from_weights(solved.expression, fps, f"landmarks: {path.name}", head_pose)
    return replace(motion, landmarks=landmarks.astype(np.float32))
