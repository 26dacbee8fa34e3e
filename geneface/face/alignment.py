"""Landmarks of somebody, in axes and units of their own, brought to head space: pose and shape taken out.

A clip's 3D landmarks have one scale; the head's turns and places are taken out of every frame, and what the person's
face is like, apart from what it does, is found on frames spread over the clip. Image landmarks of an unknown camera are
taken as seen from afar (scaled orthography), which errs by a few per cent for a face filling a picture.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import CameraTrack
from . import landmarks as lm
from .basis import FaceBasis, load_basis
from .solve import solve_landmarks

_SAMPLE = 64
_SHIFT = 0.006  # standard deviation of what identity coefficients lack of a person, by landmark [m]
_MISS = 0.003  # of landmarks averaged over a clip, which err alike in all frames [m]
_FAR = 12.0  # focal length in image sides of the camera that stands in for scaled orthography
_STEADY_S = 0.05  # standard deviation of the window that poses from images are averaged over [s]


@dataclass(frozen=True)
class Pose:
    """points = scale * rotation . model + translation, by frame: rotation [T,3,3], scale [T], translation [T,3]."""

    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray

    def undone(self, points: np.ndarray) -> np.ndarray:
        """Points [T,L,3] back in the model's axes and unit."""
        return (points - self.translation[:, None]) @ self.rotation / self.scale[:, None, None]


def fit_pose(model: np.ndarray, points: np.ndarray, trust: np.ndarray, one_scale: bool = False) -> Pose:
    """Least-squares rotation, scale and translation (Umeyama 1991).

    Args:
        model: [L,3] or [T,L,3].
        points: [T,L,3].
        trust: [L].
        one_scale: the same scale in all frames, the median of theirs.
    """
    model = np.broadcast_to(model, points.shape)
    share = trust / trust.sum()
    centre, middle = np.einsum("l,tlc->tc", share, model), np.einsum("l,tlc->tc", share, points)
    about, seen = model - centre[:, None], points - middle[:, None]
    left, size, right = np.linalg.svd(np.einsum("l,tli,tlj->tij", share, seen, about))
    sign = np.ones_like(size)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))  # a rotation, not a reflection
    rotation = (left * sign[:, None]) @ right
    scale = (size * sign).sum(-1) / np.maximum(np.einsum("l,tlc->t", share, about**2), 1e-12)
    if one_scale and len(scale):
        scale = np.full(len(scale), np.median(scale))
    scale = np.maximum(scale, 1e-12)
    return Pose(rotation, scale, middle - scale[:, None] * np.einsum("tij,tj->ti", rotation, centre))


def to_head_space(landmarks: np.ndarray, basis: FaceBasis | None = None) -> tuple[np.ndarray, np.ndarray]:
    """3D landmarks of any person, in any axes and unit, in head space.

    Args:
        landmarks: [T,68,3], right-handed; T at least 1.

    Returns:
        [T,68,3] the landmarks of the person's head in head space, as large as a mean head [m], and [68,3] the same at
        rest, for `solve.solve_landmarks`.
    """
    basis = basis or load_basis()
    parts = (part[..., lm.MEDIAPIPE_TO_68, :].astype(np.float64) for part in basis.landmark_basis)
    mean, by_identity, by_expression = parts
    trust = rigid_trust()
    sample = landmarks[np.unique(np.linspace(0, len(landmarks) - 1, min(len(landmarks), _SAMPLE)).round().astype(int))]
    neutral, moved = mean, np.zeros(1)
    flat = by_identity.reshape(len(by_identity), -1)
    # Identity and free shifts together explain what is left: a Gaussian with both for its covariance.
    covariance = flat.T @ flat + _SHIFT**2 * np.eye(flat.shape[1])
    gain = covariance @ np.linalg.inv(covariance + _MISS**2 * np.eye(len(covariance)))
    for _ in range(6):
        aligned = fit_pose(neutral + moved, sample, trust, True).undone(sample)
        moved = np.tensordot(solve_landmarks(aligned, 25.0, neutral, 0.001, basis).expression, by_expression, 1)
        own = ((aligned - moved).mean(0) - mean).ravel()
        neutral = _lips_closed(mean + (gain @ own).reshape(68, 3))
    pose = fit_pose(neutral, landmarks, trust, True)
    return pose.undone(landmarks), neutral


