"""How well tracking found what is known of a synthetic person: image landmarks, head pose, expression."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.basis import FaceBasis, load_basis
from ..types import EXPRESSIONS, CameraTrack, FaceTrack, check_array, require
from .sync import correlation

SCALE = 256
"""Image errors are given in px of a picture whose longer side is this."""


@dataclass(frozen=True)
class Truth:
    """What is known of a synthetic clip.

    Attributes:
        camera: the camera and head poses it was drawn with.
        landmarks: [T,P,2] true image positions of landmarks [px]; P is 478 or 68.
        expression: [T,52] ARKit weights it was drawn with.
    """

    camera: CameraTrack
    landmarks: np.ndarray
    expression: np.ndarray

    def __post_init__(self) -> None:
        require(self.landmarks.shape[1] in (68, 478), f"landmarks: expected 68 or 478 points, got {self.landmarks.shape}")
        check_array("landmarks", self.landmarks, (len(self.camera), self.landmarks.shape[1], 2))
        check_array("expression", self.expression, (len(self.camera), EXPRESSIONS))


def tracking_error(
    camera: CameraTrack, face: FaceTrack, truth: Truth, basis: FaceBasis | None = None
) -> dict[str, float | None]:
    """Errors of a track against the truth of the same frames.

    A head basis leaves some of the pose undetermined: a chin held low and a long jaw look alike. What a
    tracker adds to the pose by that is one constant rotation; `rotation_deg` includes it,
    `rotation_aligned_deg` is what remains without it, the error of the head's motion.

    Args:
        camera, face: as tracked; they may be shorter than `truth`, not longer.
        basis: head basis of the track, by default the bundled one.

    Returns:
        landmark_px: median error, over frames and points, of the landmarks detected in the image [px at 256];
        reprojection_px: the same of the fitted head's landmarks;
        rotation_deg, rotation_aligned_deg: median error of the head's rotation [degrees];
        jaw_open_correlation, blink_correlation: with the true weights over time, null where those are still;
        focal_ratio: estimated over true focal length;
        faces_missing: frames in which no face was detected.
    """
    from ..face import landmarks as sets
    from ..nerf.cameras import project

    import torch

    require(len(camera) == len(face) <= len(truth.camera), f"truth: has {len(truth.camera)} frames, track {len(face)}")
    basis = basis or load_basis()
    frames = slice(0, len(face))
    expected = truth.landmarks[frames]
    scale = SCALE / max(camera.width, camera.height)
    points = basis.landmarks478(np.tile(face.identity, (len(face), 1)), face.expression)
    fitted = project(
        torch.from_numpy(points).double(), torch.from_numpy(camera.intrinsics).double(),
        torch.from_numpy(camera.head_to_camera).double(),
    ).numpy()
    detected = face.landmarks
    if expected.shape[1] == 68:
        fitted, detected = fitted[:, sets.MEDIAPIPE_TO_68], detected[:, sets.MEDIAPIPE_TO_68]
    seen = face.valid.astype(bool)
    absolute, aligned = rotation_errors_deg(
        camera.head_to_camera[:, :3, :3], truth.camera.head_to_camera[frames, :3, :3]
    )
    jaw, blinks = ARKIT_NAMES.index("jawOpen"), [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    true_weights = truth.expression[frames]
    return {
        "landmark_px": _median_distance(detected[seen], expected[seen], scale),
        "reprojection_px": _median_distance(fitted[seen], expected[seen], scale),
        "rotation_deg": float(np.median(absolute)),
        "rotation_aligned_deg": float(np.median(aligned)),
        "jaw_open_correlation": correlation(face.expression[:, jaw], true_weights[:, jaw]),
        "blink_correlation": correlation(face.expression[:, blinks].mean(1), true_weights[:, blinks].mean(1)),
        "focal_ratio": float(camera.intrinsics[0, 0] / truth.camera.intrinsics[0, 0]),
        "faces_missing": int((~seen).sum()),
    }


def _median_distance(points: np.ndarray, truth: np.ndarray, scale: float) -> float | None:
    """Median distance over all points of all frames [T,P,2], scaled; None without frames."""
    if not len(points):
        return None
    return float(np.median(np.linalg.norm(points - truth, axis=-1)) * scale)


def rotation_errors_deg(estimated: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles between rotations, as they are and after the best constant rotation of the head is taken out.

    Args:
        estimated, truth: [T,3,3] head-to-camera rotations.

    Returns:
        two arrays [T] [degrees].
    """
    # A constant C in the head's own frame: estimated = truth C. The rotation nearest the mean of
    # truth^T estimated (Markley et al., "Averaging quaternions", 2007: the same minimum).
    u, _, vt = np.linalg.svd(np.mean(truth.transpose(0, 2, 1) @ estimated, axis=0))
    constant = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return _angle_deg(estimated, truth), _angle_deg(estimated, truth @ constant)


def _angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[T] angle of the rotation from b to a [degrees]; accurate for small angles too."""
    # |a - b| (Frobenius) = 2 sqrt(2) sin(angle / 2): no arccos, whose slope is infinite at zero angle.
    chord = np.linalg.norm(a.astype(np.float64) - b, axis=(1, 2)) / (2 * np.sqrt(2))
    return np.degrees(2 * np.arcsin(np.clip(chord, 0, 1)))
