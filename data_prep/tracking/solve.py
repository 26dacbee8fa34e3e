"""The least-squares problem behind tracking: a linear head seen by a pinhole camera.

With the image point x, the focal length f and the principal point c, a landmark X of the head is seen at x when

    (R X + t)_xy - (x - c) / f * (R X + t)_z = 0

which is linear in translation, expression and identity, and measures the miss in metres at the landmark's depth, so
weights and priors mean the same at every image size. Rotations are updated by Gauss-Newton (R <- exp(d) R).
Frames only meet in identity and focal length; those are found jointly by eliminating every frame's own unknowns
(Schur complement), as bundle adjustment does (Triggs et al. 2000).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneface.face.basis import view_direction

POSE = 6  # rotation, translation


@dataclass
class Frames:
    """Per-frame unknowns: rotation [T,3,3], translation [T,3] (m), expression [T,52]."""

    rotation: np.ndarray
    translation: np.ndarray
    expression: np.ndarray

    def __len__(self) -> int:
        return len(self.rotation)

    def view(self) -> np.ndarray:
        """[T,2] where the camera stands, seen from the head: x and y of the unit vector to it."""
        return view_direction(self.rotation, self.translation)

    def take(self, index) -> "Frames":
        return Frames(self.rotation[index].copy(), self.translation[index].copy(), self.expression[index].copy())


@dataclass
class Head:
    """Unknowns of the person, and the model of the used landmarks.

    Attributes:
        mean: [L,3]; identity_part: [K,L,3]; expression_part: [52,L,3] (m).
        view_part: [2,L,3] how landmarks slide as the head is seen from its left (x > 0) or from below (y > 0) (m).
        identity: [K]; offsets: [L,3] what the basis cannot express about this person (m).
        focal: [px]; centre: [2] principal point (px).
    """

    mean: np.ndarray
    identity_part: np.ndarray
    expression_part: np.ndarray
    view_part: np.ndarray
    identity: np.ndarray
    offsets: np.ndarray
    focal: float
    centre: np.ndarray

    def neutral(self) -> np.ndarray:
        """[L,3]."""
        return self.mean + np.tensordot(self.identity, self.identity_part, 1) + self.offsets

    def points(self, frames: Frames) -> np.ndarray:
        """[T,L,3] landmarks in head space."""
        parts = np.concatenate([self.expression_part, self.view_part])
        weights = np.concatenate([frames.expression, frames.view()], 1)
        return self.neutral() + (weights @ parts.reshape(len(parts), -1)).reshape(len(frames), -1, 3)


@dataclass
class Linear:
    """Residuals and their derivatives at the current estimate, float32.

    Attributes:
        miss: [T,2L] residuals (m), x then y.
        projector: [T,2L,3] derivative by a shift of the landmark in head space.
        pose: [T,2L,6] derivative by rotation and translation.
        focal: [T,2L] derivative by log focal length.
    """

    miss: np.ndarray
    projector: np.ndarray
    pose: np.ndarray
    focal: np.ndarray

    def by(self, part: np.ndarray) -> np.ndarray:
        """Derivative by the coefficients of a linear part [N,L,3]: [T,2L,N]."""
        both = np.concatenate([part, part], 1).astype(np.float32)  # [N,2L,3]
        result = self.projector[..., 0, None] * both[..., 0].T
        for axis in (1, 2):
            result += self.projector[..., axis, None] * both[..., axis].T
        return result


def project(head: Head, frames: Frames) -> np.ndarray:
    """[T,L,2] landmarks in the image [px]."""
    camera = head.points(frames) @ frames.rotation.transpose(0, 2, 1) + frames.translation[:, None]
    return head.focal * camera[..., :2] / camera[..., 2:] + head.centre


def linearise(head: Head, frames: Frames, observed: np.ndarray) -> Linear:
    """Residuals and derivatives for the observed points [T,L,2] (px)."""
    rays = ((observed - head.centre) / head.focal).astype(np.float32)  # [T,L,2]
    rotation = frames.rotation.astype(np.float32)
    translation = frames.translation.astype(np.float32)[:, None]
    turned = head.points(frames).astype(np.float32) @ rotation.transpose(0, 2, 1)
    camera = turned + translation
    x, y = rays[..., 0], rays[..., 1]
    miss = np.concatenate([camera[..., 0] - x * camera[..., 2], camera[..., 1] - y * camera[..., 2]], 1)
    projector = np.concatenate([
        rotation[:, None, 0] - x[..., None] * rotation[:, None, 2],
        rotation[:, None, 1] - y[..., None] * rotation[:, None, 2],
    ], 1)
    px, py, pz = turned[..., 0], turned[..., 1], turned[..., 2]
    zero, one = np.zeros_like(x), np.ones_like(x)
    pose = np.concatenate([
        np.stack([-x * py, pz + x * px, -py, one, zero, -x], -1),
        np.stack([-pz - y * py, y * px, px, zero, one, -y], -1),
    ], 1)
    focal = np.concatenate([x * camera[..., 2], y * camera[..., 2]], 1)
    return Linear(miss, projector, pose, focal)


def exponential(vectors: np.ndarray) -> np.ndarray:
    """[T,3] rotation vectors to [T,3,3] rotation matrices."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vectors).as_matrix()