def image_camera(
    landmarks: np.ndarray, width: int, height: int, fps: float, basis: FaceBasis | None = None,
) -> CameraTrack:
    """A camera far away, and the head's pose before it, for image landmarks of an unknown camera.

    Args:
        landmarks: [T,68,2] or [T,468 or 478,2] [px]; T at least 1.
        width, height: of the image [px].
    """
    from scipy.ndimage import gaussian_filter1d

    basis = basis or load_basis()
    if landmarks.shape[1] != 68:
        landmarks = landmarks[:, lm.MEDIAPIPE_TO_68]
    model = basis.seen_landmarks[0][lm.MEDIAPIPE_TO_68]
    trust = rigid_trust()
    depth = np.broadcast_to(model[:, 2], landmarks.shape[:2])
    scale = np.maximum(np.sqrt(landmarks.var(1).sum(-1) / model[:, :2].var(0).sum()), 1e-9)
    for _ in range(30):  # a landmark's depth is the model's own, turned as the last round found it
        pose = fit_pose(model, np.concatenate([landmarks, (depth * scale[:, None])[..., None]], -1), trust)
        depth, scale = (model @ pose.rotation.transpose(0, 2, 1))[..., 2], pose.scale
    steady = max(_STEADY_S * fps, 1e-3)
    left, _, right = np.linalg.svd(gaussian_filter1d(pose.rotation, steady, axis=0, mode="nearest"))
    rotation = left @ right
    scale = np.exp(gaussian_filter1d(np.log(scale), steady, mode="nearest"))
    share = trust / trust.sum()
    turned = np.einsum("tij,j->ti", rotation, share @ model)
    place = gaussian_filter1d(np.einsum("l,tlc->tc", share, landmarks), steady, axis=0, mode="nearest")
    focal = _FAR * max(width, height)
    centre = np.array([width / 2, height / 2])
    head = np.tile(np.eye(4), (len(landmarks), 1, 1))
    head[:, :3, :3] = rotation
    head[:, :2, 3] = (place - centre) / scale[:, None] - turned[:, :2]
    head[:, 2, 3] = focal / scale - turned[:, 2]
    return CameraTrack(np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]]), head, width, height, fps)


def looks_like_a_face(points: np.ndarray, basis: FaceBasis | None = None) -> bool:
    """Whether [68,3] points are a face in some axes and unit: turned and scaled, most of them fit the mean head."""
    mean = (basis or load_basis()).landmarks68(None).astype(np.float64)
    seen = points.astype(np.float64)[None]
    left = fit_pose(mean, seen, np.ones(68)).undone(seen)[0] - mean
    return bool(np.isfinite(left).all() and (left**2).sum() < 0.1 * ((mean - mean.mean(0)) ** 2).sum())


def rigid_trust() -> np.ndarray:
    """[68] trust in each landmark to move with the skull: nose and eye corners most, lips hardly."""
    trust = np.full(68, 0.02)
    trust[np.concatenate([lm.JAW_68, lm.BROWS_68])] = 0.05
    trust[lm.EYES_68] = 0.1
    trust[np.concatenate([lm.NOSE_68, [36, 39, 42, 45]])] = 1.0
    return trust


def _lips_closed(neutral: np.ndarray) -> np.ndarray:
    """[68,3] with the inner lips together: what opens them is expression."""
    result = neutral.copy()
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        result[[upper, lower]] = neutral[[upper, lower]].mean(0)
    return result
