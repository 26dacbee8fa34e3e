"""ARKit weights from landmarks: bounded, temporally smooth least squares on the head basis.

The weights of a clip minimise

    sum over frames and landmarks  trust . |landmark - basis(weights)|^2 / noise^2
    + sum over frames and weights  (weight / spread)^2
    + sum over frames and weights  (change since the last frame / step)^2      with every weight in [0,1].

The noise of 3D landmarks is measured: it follows from what the basis leaves of them. So exact landmarks give the exact
weights of all expressions that they show, and others give weights as calm as they deserve. What landmarks do not show
stays at 0, which is where `spread` pulls: tongueOut always; gaze, cheekPuff, jawForward and much of the lids' other
movements where 68 points are noisy. `observability` says how far each weight is determined.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import CANONICAL_LANDMARKS, EXPRESSIONS, LANDMARKS, CameraTrack, MotionSequence
from . import landmarks as lm
from .arkit import GAZE, MOUTH, indices
from .basis import FaceBasis, load_basis, view_direction
from .bounded import bounded, overlapping

_OUTER_CORNERS_68 = (36, 45)
_NOISE = (1e-6, 3e-3)  # what the noise of 3D landmarks is kept between: rounding of files, and faces of nobody [m]
_SHARED = 3.0  # that over what is left of them: neighbours err together, and weights take up most of it
_DETECTED = 0.0015  # standard deviation of detected landmarks, model error included, as the tracker has it [m]
_SAMPLE = 48  # frames on which noise and shape are measured
_CHUNK = 64  # frames whose derivatives are made at a time: they stay in the processor's cache
_GAP = 9.0  # a gap's precision over its points': both edges of lips or lids err together (the tracker's 1.5 and 0.5 mm)
_SHIFT = 0.006  # standard deviation of what the basis lacks of a person, by landmark [m]


@dataclass(frozen=True)
class Solved:
    """Weights, and what they leave unsaid.

    Attributes:
        expression: [T,52] float32 weights in [0,1].
        missed: [T,L,3] the landmarks less those of the weights [m], or [T,L,2] in the image [px].
        size: [T] distance of the outer eye corners at rest, in the same unit.
        neutral: [L,3] the person's landmarks at rest in head space [m].
    """

    expression: np.ndarray
    missed: np.ndarray
    size: np.ndarray
    neutral: np.ndarray

    @property
    def residual(self) -> np.ndarray:
        """[T] mean distance of the landmarks from those of the weights, over that of the outer eye corners."""
        return np.linalg.norm(self.missed, axis=-1).mean(-1) / np.maximum(self.size, 1e-9)


def solve_landmarks(
    landmarks: np.ndarray, fps: float, neutral: np.ndarray | None = None, noise: float | None = None,
    basis: FaceBasis | None = None,
) -> Solved:
    """Weights of 3D landmarks in head space.

    Args:
        landmarks: [T,68,3] iBUG, or [T,468 or 478,3] MediaPipe points on the skin, in head space [m].
        fps: frames per second.
        neutral: [L,3] the same points of the same head at rest [m]; None for canonical landmarks, which lie
            on the basis' mean identity. `alignment.to_head_space` finds it for other heads.
        noise: standard deviation of a coordinate, model error included [m]; None to measure it.

    Raises:
        ValueError: shapes that do not fit.
    """
    basis = basis or load_basis()
    points = _points(landmarks, 3)
    mean, _, expression = (part[..., points, :].astype(np.float64) for part in basis.landmark_basis)
    neutral = mean if neutral is None else np.asarray(neutral, np.float64)
    if neutral.shape != landmarks.shape[1:]:
        raise ValueError(f"neutral: expected shape {landmarks.shape[1:]}, got {neutral.shape}")
    parts = expression.reshape(len(expression), neutral.size)  # [52,3L]
    data, beliefs = parts @ parts.T, _Beliefs.at(fps)
    moved = (landmarks - neutral).reshape(len(landmarks), parts.shape[1])
    if noise is None:
        noise = _noise(moved[_spread(len(moved))], parts, beliefs)
    weights = bounded(data / noise**2 + beliefs.precision, moved @ parts.T / noise**2, beliefs.tie)
    missed = (moved - weights @ parts).reshape(*landmarks.shape)
    size = np.full(len(missed), _eye_distance(neutral))
    return Solved(weights.astype(np.float32), missed, size, neutral.astype(np.float32))


def _noise(moved: np.ndarray, parts: np.ndarray, beliefs: "_Beliefs") -> float:
    """Standard deviation of coordinates [T,3L] that weights of `parts` [52,3L] are to explain [m]."""
    noise = _NOISE[1] / 3
    for _ in range(7 if len(moved) else 0):  # a smaller noise bends the weights less to rest, which shows a smaller one
        weights = bounded(parts @ parts.T / noise**2 + beliefs.precision, moved @ parts.T / noise**2, 0 * beliefs.tie)
        before, noise = noise, float(np.clip(_SHARED * np.sqrt(np.mean((moved - weights @ parts) ** 2)), *_NOISE))
        if abs(noise - before) < 0.05 * before:
            break
    return noise


def solve_image(
    landmarks: np.ndarray, camera: CameraTrack, identity: np.ndarray | None = None, shifts: np.ndarray | None = None,
    basis: FaceBasis | None = None,
) -> Solved:
    """Weights of MediaPipe's landmarks in the images of a known camera, with its known errors allowed for.

    Args:
        landmarks: [T,478,2], without irises [T,468,2], or the 68 iBUG points [T,68,2] [px].
        camera: intrinsics, and the head's pose in every frame.
        identity: [K] the person's coefficients on the basis; None for the mean identity.
        shifts: [L,3] what the basis lacks of this person [m]; None to measure it in the clip.

    Raises:
        ValueError: shapes that do not fit.
    """
    basis = basis or load_basis()
    points = _points(landmarks, 2)
    if len(camera) != len(landmarks):
        raise ValueError(f"camera: {len(camera)} frames, but there are landmarks of {len(landmarks)}")
    seen = _Seen(landmarks.astype(np.float64), camera, identity, points, basis)
    beliefs = _Beliefs.at(camera.fps)
    if shifts is None:
        shifts = seen.person(_spread(len(landmarks)), beliefs)
    elif shifts.shape != seen.neutral.shape:
        raise ValueError(f"shifts: expected shape {seen.neutral.shape}, got {shifts.shape}")
    weights, neutral = np.empty((len(landmarks), EXPRESSIONS)), seen.neutral + shifts
    for kept, wide in overlapping(len(landmarks), 2048):  # in bounded memory
        quadratic, linear = seen.normal(np.arange(wide.start, wide.stop), shifts)
        solved = bounded(quadratic + beliefs.precision, linear, beliefs.tie)
        weights[kept] = solved[kept.start - wide.start:kept.stop - wide.start]
    return Solved(weights.astype(np.float32), *seen.missed(weights, shifts), neutral.astype(np.float32))


def arkit_residual(motion: MotionSequence) -> float:
    """Mean distance of a motion's landmarks from those that its weights make, over that of the outer eye corners.

    0 for motion made of weights; for motion from landmarks, what weights cannot say of it.
    """
    if not len(motion):
        return 0.0
    basis = load_basis()
    missed = motion.landmarks - basis.landmarks68(motion.expression)
    return float(np.linalg.norm(missed, axis=-1).mean() / _eye_distance(basis.landmarks68(None)))


def observability(points: int = CANONICAL_LANDMARKS, noise: float = 1e-4, basis: FaceBasis | None = None) -> np.ndarray:
    """[52] how far 3D landmarks of this noise [m] determine each weight: 0 not at all, 1 wholly.

    The share of its prior variance that seeing one frame of the 68 or 478 `points` takes away.
    """
    basis = basis or load_basis()
    which = lm.MEDIAPIPE_TO_68 if points == CANONICAL_LANDMARKS else np.arange(LANDMARKS)
    parts = basis.landmark_basis[2][:, which].reshape(-1, 3 * len(which)).astype(np.float64)
    prior = _Beliefs.at(25.0).precision
    after = np.linalg.inv(parts @ parts.T / noise**2 + prior)
    return 1 - np.diag(after) / np.diag(np.linalg.inv(prior))


@dataclass(frozen=True)
class _Beliefs:
    """What is known of weights before any landmark is seen.

    Attributes:
        precision: [52,52] of their distance from rest.
        tie: [52] precision of their change from frame to frame.
    """

    precision: np.ndarray
    tie: np.ndarray

    @classmethod
    def at(cls, fps: float) -> "_Beliefs":
        """With changes of so many frames per second: a random walk, whose variance grows with time."""
        spread, step = np.full(52, 0.5), np.full(52, 0.08)  # standard deviations; of the change in 1/25 s
        spread[indices("mouthClose", "jawForward", "cheekPuff")] = 0.2  # rare, and easily taken for others
        spread[indices("tongueOut")] = 0.01
        step[list(MOUTH)] = 0.12
        step[indices("eyeBlink*")] = 0.4
        step[list(GAZE)] = 0.15
        precision = np.diag(spread**-2)
        for a, b, strength in (
            ("eyeLookInLeft", "eyeLookOutRight", 30), ("eyeLookOutLeft", "eyeLookInRight", 30),  # eyes turn together
            ("eyeLookUpLeft", "eyeLookUpRight", 30), ("eyeLookDownLeft", "eyeLookDownRight", 30),
            ("eyeBlinkLeft", "eyeBlinkRight", 5),
        ):
            i, j = indices(a, b)
            precision[[i, j], [i, j]] += strength
            precision[[i, j], [j, i]] -= strength
        return cls(precision, fps / 25 / step**2)


class _Seen:
    """Image landmarks as rows that are linear in the weights: a landmark X is seen at x, of focal length f and
    principal point c, where (R X + t)_xy - (x - c) / f (R X + t)_z = 0. Rows are in metres at the landmark's depth."""

    def __init__(
        self, landmarks: np.ndarray, camera: CameraTrack, identity: np.ndarray | None, points: np.ndarray,
        basis: FaceBasis,
    ) -> None:
        mean, by_identity, self.parts, slopes = (part[..., points, :] for part in basis.seen_landmarks)
        coefficients = np.zeros(len(by_identity)) if identity is None else np.asarray(identity, np.float64)
        if coefficients.shape != (len(by_identity),):
            raise ValueError(f"identity: expected {len(by_identity)} coefficients, got shape {coefficients.shape}")
        self.neutral = mean + np.tensordot(coefficients, by_identity, 1)
        pose = camera.head_to_camera.astype(np.float64)
        self.rotation, self.translation = pose[:, :3, :3], pose[:, :3, 3]
        self.slid = np.einsum("tv,vlc->tlc", view_direction(self.rotation, self.translation), slopes)
        self.landmarks, self.camera = landmarks, camera
        trust = lm.landmark_trust()[points]
        self.noise = _DETECTED * (1 if len(points) == CANONICAL_LANDMARKS else 2)  # so dense, four count as one
        self.used = np.flatnonzero(trust)
        self.trust = trust[self.used]
        place = {point: i for i, point in enumerate(points[self.used])}
        facing = np.concatenate([lm.LIPS_APART, lm.LIDS_APART])
        self.gaps = np.array([[place[a], place[b]] for a, b in facing if a in place and b in place])
        self.lips = np.array([[place[a], place[b]] for a, b in lm.LIPS_APART if a in place and b in place])

    def rows(self, frames, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is left to say of the used landmarks at rest [T,2,L] [m], and the projector [T,2,L,3] of points in head
        space to the same."""
        focal, centre = self.camera.intrinsics[[0, 1], [0, 1]], self.camera.intrinsics[:2, 2]
        rays = ((self.landmarks[frames][:, self.used] - centre) / focal).transpose(0, 2, 1)  # [T,2,L]
        rotation, translation = self.rotation[frames], self.translation[frames]
        projector = rotation[:, :2, None] - rays[..., None] * rotation[:, 2][:, None, None]
        rest = (self.neutral + shifts + self.slid[frames])[:, self.used]
        across = translation[:, :2, None] - rays * translation[:, 2, None, None]
        return -(np.einsum("tdlc,tlc->tdl", projector, rest) + across), projector

    def normal(self, frames: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Quadratic [T,52,52] and linear term [T,52] of frames."""
        count = len(self.parts)
        parts = np.ascontiguousarray(self.parts[:, self.used].transpose(1, 2, 0))  # [L,3,52]
        quadratic, linear = np.empty((len(frames), count, count)), np.empty((len(frames), count))
        trust = np.sqrt(np.concatenate([self.trust, _GAP * np.ones(len(self.gaps))])).astype(np.float32)
        one, other = self.gaps.T
        for first in range(0, len(frames), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            left, projector = self.rows(frames[chunk], shifts)
            by = np.einsum("tdlc,lcn->tdln", projector.astype(np.float32), parts.astype(np.float32), optimize=True)
            by = np.concatenate([by, by[:, :, one] - by[:, :, other]], 2) * trust[:, None]
            left = np.concatenate([left, left[..., one] - left[..., other]], -1) * trust
            by, left = by.reshape(len(by), -1, count), left.reshape(len(by), -1).astype(np.float32)
            quadratic[chunk] = by.transpose(0, 2, 1) @ by
            linear[chunk] = (left[:, None] @ by)[:, 0]
        return quadratic / self.noise**2, linear / self.noise**2

    def person(self, sample: np.ndarray, beliefs: _Beliefs) -> np.ndarray:
        """What the basis lacks of the person [L,3], of frames spread over the clip."""
        shifts = np.zeros_like(self.neutral)
        for _ in range(4 if len(sample) else 0):
            quadratic, linear = self.normal(sample, shifts)
            weights = bounded(quadratic + beliefs.precision, linear, 0 * beliefs.tie, 3)
            left, projector = self.rows(sample, shifts)
            left -= np.einsum("tdlc,tlc->tdl", projector, np.tensordot(weights, self.parts[:, self.used], 1))
            shifts = self._shifted(shifts, left, projector)
        return shifts

    def _shifted(self, shifts: np.ndarray, left: np.ndarray, projector: np.ndarray) -> np.ndarray:
        """Shifts that also take up what is left [T,2,L] in all frames alike."""
        share = 1 / len(left) / self.noise**2  # frames of one clip err alike: all of them count as one
        total = np.einsum("tdli,tdlj->lij", projector, projector) * share + np.eye(3) / _SHIFT**2
        right = np.einsum("tdli,tdl->li", projector, left) * share - shifts[self.used] / _SHIFT**2
        result = shifts.copy()
        result[self.used] += np.linalg.solve(total, right[..., None])[..., 0]
        # A constant gap between the lips would be a mouth that never closes: what opens them is expression.
        pairs = self.used[self.lips]
        shape = (self.neutral + result)[pairs]
        result[pairs] += shape.mean(1, keepdims=True) - shape
        return result

    def missed(self, weights: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[T,L,2] the landmarks less the projected ones, and [T] the distance of the outer eye corners there [px]."""
        one, other = _corners(len(self.neutral))
        missed, size = np.empty_like(self.landmarks), np.empty(len(weights))
        intrinsics = self.camera.intrinsics.astype(np.float64)
        for first in range(0, len(weights), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            points = self.neutral + shifts + self.slid[chunk] + np.tensordot(weights[chunk], self.parts, 1)
            image = (points @ self.rotation[chunk].transpose(0, 2, 1) + self.translation[chunk, None]) @ intrinsics.T
            image = image[..., :2] / image[..., 2:]
            missed[chunk] = self.landmarks[chunk] - image
            size[chunk] = np.linalg.norm(image[:, one] - image[:, other], axis=-1)
        return missed, size


def _points(landmarks: np.ndarray, axes: int) -> np.ndarray:
    """Which of MediaPipe's points [L] landmarks [T,L,axes] are."""
    if landmarks.ndim != 3 or landmarks.shape[1] not in (68, 468, 478) or landmarks.shape[2] != axes:
        raise ValueError(f"landmarks: expected shape (frames, 68, 468 or 478, {axes}), got {landmarks.shape}")
    return lm.MEDIAPIPE_TO_68 if landmarks.shape[1] == 68 else np.arange(landmarks.shape[1])


def _spread(count: int) -> np.ndarray:
    """Up to `_SAMPLE` frames, spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).round().astype(int))


def _corners(points: int) -> np.ndarray:
    """[2] the outer eye corners among 68 or MediaPipe's points."""
    corners = np.array(_OUTER_CORNERS_68)
    return corners if points == CANONICAL_LANDMARKS else lm.MEDIAPIPE_TO_68[corners]


def _eye_distance(points: np.ndarray) -> float:
    """Distance of the outer eye corners of [L,3], in its unit."""
    one, other = points[_corners(len(points))]
    return float(np.linalg.norm(one - other))
