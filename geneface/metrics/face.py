"""Measures on landmarks that were detected anew on render and truth.

Everywhere: landmarks [478,2] or [T,478,2] in px at 512 scale, NaN for a frame without a face.
"""
from __future__ import annotations

import numpy as np

from ..face import landmarks as sets
from ..types import LANDMARKS

# Points that move with the skull rather than with speech: bridge of the nose, corners of the eyes, top of
# the forehead.
STEADY = np.concatenate(
    [sets.NOSE[:4], sets.EYE_RIGHT_UPPER[[0, -1]], sets.EYE_LEFT_UPPER[[0, -1]], sets.FACE_OVAL[:1]]
)

MISSING = np.full((LANDMARKS, 2), np.nan, np.float32)
"""Stands for a face that was not found."""


def lip_distance_px(landmarks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance of MediaPipe's 40 lip points, where they are in the picture: [...,478,2] -> [...] px."""
    return np.linalg.norm(landmarks[..., sets.LIPS, :] - truth[..., sets.LIPS, :], axis=-1).mean(axis=-1)


def lip_shape_px(landmarks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`lip_distance_px` after both lips' centres are laid on each other: the shape of the mouth alone.

    After the landmark distance (LMD) of Chen et al., "Lip movements generation at a glance" (2018), which
    also removes the mouth's place in the picture; theirs uses another detector, so figures differ.
    """
    lips, true_lips = landmarks[..., sets.LIPS, :], truth[..., sets.LIPS, :]
    lips = lips - lips.mean(axis=-2, keepdims=True)
    true_lips = true_lips - true_lips.mean(axis=-2, keepdims=True)
    return np.linalg.norm(lips - true_lips, axis=-1).mean(axis=-1)


def jitter_px(landmarks: np.ndarray) -> float | None:
    """How much the head trembles: RMS second difference over time of the `STEADY` points [px per frame^2].

    Smooth head motion has small second differences, whatever its speed; frame-to-frame shake has large
    ones. Landmark detection adds a floor of its own, so judge a render by the ratio to its truth.

    Args:
        landmarks: [T,478,2]; triples of frames with a missing one are left out.

    Returns:
        None without any three consecutive frames.
    """
    if len(landmarks) < 3:
        return None
    second = np.diff(landmarks[:, STEADY].astype(np.float64), n=2, axis=0)
    squared = np.square(second).sum(axis=-1)
    squared = squared[np.isfinite(squared).all(axis=-1)]
    return float(np.sqrt(squared.mean())) if squared.size else None


def mouth_box(landmarks: np.ndarray, width: int, height: int) -> tuple[slice, slice]:
    """Square window around the mouth, inside the picture: twice as wide as the lips, at least 64 px.

    Args:
        landmarks: [478,2] of one frame.
        width, height: size of the picture [px].

    Returns:
        slices of rows and columns.
    """
    lips = landmarks[sets.LIPS]
    centre = (lips.min(axis=0) + lips.max(axis=0)) / 2
    side = min(int(round(max(64.0, 2 * float(np.ptp(lips, axis=0).max())))), width, height)
    left = int(np.clip(round(centre[0] - side / 2), 0, width - side))
    top = int(np.clip(round(centre[1] - side / 2), 0, height - side))
    return slice(top, top + side), slice(left, left + side)
