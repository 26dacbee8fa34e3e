"""Edits of how the head moves."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import UserError
from ...types import MotionSequence
from .weights import checked


def head(motion: MotionSequence, gain: float) -> MotionSequence:
    """The head moves `gain` times as far from its mean pose: 1 as it does, 0 keeps it still, at most 3.

    Raises:
        UserError: the motion has no head pose.
    """
    from scipy.spatial.transform import Rotation

    gain = checked("head", gain, 0, 3)
    if gain == 1 or not len(motion):
        return motion
    if motion.head_pose is None:
        raise UserError("head: the motion has no head pose; speak with an avatar and --set head=sample, or take a "
                        "motion that has one")
    pose = motion.head_pose.astype(np.float64)
    turned, place = Rotation.from_matrix(pose[:, :3, :3]), pose[:, :3, 3]
    mean = turned.mean()
    pose[:, :3, :3] = (mean * Rotation.from_rotvec(gain * (mean.inv() * turned).as_rotvec())).as_matrix()
    pose[:, :3, 3] = place.mean(0) + gain * (place - place.mean(0))
    return replace(motion, head_pose=pose).after(f"head {gain:g}")
