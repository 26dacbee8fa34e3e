"""Boundary objects: what one stage hands to the next.

Frozen dataclasses. Array fields document shape, unit and frame and are checked on construction.
Files are npz (never pickled) with a JSON header naming the type and its schema version.

Frames of reference, everywhere in the package:

* **camera**: OpenCV axes, x right, y down, z forward [m].
* **head**: rigid frame of the head, same axis directions as a camera that looks at the face straight
  on (x to the image's right, y down, z from the face into the head) [m]; origin at the head's centre.
* **image**: pixels, (0, 0) is the top left corner of the top left pixel, so its centre is (0.5, 0.5).
"""
from __future__ import annotations

from .avatar import Avatar
from .motion import CANONICAL_LANDMARKS, EYE_RADIUS_M, MotionSequence, Word
from .person import PreparedPerson, read_image
from .records import NpzRecord, check_array, require, write_atomically
from .tracks import EXPRESSIONS, LANDMARKS, CameraTrack, FaceTrack, SpeechFeatures

__all__ = [
    "Avatar", "CANONICAL_LANDMARKS", "CameraTrack", "EXPRESSIONS", "EYE_RADIUS_M", "FaceTrack", "LANDMARKS",
    "MotionSequence", "NpzRecord", "PreparedPerson", "SpeechFeatures", "Word", "check_array", "read_image", "require",
    "write_atomically",
]
