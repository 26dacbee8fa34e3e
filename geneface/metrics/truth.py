"""How well tracking found what is known of a synthetic person: image landmarks, head pose, expression."""
from __future__ import annotations

from typing import Protocol

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.basis import FaceBasis, load_basis
from ..speech.sync import correlation
from ..types import CameraTrack, PreparedPerson, require

SCALE = 256
"""Image errors are given in px of a picture whose longer side is this."""


class Truth(Protocol):
    """What is known of a synthetic clip (`data_prep.synthetic.SyntheticTruth` has it).

    Attributes:
        camera: the camera and head poses it was drawn with, every frame of the clip.
        landmarks: [T,478,2] image positions of the head basis' landmarks [px].
        expression: [T,52] ARKit weights it was drawn with.
    """

    camera: CameraTrack
    landmarks: np.ndarray
    expression: np.ndarray


def tracking_error(person: PreparedPerson, truth: Truth, basis: FaceBasis | None = None) -> dict[str, float | None]:
    """Errors of a prepared synthetic person's tracks against the truth of the clip it was prepared from.

    A head basis leaves some of the pose undetermined: a chin held low and a long jaw look alike. What a
    tracker adds to the pose by that is one constant rotation; `rotation_deg` includes it,
    `rotation_aligned_deg` is what remains without it, the error of the head's motion.

    Args:
        basis: head basis of the tracks, by default the bundled one.

    Returns:
        landmark_px: median error, over frames and points, of the landmarks detected in the image [px at 256];
        reprojection_px: the same of the fitted head's landmarks;
        rotation_deg, rotation_aligned_deg: median error of the head's rotation [degrees];
        jaw_open_correlation, blink_correlation: with the true weights over time, null where those are still;
        focal_ratio: estimated over true focal length;
        faces_missing: frames in which no face was detected.

    Raises:
        ValueError: the truth has fewer frames than the person needs.
    """
    camera, face = person.camera, person.face
    start = int(person.manifest["source"]["start_frame"])
    frames = slice(start, start + len(face))
    known = len(truth.camera)
    require(frames.stop <= known, f"truth: has {known} frames, frame {frames.stop - 1} is needed")
    crop = person.manifest["crop"]
    zoom = max(person.size) / crop["side"]
    expected = (truth.landmarks[frames] - [crop["x"], crop["y"]]) * zoom
    to_scale = SCALE / max(person.size)
    basis = basis or load_basis()
    fitted = camera.project(basis.landmarks478(face.identity, face.expression))
    seen = face.valid.astype(bool)
    absolute, aligned = rotation_errors_deg(
        camera.head_to_camera[:, :3, :3], truth.camera.head_to_camera[frames, :3, :3]
    )
    jaw, blinks = ARKIT_NAMES.index("jawOpen"), [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    weights, true_weights = face.expression, truth.expression[frames]
    return {
        "landmark_px": _median_distance(face.landmarks[seen], expected[seen], to_scale),
        "reprojection_px": _median_distance(fitted[seen], expected[seen], to_scale),
        "rotation_deg": float(np.median(absolute)),
        "rotation_aligned_deg": float(np.median(aligned)),
        "jaw_open_correlation": correlation(weights[:, jaw], true_weights[:, jaw]),
        "blink_correlation": correlation(weights[:, blinks].mean(1), true_weights[:, blinks].mean(1)),
        "focal_ratio": float(camera.intrinsics[0, 0] / (truth.camera.intrinsics[0, 0] * zoom)),
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
