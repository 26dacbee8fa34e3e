"""Edits of a motion: pure functions from motion to motion, each with one strength that has a neutral value.

    from geneface.motion import edits

    motion = edits.mouth(motion, 1.2)
    motion = edits.apply(motion, "emotion happy:0.5", "cut 1,4")

Weights stay within [0, 1], landmarks move as the weights do, and every edit of the command line adds its line to the
motion's history, in the words of the command line. What `geneface speak` does beyond speech (`behaviour`) adds none.
"""
from __future__ import annotations

from ..language import EDITS, Edit, apply, replay
from ..reference import reference_motion
from ..resample import resample
from .behaviour import blink, breathe, look, pose_head, settle
from .eyes import blink_at, blink_like, blink_rate, blinks, gaze, gaze_at
from .face import emotion, expression, mirror, mouth, smooth
from .likeness import style
from .pose import head
from .timing import cut, join, loop, stretch
from .weights import EYES, with_weights

__all__ = [
    "EDITS", "EYES", "Edit", "apply", "blink", "blink_at", "blink_like", "blink_rate", "blinks", "breathe", "cut",
    "emotion", "expression", "gaze", "gaze_at", "head", "join", "look", "loop", "mirror", "mouth", "pose_head",
    "reference_motion", "replay", "resample", "settle", "smooth", "stretch", "style", "with_weights",
]