@dataclass(frozen=True)
class Trust:
    """Precisions of what is observed.

    Attributes:
        points: [L] of each landmark [1/m^2].
        pairs: [P,2] landmarks that face each other over a gap. They err together, so the gap is known better than they.
        gaps: [P] precision of the gap [1/m^2].
    """

    points: np.ndarray
    pairs: np.ndarray
    gaps: np.ndarray


def robust(miss: np.ndarray, precision: np.ndarray, scale: float) -> np.ndarray:
    """[T,2L] square roots of the points' precisions [L], lowered for large misses (Geman and McClure 1987)."""
    half = miss.shape[1] // 2
    squared = miss[:, :half] ** 2 + miss[:, half:] ** 2
    factor = (np.sqrt(precision) * scale**2 / (scale**2 + squared)).astype(np.float32)
    return np.concatenate([factor, factor], 1)


class Weighing:
    """Rows of the least-squares problem times the square roots of their precisions, at the current misses."""

    def __init__(self, trust: Trust, miss: np.ndarray, scale: float) -> None:
        self._points = robust(miss, trust.points, scale)
        half = miss.shape[1] // 2
        self._sides = [np.concatenate([side, side + half]) for side in trust.pairs.T]
        self._gaps = robust(self._across(miss), trust.gaps, scale)

    def _across(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, self._sides[0]] - rows[:, self._sides[1]]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """[T,2L,...] rows of landmarks to [T,2L+2P,...] weighed rows of landmarks, then gaps."""
        shape = (*self._points.shape[:1], -1, *[1] * (rows.ndim - 2))
        return np.concatenate([rows * self._points.reshape(shape), self._across(rows) * self._gaps.reshape(shape)], 1)


