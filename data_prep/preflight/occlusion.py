"""What is in front of the face: found where it does not look as it usually does.

Two kinds of evidence, each against the same person's usual look in the same shot: the colour of bare skin (a dark
microphone), and whether eyes, nose and mouth have the shapes they have (a hand, whose colour tells nothing). What
covers the face all the time is usual, and is not found.
"""
from __future__ import annotations

import cv2
import numpy as np

from geneface.face.landmarks import FACE_OVAL

# Points of bare skin that stay in sight while the head turns moderately: forehead, cheeks, nose, chin, about the mouth.
SKIN = np.array([
    9, 151, 108, 337, 69, 299, 50, 280, 205, 425, 117, 346, 187, 411, 36, 266, 4, 195, 164, 18, 200, 175, 199, 32, 262,
    210, 430, 57, 287,
])
_SIDE = 64  # of the face brought to the front [px]
# Where eye corners, nose, mouth corners, chin, temples and forehead lie in the box of a face's oval; of thirteen faces.
_ANCHORS = np.array([33, 133, 362, 263, 1, 4, 6, 61, 291, 152, 234, 454, 10])
_PLACES = np.array([
    (0.188, 0.307), (0.38, 0.318), (0.62, 0.318), (0.812, 0.307), (0.5, 0.537), (0.5, 0.5), (0.5, 0.339),
    (0.329, 0.731), (0.671, 0.731), (0.5, 1.0), (0.006, 0.429), (0.994, 0.429), (0.5, 0.003),
])
_WINDOW, _STRIDE = 16, 8  # of the pieces whose shapes are compared [px]
_CONTRAST = 6.0  # spread of a piece that shows something [grey levels]
_ALIKE = 0.7  # correlation that such a piece usually has with its median: other pieces are left out
_UNLIKE = 0.3  # and below which it does not show what it should
_ODD = 28.0  # how far a point's colour lies from what it usually is [levels of 8-bit Lab]
_CHUNK = 128  # looks compared at a time


def upright(landmarks: np.ndarray) -> np.ndarray:
    """[2,3] affine map that takes a face's features [478,2 px] to their usual places in the box of its oval, which
    lies between 0 and 1."""
    points = np.column_stack([landmarks[_ANCHORS], np.ones(len(_ANCHORS))])
    return np.linalg.lstsq(points, _PLACES, rcond=None)[0].T


def front_view(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """[64,64] uint8: the face by an affine map that takes its features to fixed places.

    Args:
        frame: [H,W,3] uint8 RGB.
        landmarks: [478,2 px].
    """
    matrix = (_SIDE - 1) * upright(landmarks)
    left, top = np.maximum(landmarks.min(0) - 4, 0).astype(int)
    right, bottom = landmarks.max(0).astype(int) + 5
    piece = frame[top:bottom, left:right]
    if min(piece.shape[:2]) < 8:
        return np.zeros((_SIDE, _SIDE), np.uint8)
    grey = cv2.cvtColor(np.ascontiguousarray(piece), cv2.COLOR_RGB2GRAY)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:  # the warp does not filter
        grey = cv2.GaussianBlur(grey, (0, 0), max(0.3, 0.4 / scale))
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    return cv2.warpAffine(grey, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)


def changed_share(views: np.ndarray) -> np.ndarray:
    """[T] share of a face's features that do not show what they usually show.

    Args:
        views: [T,64,64] uint8, see `front_view`.
    """
    usual = _pieces(np.median(views[:: max(1, len(views) // 300)], axis=0))
    alike = np.concatenate([(_pieces(views[at:at + _CHUNK]) * usual).sum(-1) for at in range(0, len(views), _CHUNK)])
    spread = _pieces(np.median(views[:: max(1, len(views) // 300)], axis=0), normalise=False).std(-1)
    used = (spread > _CONTRAST) & (np.median(alike, axis=0) > _ALIKE)
    return (alike[:, used] < _UNLIKE).mean(1) if used.any() else np.zeros(len(views))


def _pieces(views: np.ndarray, normalise: bool = True) -> np.ndarray:
    """[...,64,64] to [...,49,256]: overlapping windows, of zero mean and unit length."""
    windows = np.lib.stride_tricks.sliding_window_view(views, (_WINDOW, _WINDOW), axis=(-2, -1))
    windows = windows[..., ::_STRIDE, ::_STRIDE, :, :].astype(np.float32)
    pieces = windows.reshape(*windows.shape[:-4], -1, _WINDOW * _WINDOW)
    if not normalise:
        return pieces
    pieces = pieces - pieces.mean(-1, keepdims=True)
    return pieces / np.maximum(np.linalg.norm(pieces, axis=-1, keepdims=True), 1.0)


def skin_colours(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """[P,3] float32 8-bit Lab, each the mean around one of the `SKIN` landmarks.

    Args:
        frame: [H,W,3] uint8 RGB.
        landmarks: [478,2 px].
    """
    oval = landmarks[FACE_OVAL]
    height, width = frame.shape[:2]
    low = np.clip(oval.min(0).astype(int), 0, [width - 1, height - 1])
    high = np.clip(oval.max(0).astype(int) + 1, low + 1, [width, height])
    face = frame[low[1]:high[1], low[0]:high[0]]
    scale = min(1.0, 96 / max(face.shape[:2]))
    face = cv2.resize(face, (max(1, round(face.shape[1] * scale)), max(1, round(face.shape[0] * scale))),
                      interpolation=cv2.INTER_AREA)
    side = max(1, round(0.07 * len(face)))
    lab = cv2.blur(cv2.cvtColor(face, cv2.COLOR_RGB2LAB), (side, side)).astype(np.float32)
    at = np.floor((landmarks[SKIN] - low) * scale).astype(int).clip(0, [lab.shape[1] - 1, lab.shape[0] - 1])
    return lab[at[:, 1], at[:, 0]]


def odd_share(colours: np.ndarray) -> np.ndarray:
    """[T] share of the skin points whose colour is far from what the same point usually has.

    Args:
        colours: [T,P,3], see `skin_colours`.
    """
    change = colours - np.median(colours, axis=0)
    change -= np.median(change, axis=1, keepdims=True)  # light that changes for the whole face
    change[..., 0] *= 0.5  # shading comes and goes as the head turns
    return (np.linalg.norm(change, axis=-1) > _ODD).mean(1)
