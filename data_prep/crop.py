"""Where the square around the speaker lies: fixed, or following the speaker where the camera moves."""
from __future__ import annotations

import numpy as np

from geneface.media import Crop
from geneface.types import require

_SIDE = 2.6  # side of the crop in face heights (chin to hairline): head, neck and shoulders
_ABOVE = 0.62  # hair above the hairline, in face heights
_BELOW = 0.45  # neck below the chin
_MIDDLE = 0.46  # height of the face's middle in the crop: a little above the centre
_PORTRAIT = 0.25  # least height of the face in a square picture that is left as it is
_SLOW = 0.8  # the crop follows what is slower than this [s]; what is faster is the head's own movement


def choose_crop(width: int, height: int, faces: np.ndarray) -> Crop:
    """The square that holds the head in (nearly) all frames, within the picture.

    Args:
        width, height: of the source picture [px].
        faces: [N,4] left, top, right, bottom of the face oval [px].
    """
    require(len(faces) > 0, "faces: none given")
    shorter = min(width, height)
    if _framed(width, height, faces):
        return Crop((width - shorter) // 2, (height - shorter) // 2, shorter, width, height)
    side, place = _frame_around(faces, shorter)
    x, y = (int(round(min(max(v, 0), limit - side))) for v, limit in zip(place, (width, height)))
    return Crop(x, y, side, width, height)


def follow_crop(width: int, height: int, faces: np.ndarray, looked: np.ndarray, frames: int, fps: float) -> Crop:
    """A square of fixed size that goes with the speaker, smoothly.

    Args:
        width, height: of the source picture [px].
        faces: [N,4] left, top, right, bottom of the face oval [px].
        looked: [N] frames of these, counted from the take's start, in order.
        frames: length of the take.
        fps: frames per second.
    """
    from scipy.ndimage import gaussian_filter1d

    require(len(faces) == len(looked) > 0, f"faces: expected one per look, got {len(faces)} for {len(looked)}")
    if _framed(width, height, faces):
        return choose_crop(width, height, faces)
    middles = (faces[:, :2] + faces[:, 2:]) / 2
    path = np.stack([np.interp(np.arange(frames), looked, middles[:, axis]) for axis in (0, 1)], 1)
    # Mirrored through its ends, so that a steady pan stays one there.
    margin = min(round(4 * _SLOW * fps), frames - 1)
    padded = np.pad(path, ((margin, margin), (0, 0)), mode="reflect", reflect_type="odd")
    path = gaussian_filter1d(padded, _SLOW * fps, axis=0)[margin:margin + frames]
    around = faces - np.tile(path[looked], 2)
    side, offset = _frame_around(around, min(width, height))
    corners = np.clip(path + offset, 0, [width - side, height - side]).round(2)
    x, y = corners[0].round().astype(int)
    return Crop(int(x), int(y), side, width, height, tuple((float(a), float(b)) for a, b in corners))


def _framed(width: int, height: int, faces: np.ndarray) -> bool:
    """Whether the picture is a portrait already: a square, or so nearly that nothing is lost, with a face of some size
    in it. It is used whole."""
    side = min(width, height)
    return abs(width - height) <= 0.02 * side and float(np.median(faces[:, 3] - faces[:, 1])) >= _PORTRAIT * side


def _frame_around(faces: np.ndarray, longest: int) -> tuple[int, np.ndarray]:
    """Side of the square around the faces [px], and its top left corner [2], not yet kept within the picture."""
    face_height = float(np.median(faces[:, 3] - faces[:, 1]))
    left, top = np.percentile(faces[:, :2], 1, axis=0)
    right, bottom = np.percentile(faces[:, 2:], 99, axis=0)
    needed = max(right - left + 0.5 * face_height, bottom - top + (_ABOVE + _BELOW) * face_height)
    side = int(round(min(longest, max(_SIDE * face_height, needed))))
    if side > 0.85 * longest:
        side = longest
    y = min((top + bottom) / 2 - _MIDDLE * side, top - _ABOVE * face_height)
    return side, np.array([(left + right) / 2 - side / 2, y])
