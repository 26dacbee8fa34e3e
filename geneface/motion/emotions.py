"""Feelings as ARKit weights.

Each preset is the prototype of the Facial Action Coding System's emotion dictionary (Ekman, Friesen and Hager 2002,
"FACS Investigator's Guide", table 10-1; Friesen and Ekman 1983, "EMFACS-7"), with every action unit put into the ARKit
weight that moves the same muscle: AU1 browInnerUp, AU2 browOuterUp, AU4 browDown, AU5 eyeWide, AU6 cheekSquint, AU7
eyeSquint, AU9 noseSneer, AU10 mouthUpperUp, AU12 mouthSmile, AU14 mouthDimple, AU15 mouthFrown, AU16 mouthLowerDown,
AU17 mouthShrugLower, AU20 mouthStretch, AU23 and 24 mouthPress, AU26 jawOpen, AU43 eyeBlink. How strong each is was
set by eye on the bundled head and on rendered people. `relaxed` is no emotion of FACS but of VRM avatars: a soft smile
under heavy lids.
"""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..face.arkit import ARKIT_NAMES, indices

_BROWS = tuple(indices("browDown*", "browInnerUp", "browOuterUp*"))
_EYES = tuple(indices("eyeBlink*", "eyeSquint*", "eyeWide*", "cheekSquint*"))
_LOOKS = tuple(i for i, name in enumerate(ARKIT_NAMES) if name.startswith("eyeLook"))
REGIONS: dict[str, tuple[int, ...]] = {
    "brows": _BROWS, "eyes": _EYES,
    "mouth": tuple(i for i in range(len(ARKIT_NAMES)) if i not in (*_BROWS, *_EYES, *_LOOKS)),
}
"""Weights of each part of the face; the nose goes with the mouth, gaze with none."""
BLOCKING = indices("jawOpen", "mouthPress*", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
                   "mouthLowerDown*", "mouthUpperUp*")
"""What would keep a talking mouth from opening or closing."""


@dataclass(frozen=True)
class Emotion:
    """A feeling at strength 1.

    Attributes:
        units: FACS action units it stands for.
        weights: by ARKIT name; `*` at the end stands for Left and Right.
    """

    units: str
    weights: dict[str, float]

    def vector(self, regions: Sequence[str] = tuple(REGIONS)) -> np.ndarray:
        """[52] weights, 0 outside `regions`."""
        out = np.zeros(len(ARKIT_NAMES))
        for name, value in self.weights.items():
            out[indices(name)] = value
        kept = [i for region in regions for i in REGIONS[region]]
        return np.where(np.isin(np.arange(len(out)), kept), out, 0)


EMOTIONS: dict[str, Emotion] = {
    "happy": Emotion("6+12+25", {
        "cheekSquint*": 0.65, "eyeSquint*": 0.25, "mouthSmile*": 0.75, "mouthDimple*": 0.1, "browOuterUp*": 0.08,
        "mouthUpperUp*": 0.1}),
    "sad": Emotion("1+4+15+17", {
        "browInnerUp": 0.75, "browDown*": 0.2, "eyeBlink*": 0.12, "eyeSquint*": 0.15, "mouthFrown*": 0.6,
        "mouthShrugLower": 0.3, "mouthPucker": 0.08}),
    "angry": Emotion("4+5+7+23", {
        "browDown*": 0.85, "eyeSquint*": 0.35, "eyeWide*": 0.25, "noseSneer*": 0.3, "mouthPress*": 0.4,
        "mouthFrown*": 0.2, "mouthRollUpper": 0.15, "jawForward": 0.15}),
    "surprised": Emotion("1+2+5+26", {
        "browInnerUp": 0.8, "browOuterUp*": 0.75, "eyeWide*": 0.7, "jawOpen": 0.28, "mouthFunnel": 0.08}),
    "afraid": Emotion("1+2+4+5+20+26", {
        "browInnerUp": 0.8, "browOuterUp*": 0.3, "browDown*": 0.3, "eyeWide*": 0.7, "mouthStretch*": 0.5,
        "mouthLowerDown*": 0.15, "jawOpen": 0.1}),
    "disgusted": Emotion("9+10+15+17", {
        "noseSneer*": 0.75, "browDown*": 0.4, "eyeSquint*": 0.35, "cheekSquint*": 0.35, "mouthUpperUp*": 0.3,
        "mouthFrown*": 0.3, "mouthShrugLower": 0.2}),
    "contemptuous": Emotion("12+14, of one side", {
        "mouthSmileLeft": 0.35, "mouthDimpleLeft": 0.6, "mouthLeft": 0.15, "eyeSquint*": 0.15, "browOuterUpLeft": 0.2}),
    "relaxed": Emotion("12+43", {
        "mouthSmile*": 0.25, "eyeBlink*": 0.2, "eyeSquint*": 0.05, "cheekSquint*": 0.1, "browInnerUp": 0.1}),
}


def emotion_of(name: str) -> Emotion:
    """The preset `name`. Raises UserError, with the nearest name: there is none."""
    if name not in EMOTIONS:
        raise UserError(f"emotion: no preset {name!r}; {_nearest(name, EMOTIONS)}")
    return EMOTIONS[name]


def regions_of(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, in the order of `REGIONS`. Raises UserError, with the nearest name: one of them is no region."""
    for name in names:
        if name not in REGIONS:
            raise UserError(f"emotion: no region {name!r}; {_nearest(name, REGIONS)}")
    if not names:
        raise UserError(f"emotion: no region is given; there are {', '.join(REGIONS)}")
    return tuple(region for region in REGIONS if region in names)


def _nearest(name: str, known: dict) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
