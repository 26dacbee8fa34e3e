"""What a recording shows of its person, and in words what it lacks: head directions, mouth shapes, blinks, pauses.

An avatar learns what it was shown and guesses the rest. Mouth shapes are compared with those of other people's speech
(`data/mouth_shapes.json`, made by tools/make_mouth_shapes.py from the GRID corpus).
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from scipy.ndimage import binary_dilation

from geneface.face.landmarks import mouth_opening, mouth_width
from geneface.speech.framing import runs
from geneface.types import CameraTrack

TURN, NOD = 10.0, 7.0
"""To each side and up and down, a recording should show the head turned by so much [degrees]."""

_SHOWN = 0.005  # share of the frames that make a direction known
_CLOSED = 0.02  # opening below which the lips touch, over the width of the mouth at rest
_RIGHT_CORNER, _LEFT_CORNER, _NOSE_BASE = 33, 263, 2  # MediaPipe's outer corners of the eyes, and under the nose
_REST_QUANTILE = 20  # of the width while the lips are closest: the mouth at rest
_BLINK = 0.3  # of the eye's opening
_FEWEST_BLINKS = 4.0  # a minute; people talking blink 10 to 30 times


def head_angles(camera: CameraTrack) -> np.ndarray:
    """[T,3] turn to the picture's right, nod upwards, tilt clockwise in the picture [degrees]; 0 faces the camera."""
    from scipy.spatial.transform import Rotation

    angles = Rotation.from_matrix(camera.head_to_camera[:, :3, :3]).as_euler("YXZ", degrees=True)
    return angles * (-1, -1, 1)


def pose_gaps(angles: np.ndarray) -> list[str]:
    """Advice on directions that are lacking, the widest gap first.

    Args:
        angles: [T,3] of `head_angles`.
    """
    reach = reaches(angles)
    words = {
        "left": ("turns to the left in the picture", "turn the head slowly to that side while talking", TURN),
        "right": ("turns to the right in the picture", "turn the head slowly to that side while talking", TURN),
        "up": ("looks up", "raise the chin now and then", NOD),
        "down": ("looks down", "lower the chin now and then, as in nodding", NOD),
    }
    gaps = []
    for side, (what, advice, wanted) in words.items():
        missing = wanted - reach[side]
        if missing > 1:
            seen = f"beyond {reach[side]:.0f} degrees" if reach[side] >= 1 else "at all"
            gaps.append((missing, f"The head never {what} {seen}: {advice}, to {wanted:.0f} degrees."))
    return [text for _, text in sorted(gaps, key=lambda gap: -gap[0])]


def reaches(angles: np.ndarray) -> dict[str, float]:
    """How far the head goes to each side from its usual direction [degrees]: what few frames go beyond."""
    turn, nod = (angles[:, column] - np.median(angles[:, column]) for column in (0, 1))
    few = 100 * _SHOWN
    return {"left": float(-np.percentile(turn, few)), "right": float(np.percentile(turn, 100 - few)),
            "up": float(np.percentile(nod, 100 - few)), "down": float(-np.percentile(nod, few))}


def mouth_shapes(landmarks: np.ndarray) -> np.ndarray:
    """Opening and width of the mouth over its width at rest, hardly changed by turning and nodding.

    Height is measured against the distance of eyes and nose, width against that of the eyes: the head's pose shortens
    both alike.

    Args:
        landmarks: [T,478,2] detected [px].

    Returns:
        [T,2].
    """
    eyes = landmarks[:, [_RIGHT_CORNER, _LEFT_CORNER]]
    across = np.maximum(np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1), 1e-6)
    down = np.maximum(np.linalg.norm(eyes.mean(axis=1) - landmarks[:, _NOSE_BASE], axis=-1), 1e-6)
    opening = mouth_opening(landmarks) / down * np.median(down / across)
    width = mouth_width(landmarks) / across
    closest = opening <= np.percentile(opening, _REST_QUANTILE)
    return np.stack([opening, width], axis=1) / np.median(width[closest])


