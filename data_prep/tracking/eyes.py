"""Eyelids and gaze, read off a fitted face."""
from __future__ import annotations

import numpy as np

from geneface.face import landmarks as lm
from geneface.face.basis import FaceBasis


def eye_openness(aspect: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """[T,2] eyelid opening relative to the person's own open eye, so narrow eyes open as far as wide ones.

    Open is the 80th percentile of the clip; closed is the clip's lowest, but at most 40 % of open where nobody blinks.

    Args:
        aspect: [T,2] opening of the lids over the eye's width (`landmarks.eye_aspect`).
        valid: [T] bool, frames that count.
    """
    wide = np.quantile(aspect[valid], 0.8, axis=0)
    shut = np.clip(np.quantile(aspect[valid], 0.005, axis=0), 0.1 * wide, 0.4 * wide)
    return np.clip((aspect - shut) / np.maximum(wide - shut, 1e-6), 0, 1).astype(np.float32)


def gaze_angles(basis: FaceBasis, expression: np.ndarray) -> np.ndarray:
    """[T,2] gaze yaw (positive to the image's right) and pitch (positive up) relative to the head [rad].

    From the shift of the iris centres over the radius of rotation of the human eye, mean of both eyes.
    """
    radius = 0.012  # centre of rotation to iris (Fry and Hill 1962: 13.5 mm to the cornea) [m]
    iris = basis.landmark_basis[2][:, [lm.IRIS_RIGHT[0], lm.IRIS_LEFT[0]]].mean(1)  # [52,3]
    shift = expression @ iris
    angles = np.arcsin(np.clip(np.stack([shift[:, 0], -shift[:, 1]], 1) / radius, -0.95, 0.95))
    return angles.astype(np.float32)
