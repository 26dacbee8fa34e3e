"""Gaze as an angle, and as the ARKit weights that turn the eyes."""
from __future__ import annotations

import numpy as np

from ..types import EXPRESSIONS
from .arkit import indices

# Gaze of the bundled basis at weight 1 of both eyes [rad]: sideways, up, down.
SIDEWAYS, UP, DOWN = np.radians([27.0, 13.0, 19.0])
# The person's left is the image's right: looking to image right turns the left eye out and the right eye in.
_RIGHT, _LEFT = indices("eyeLookOutLeft", "eyeLookInRight"), indices("eyeLookInLeft", "eyeLookOutRight")
_UP, _DOWN = indices("eyeLookUp*"), indices("eyeLookDown*")


def gaze_weights(gaze: np.ndarray) -> np.ndarray:
    """[T, 52] ARKit weights that turn the eyes by `gaze`, zero but for eyeLook*; above 1 beyond what they can do.

    Args:
        gaze: [T, 2] yaw to the image's right and pitch up, relative to the head [rad].
    """
    weights = np.zeros((len(gaze), EXPRESSIONS), np.float32)
    for names, angle, full in ((_RIGHT, gaze[:, 0], SIDEWAYS), (_LEFT, -gaze[:, 0], SIDEWAYS),
                               (_UP, gaze[:, 1], UP), (_DOWN, -gaze[:, 1], DOWN)):
        weights[:, names] = np.maximum(0, angle / full)[:, None]
    return weights


def turned_eyes(expression: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """ARKit weights [T, 52] with the eyes turned further by `gaze` [T, 2] [rad]; of opposite looks the stronger stays,
    less the other."""
    out = expression + gaze_weights(gaze)
    for one, other, ratio in ((_RIGHT, _LEFT, 1.0), (_UP, _DOWN, DOWN / UP)):
        for a, b in zip(one, other):
            net = out[:, a] - ratio * out[:, b]
            out[:, a], out[:, b] = np.maximum(net, 0), np.maximum(-net / ratio, 0)
    return out


def gaze_of_weights(expression: np.ndarray) -> np.ndarray:
    """[T, 2] float32 gaze [rad], as `gaze_weights` takes it, of ARKit weights [T, 52]: the mean of both eyes."""
    def mean(names: list[int]) -> np.ndarray:
        return expression[:, names].mean(1)

    yaw = SIDEWAYS * (mean(_RIGHT) - mean(_LEFT))
    return np.stack([yaw, UP * mean(_UP) - DOWN * mean(_DOWN)], axis=1).astype(np.float32)
