"""What the viewer plots: a few measures of a motion over time, and how two motions differ."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..face.arkit import ARKIT_NAMES, indices
from ..face.landmarks import LIPS_68, mouth_opening, mouth_width
from ..face.pose import head_angles
from ..motion.resample import resample
from ..types import MotionSequence


@dataclass(frozen=True)
class Curve:
    """One measure over time.

    Attributes:
        name, unit: as they are shown; unit "" for weights, which have none.
        values: [T] float32.
        least: the smallest range [unit] that a plot's height may stand for, so that noise stays small.
    """

    name: str
    unit: str
    values: np.ndarray
    least: float


def _weights(motion: MotionSequence, up: tuple[str, ...], down: tuple[str, ...] = ()) -> np.ndarray:
    total = motion.expression[:, indices(*up)].mean(1)
    return total - motion.expression[:, indices(*down)].mean(1) if down else total


def _angle(column: int, sign: float = 1.0) -> Callable[[MotionSequence], np.ndarray]:
    return lambda motion: sign * np.degrees(head_angles(motion)[:, column])


# Gaze and head are said from the viewer's side, as the picture shows them.
_MEASURES: tuple[tuple[str, str, float, Callable[[MotionSequence], np.ndarray]], ...] = (
    ("mouth opening", "mm", 8, lambda motion: 1000 * mouth_opening(motion.landmarks)),
    ("mouth width", "mm", 8, lambda motion: 1000 * mouth_width(motion.landmarks)),
    ("pucker", "", 0.3, lambda motion: _weights(motion, ("mouthPucker", "mouthFunnel"))),
    ("smile", "", 0.3, lambda motion: _weights(motion, ("mouthSmile*",), ("mouthFrown*",))),
    ("brows up", "", 0.3, lambda motion: _weights(motion, ("browInnerUp", "browOuterUp*"), ("browDown*",))),
    ("blink", "", 1, lambda motion: motion.blink),
    ("gaze right", "°", 10, lambda motion: np.degrees(motion.gaze[:, 0])),
    ("gaze up", "°", 10, lambda motion: np.degrees(motion.gaze[:, 1])),
    ("head right", "°", 10, _angle(0)),
    ("head up", "°", 10, _angle(1, -1)),
    ("head tilt right", "°", 10, _angle(2, -1)),
)


def curves(motion: MotionSequence) -> tuple[Curve, ...]:
    """The measures of a motion; those of the head only where it has a head pose."""
    return tuple(
        Curve(name, unit, np.asarray(measure(motion), np.float32), least) for name, unit, least, measure in _MEASURES
        if motion.head_pose is not None or not name.startswith("head")
    )


@dataclass(frozen=True)
class Difference:
    """How a second motion differs from a first, over the frames that both have.

    Attributes:
        other: the second, at the first's frame rate.
        distance: [T] float32 mean distance of the 68 landmarks [mm].
        lips: [T] float32 the same of the lips'.
        weights: the most differing first: name, root mean square difference, largest difference, mean in the first and
            in the second.
    """

    other: MotionSequence
    distance: np.ndarray
    lips: np.ndarray
    weights: tuple[tuple[str, float, float, float, float], ...]

    def figures(self) -> dict:
        """The same in few numbers, for people and JSON."""
        return {
            "compared_frames": len(self.distance), "landmark_distance_mm": float(self.distance.mean()),
            "landmark_distance_max_mm": float(self.distance.max()), "lip_distance_mm": float(self.lips.mean()),
            "weights": {name: round(rms, 4) for name, rms, *_ in self.weights[:5]},
        }


def difference(first: MotionSequence, second: MotionSequence) -> Difference:
    """Compare two motions of any rates and lengths. Both must have frames."""
    if second.fps != first.fps:
        second = replace(resample(second, first.fps), history=second.history)
    frames = min(len(first), len(second))
    apart = 1000 * np.linalg.norm(first.landmarks[:frames] - second.landmarks[:frames], axis=2)
    a, b = first.expression[:frames].astype(np.float64), second.expression[:frames].astype(np.float64)
    rms, most = np.sqrt(np.square(a - b).mean(0)), np.abs(a - b).max(0)
    table = tuple((ARKIT_NAMES[k], float(rms[k]), float(most[k]), float(a[:, k].mean()), float(b[:, k].mean()))
                  for k in np.argsort(-rms, kind="stable"))
    return Difference(second, apart.mean(1).astype(np.float32), apart[:, LIPS_68].mean(1).astype(np.float32), table)