def gram(left: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
    """Batched left^T . right in float64: [T,P,A], [T,P,B] -> [T,A,B]; right may be a vector [T,P] -> [T,A]."""
    right = left if right is None else right
    if right.ndim == 2:
        return (left.transpose(0, 2, 1) @ right[..., None])[..., 0].astype(np.float64)
    return (left.transpose(0, 2, 1) @ right).astype(np.float64)


def bounded(quadratic: np.ndarray, linear: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Minimise w.H.w / 2 - g.w over w in [0,1] for every frame.

    Projected Newton steps (Bertsekas 1982) find which weights are at a bound; coordinate descent, which always
    descends, tidies up after them.

    Args:
        quadratic: [T,N,N]; linear: [T,N]; start: [T,N].
    """
    value = np.clip(start, 0, 1)
    diagonal = np.arange(value.shape[1])
    columns = np.ascontiguousarray(quadratic.transpose(1, 0, 2))  # [N,T,N]
    for _ in range(3):
        slope = linear - (quadratic @ value[..., None])[..., 0]
        free = ~(((value <= 0) & (slope < 0)) | ((value >= 1) & (slope > 0)))
        system = quadratic * (free[:, :, None] & free[:, None, :])
        system[:, diagonal, diagonal] += ~free
        value = np.clip(value + np.linalg.solve(system, (slope * free)[..., None])[..., 0], 0, 1)
        slope = linear - (quadratic @ value[..., None])[..., 0]
        for _ in range(2):
            for i, column in enumerate(columns):
                new = np.minimum(np.maximum(value[:, i] + slope[:, i] / column[:, i], 0), 1)
                slope -= (new - value[:, i])[:, None] * column
                value[:, i] = new
    return value


@dataclass
class Prior:
    """Gaussian beliefs about expression: mean [T,52], precision [52], and coupling [52,52] between expressions."""

    mean: np.ndarray
    precision: np.ndarray
    coupling: np.ndarray

    def take(self, index) -> "Prior":
        return Prior(self.mean[index], self.precision, self.coupling)

    def matrix(self) -> np.ndarray:
        return np.diag(self.precision) + self.coupling


def frame_step(
    head: Head, frames: Frames, observed: np.ndarray, trust: Trust, scale: float, prior: Prior,
    move_pose: bool = True,
) -> Frames:
    """One Gauss-Newton step of pose and expression of every frame, with expression kept in [0,1]."""
    lin = linearise(head, frames, observed)
    weigh = Weighing(trust, lin.miss, scale)
    by_expression, miss = weigh(lin.by(head.expression_part)), weigh(lin.miss)
    data = gram(by_expression)
    h_ee = data + prior.matrix()
    # The system is set up for the new expression itself, not its change, so that bounds and prior apply to it.
    g_e = (data @ frames.expression[..., None])[..., 0] - gram(by_expression, miss) + prior.mean * prior.precision
    if not move_pose:
        return Frames(frames.rotation, frames.translation, bounded(h_ee, g_e, frames.expression))
    pose = weigh(lin.pose)
    h_pp, h_pe = gram(pose), gram(pose, by_expression)
    g_p = (h_pe @ frames.expression[..., None])[..., 0] - gram(pose, miss)
    solved = np.linalg.solve(h_pp, np.concatenate([h_pe, g_p[..., None]], -1))
    coupled = h_pe.transpose(0, 2, 1) @ solved
    expression = bounded(h_ee - coupled[..., :-1], g_e - coupled[..., -1], frames.expression)
    step = solved[..., -1] - (solved[..., :-1] @ expression[..., None])[..., 0]
    return Frames(exponential(step[:, :3]) @ frames.rotation, frames.translation + step[:, 3:], expression)


def pose_step(head: Head, frames: Frames, observed: np.ndarray, trust: Trust, scale: float) -> Frames:
    """One Gauss-Newton step of the pose alone."""
    lin = linearise(head, frames, observed)
    root = robust(lin.miss, trust.points, scale)
    pose = lin.pose * root[..., None]
    step = np.linalg.solve(gram(pose) + 1e-9 * np.eye(POSE), -gram(pose, lin.miss * root)[..., None])[..., 0]
    return Frames(exponential(step[:, :3]) @ frames.rotation, frames.translation + step[:, 3:], frames.expression)


def person_step(
    head: Head, frames: Frames, observed: np.ndarray, trust: Trust, scale: float, prior: Prior,
    identity_precision: float, focal_prior: tuple[float, float] | None, share: float,
) -> None:
    """One Gauss-Newton step of identity and focal length, every frame's pose and expression eliminated. In place.

    Args:
        identity_precision: of the unit-variance prior of each coefficient; 0 leaves the identity as it is.
        focal_prior: (log focal length, precision), or None to leave the focal length as it is.
        share: how much each frame's evidence counts, under 1 since frames of one clip resemble each other.
    """
    lin = linearise(head, frames, observed)
    weigh = Weighing(trust, lin.miss, scale)
    free = (frames.expression > 1e-4) & (frames.expression < 1 - 1e-4)
    own = weigh(np.concatenate([lin.pose, lin.by(head.expression_part) * free[:, None]], -1))
    shared = weigh(np.concatenate([lin.by(head.identity_part), lin.focal[..., None]], -1))
    miss = weigh(lin.miss)
    h_oo, h_os = gram(own), gram(own, shared)
    h_oo[:, POSE:, POSE:] += prior.matrix() * free[:, :, None] * free[:, None, :]
    h_oo[:, np.arange(POSE, h_oo.shape[1]), np.arange(POSE, h_oo.shape[1])] += ~free * 1.0
    g_o, g_s = -gram(own, miss), -gram(shared, miss)
    pull = prior.precision * (prior.mean - frames.expression) - frames.expression @ prior.coupling
    g_o[:, POSE:] += pull * free
    solved = np.linalg.solve(h_oo, np.concatenate([h_os, g_o[..., None]], -1))
    eliminated = (h_os.transpose(0, 2, 1) @ solved).sum(0)
    flat = shared.reshape(-1, shared.shape[-1])
    total = ((flat.T @ flat).astype(np.float64) - eliminated[:, :-1]) * share
    right = (g_s.sum(0) - eliminated[:, -1]) * share
    count = len(head.identity)
    total[np.arange(count), np.arange(count)] += identity_precision
    right[:count] -= identity_precision * head.identity
    keep = np.ones(count + 1, bool)
    if identity_precision == 0:
        keep[:count] = False
    if focal_prior is None:
        keep[count] = False
    else:
        total[count, count] += focal_prior[1]
        right[count] += focal_prior[1] * (focal_prior[0] - np.log(head.focal))
    step = np.zeros(count + 1)
    step[keep] = np.linalg.solve(total[np.ix_(keep, keep)], right[keep])
    step[count] = np.clip(step[count], -0.3, 0.3)
    head.identity = head.identity + step[:count]
    head.focal *= float(np.exp(step[count]))
    own_step = solved[..., -1] - solved[..., :-1] @ step
    frames.rotation = exponential(own_step[:, :3]) @ frames.rotation
    frames.translation = frames.translation + own_step[:, 3:POSE]
    frames.expression = np.clip(frames.expression + own_step[:, POSE:] * free, 0, 1)


def offset_step(
    head: Head, frames: Frames, observed: np.ndarray, trust: Trust, scale: float, precision: float, share: float,
    together: np.ndarray,
) -> None:
    """Least-squares shift of every landmark in head space, held near 0 by `precision`. In place.

    Args:
        together: [P,2] pairs of landmarks that touch in the neutral face.
    """
    lin = linearise(head, frames, observed)
    w = robust(lin.miss, trust.points, scale) ** 2
    half = w.shape[1] // 2
    total = np.zeros((half, 3, 3))
    right = np.zeros((half, 3))
    for rows in (slice(0, half), slice(half, None)):
        a, e, k = lin.projector[:, rows], lin.miss[:, rows], w[:, rows]
        total += share * np.einsum("tli,tlj,tl->lij", a, a, k)
        right -= share * np.einsum("tli,tl,tl->li", a, e, k)
    total += precision * np.eye(3)
    right -= precision * head.offsets
    head.offsets = head.offsets + np.linalg.solve(total, right[..., None])[..., 0]
    shape = head.neutral()[together]
    head.offsets[together] += shape.mean(1, keepdims=True) - shape