@dataclass(frozen=True)
class ShapeReference:
    """How often natural speech shows which mouth shapes.

    Attributes:
        opening, width: [O+1], [W+1] edges of the cells, in `mouth_shapes`' units.
        share: [O,W] share of speech in each cell; sums to 1.
    """

    opening: np.ndarray
    width: np.ndarray
    share: np.ndarray

    def seen(self, shapes: np.ndarray) -> np.ndarray:
        """[O,W] bool: cells that shapes [T,2] fall into, or that lie beside one of those."""
        inside = [np.clip(np.searchsorted(edges, shapes[:, column], "right") - 1, 0, len(edges) - 2)
                  for column, edges in enumerate((self.opening, self.width))]
        seen = np.zeros(self.share.shape, bool)
        seen[tuple(inside)] = True
        return binary_dilation(seen, np.ones((3, 3), bool))

    def lacking(self, shapes: np.ndarray) -> float:
        """Share of natural speech whose mouth shapes the recording does not show."""
        return float(self.share[~self.seen(shapes)].sum())

    def quantile(self, column: int, share: float) -> float:
        """Opening (column 0) or width (1) that `share` of natural speech stays below."""
        edges = (self.opening, self.width)[column]
        return float(np.interp(share, np.concatenate([[0], np.cumsum(self.share.sum(axis=1 - column))]), edges))


@lru_cache(maxsize=1)
def load_reference() -> ShapeReference:
    """Mouth shapes of natural speech, shipped with the package."""
    content = json.loads((resources.files("geneface") / "data" / "mouth_shapes.json").read_text("utf-8"))
    share = np.array(content["share"])
    return ShapeReference(np.array(content["opening"]), np.array(content["width"]), share / share.sum())


def shape_gaps(shapes: np.ndarray, reference: ShapeReference) -> list[str]:
    """Advice on mouth shapes that are lacking."""
    opening, width = shapes.T
    # What natural speech reaches in one frame of ten, a recording should reach in one of a hundred.
    most, wide, narrow = (reference.quantile(0, 0.9), reference.quantile(1, 0.9), reference.quantile(1, 0.1))
    gaps = []
    if np.percentile(opening, 99) < 0.8 * most:
        gaps.append("The mouth never opens wide: say \"ah\", \"father\", \"far away\", and speak up.")
    if np.percentile(width, 1) > narrow:
        gaps.append("The lips are hardly ever rounded: say \"who knew\", \"blue moon\", \"you do\".")
    if np.percentile(width, 99) < wide:
        gaps.append("The lips are hardly ever spread: say \"cheese\", \"these three\", and smile.")
    if (opening < _CLOSED).mean() < 0.02:
        gaps.append("The lips hardly ever close: say \"mama\", \"papa\", \"maybe\", and rest with the mouth shut.")
    return gaps


def habit_gaps(eye_open: np.ndarray, fps: float, speech: np.ndarray, speech_fps: float) -> list[str]:
    """Advice on blinks and pauses.

    Args:
        eye_open: [T,2] of `FaceTrack`, at `fps`.
        speech: [S] of `SpeechFeatures`, at `speech_fps`.
    """
    gaps = []
    minutes = len(eye_open) / fps / 60
    per_minute = count_blinks(eye_open) / max(minutes, 1e-9)
    if minutes > 0.3 and per_minute < _FEWEST_BLINKS:
        gaps.append(f"The eyes hardly ever close ({per_minute:.0f} blinks a minute): blink as usual, and shut the eyes "
                    "once for a second.")
    if len(speech) and _longest(speech < 0.5) < 0.8 * speech_fps:
        gaps.append("There is no pause: rest for a second or two with the mouth shut, so that the avatar can.")
    return gaps


def count_blinks(eye_open: np.ndarray) -> int:
    """Times that both eyes of `eye_open` [T,2] close."""
    return len(runs(eye_open.mean(axis=1) < _BLINK))


def _longest(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    return int(np.diff(runs(flags), axis=1).max(initial=0))
