"""Poses of head and eyes as engines have them.

Here a head is posed in front of a camera (`MotionSequence.head_pose`, OpenCV axes). Engines turn a head about its rest,
in axes with y up: x to the person's left, z out of the face. A head that looks straight into the camera is at rest.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..types import MotionSequence

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

FLIP = np.diag([1.0, -1.0, -1.0])
"""[3,3] between OpenCV's axes and those with y up, either way."""
DISTANCE_M = 0.6
"""From the camera, of a head whose file says nothing of it [m]."""


def y_up(points: np.ndarray) -> np.ndarray:
    """Points or directions [...,3] of the head frame (x to image right, y down, z into the head) in axes with y up."""
    return points * np.array([1, -1, -1], points.dtype)


def head_rotations(motion: MotionSequence) -> np.ndarray:
    """[T,3,3] rotation of the head from rest, in axes with y up; identities for a motion without head pose."""
    if motion.head_pose is None:
        return np.tile(np.eye(3), (len(motion), 1, 1))
    return FLIP @ motion.head_pose[:, :3, :3].astype(np.float64) @ FLIP


def head_positions(motion: MotionSequence) -> np.ndarray:
    """[T,3] where the head is, from its mean place [m], in axes with y up; zeros for a motion without head pose."""
    if motion.head_pose is None:
        return np.zeros((len(motion), 3))
    places = y_up(motion.head_pose[:, :3, 3].astype(np.float64))
    return places - places.mean(0)


def head_angles(motion: MotionSequence) -> np.ndarray:
    """[T,3] yaw (to the person's left), pitch (down), roll (to the person's right shoulder) [rad] of `head_rotations`:
    a turn about y by yaw, of that about x by pitch, of that about z by roll; zeros for a motion without head pose."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(head_rotations(motion)).as_euler("YXZ")


def poses(rotations: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
    """Head-to-camera transforms [T,4,4] [m] of rotations [T,3,3] from rest and places [T,3] about the mean [m], both in
    axes with y up; the mean place is `DISTANCE_M` before the camera."""
    out = np.tile(np.eye(4), (len(rotations), 1, 1))
    out[:, :3, :3] = FLIP @ rotations @ FLIP
    if positions is not None:
        out[:, :3, 3] = y_up(np.asarray(positions, np.float64))
    out[:, 2, 3] += DISTANCE_M
    return out


def poses_of_angles(angles: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
    """`poses` of yaw, pitch and roll [T,3] [rad] as `head_angles` gives them."""
    from scipy.spatial.transform import Rotation

    return poses(Rotation.from_euler("YXZ", angles).as_matrix(), positions)


def gaze_turn(gaze: np.ndarray) -> "Rotation":
    """Rotations from rest, in axes with y up, of eyes that look along `gaze` [T,2] [rad], yaw to image right, up."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("YX", gaze.astype(np.float64) * [1, -1])


def gaze_of_turn(turn: "Rotation") -> np.ndarray:
    """[T,2] the inverse of `gaze_turn`."""
    return gaze_of_direction(turn.apply([0, 0, 1]))


def gaze_of_direction(direction: np.ndarray) -> np.ndarray:
    """[T,2] gaze [rad] of eyes that look along `direction` [T,3], of any length, in axes with y up."""
    x, y, z = direction.T
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=1)
