"""What the joints of other programs' rigs are to us, by their names."""
from __future__ import annotations

import re

HEAD, NECK, JAW, LEFT_EYE, RIGHT_EYE = "head", "neck", "jaw", "left eye", "right eye"
_NOISE = {  # of rigs' prefixes and endings
    "mixamorig", "bip", "bone", "def", "org", "cc", "base", "jnt", "joint", "jt", "b", "j", "c", "m", "x", "root",
    "adj", "face", "main", "master", "bind"}
_ROLES = {frozenset(words.split()): role for role, names in {
    HEAD: ("head",), NECK: ("neck",), JAW: ("jaw", "lower jaw", "mandible"),
    LEFT_EYE: ("left eye", "l eye", "leye", "lefteye", "eyeleft", "eyel"),
    RIGHT_EYE: ("right eye", "r eye", "reye", "righteye", "eyeright", "eyer"),
}.items() for words in names}


def role(name: str) -> str | None:
    """`HEAD`, `NECK`, `JAW`, `LEFT_EYE`, `RIGHT_EYE` or None: "mixamorig:Head", "CC_Base_JawRoot" and "eye.L" are
    meant, and "HeadEnd" is not."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name[:200])
    return _ROLES.get(frozenset(word.lower() for word in words) - _NOISE)
