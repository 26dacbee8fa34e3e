"""The package's own motion file: `MotionSequence.save` and `load`, which lose nothing."""
from __future__ import annotations

from pathlib import Path

from ..guard import check_fps, check_frames, check_poses, check_weights
from ..types import MotionSequence
from . import WriteOptions


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write `motion`."""
    motion.save(path)


def read(path: Path, fps: float | None = None) -> MotionSequence:
    """Read what `write` wrote, or landmarks (`landmarks.read`, which `fps` is for) in a file of that ending.

    Raises:
        UserError: see `MotionSequence.load`, or values that no motion has.
    """
    from . import landmarks  # and the solver with it

    if landmarks.holds_landmarks(path):
        return landmarks.read(path, fps).after(f"read {path.name} (landmarks)")
    motion = MotionSequence.load(path)
    check_frames(len(motion), path)
    check_fps(motion.fps, path)
    check_weights(motion.expression, path)
    if motion.head_pose is not None:
        check_poses(motion.head_pose, path)
    return motion
