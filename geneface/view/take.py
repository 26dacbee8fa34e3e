"""A motion made ready to be seen: what the head does in each frame, and its curves."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..face.arkit import GAZE, indices
from ..face.gaze import gaze_weights
from ..face.landmarks import mouth_opening
from ..face.pose import head_positions, head_rotations
from ..formats.headmesh import load_head
from ..types import MotionSequence
from .curves import Curve, curves

_ROOM = 0.035  # the head moves at most so far from the middle of the picture [m]


@dataclass(frozen=True)
class Take:
    """A motion as the viewer shows it. Axes are glTF's: y up, z out of the face.

    Attributes:
        name: of the file, for people.
        motion: what is shown.
        weights: [T,52] float32 expression weights of the drawn head, its eyes and lids included.
        rotations: [T,3,3] float32 of the head from rest.
        positions: [T,3] float32 where it is [m]; a head that wanders far is shown wandering less.
        opening: [T] float32 of the mouth [m].
        curves: of the motion.
    """

    name: str
    motion: MotionSequence
    weights: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray
    opening: np.ndarray
    curves: tuple[Curve, ...]

    @classmethod
    def of(cls, motion: MotionSequence, name: str) -> "Take":
        """Raises UserError: the motion has no frames."""
        if not len(motion):
            raise UserError(f"{name}: the motion has no frames; there is nothing to see")
        weights = motion.expression.astype(np.float32)
        blinks = indices("eyeBlink*")
        # Motion may say where the eyes look and when they close without the weights that make it.
        if not weights[:, GAZE].any():
            weights = weights + np.minimum(gaze_weights(motion.gaze), 1)
        if not weights[:, blinks].any():
            weights = weights.copy()
            weights[:, blinks] = motion.blink[:, None]
        places = head_positions(motion)
        places = places * min(1.0, _ROOM / max(np.abs(places).max(), 1e-9))
        return cls(name, motion, weights, head_rotations(motion).astype(np.float32), places.astype(np.float32),
                   mouth_opening(motion.landmarks).astype(np.float32), curves(motion))

    def __len__(self) -> int:
        return len(self.motion)

    def vertices(self, frame: int) -> np.ndarray:
        """[N,3] float32 of the head in a frame, turned and placed [m]."""
        return load_head().shapes(self.weights[frame]) @ self.rotations[frame].T + self.positions[frame]
