"""ARKit expression weights: the 52 names and their order, everywhere in the package.

The names are Apple's (ARFaceAnchor.BlendShapeLocation). The order is MediaPipe's blendshape order without
its leading `_neutral`, with `tongueOut`, which MediaPipe does not score, at the end. Left and right are
the person's own.
"""
from __future__ import annotations

import re

ARKIT_NAMES: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)

_INDEX = {name: index for index, name in enumerate(ARKIT_NAMES)}


def index(name: str) -> int:
    """Place of the expression `name` among the 52.

    Raises:
        ValueError: no such ARKit expression.
    """
    if name not in _INDEX:
        raise ValueError(f"name: {name!r} is no ARKit expression")
    return _INDEX[name]


def spelled(name: str) -> int | None:
    """Place of an expression as other programs spell it (EyeBlinkLeft, eyeBlink_L, "Eye Blink Left"), or None."""
    return _SPELLED.get(plain(name))


def plain(name: str) -> str:
    """`name` without what spellings differ in: case, underscores, blanks, and _L for Left."""
    name = re.sub(r"[\s._-]+", "_", name.strip()).lower()
    return re.sub(r"_l$", "left", re.sub(r"_r$", "right", name)).replace("_", "")


def indices(*names: str) -> list[int]:
    """Places of several expressions. A name ending in `*` stands for its Left and Right."""
    result: list[int] = []
    for name in names:
        if name.endswith("*"):
            result += [index(name[:-1] + "Left"), index(name[:-1] + "Right")]
        else:
            result.append(index(name))
    return result


def mirrored(name: str) -> str:
    """The name of the same action on the other side of the face (itself where it has no side)."""
    if name.endswith("Left"):
        return name[:-4] + "Right"
    if name.endswith("Right"):
        return name[:-5] + "Left"
    return name


_SPELLED = {plain(name): place for place, name in enumerate(ARKIT_NAMES)}

# Gaze: the eyeballs turn; these never move the skin of the mouth and say nothing about speech.
GAZE = tuple(indices("eyeLookDown*", "eyeLookIn*", "eyeLookOut*", "eyeLookUp*"))
# Eyelids and brows: the upper face, driven by blinks and emphasis.
EYELIDS = tuple(indices("eyeBlink*", "eyeSquint*", "eyeWide*"))
BROWS = tuple(indices("browDown*", "browInnerUp", "browOuterUp*"))
# Everything speech drives.
MOUTH = tuple(i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("jaw", "mouth")) or name == "tongueOut")
