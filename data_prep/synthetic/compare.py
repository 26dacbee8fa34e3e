"""How far a track of a synthetic clip is from the truth."""
from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import load_basis
from geneface.types import CameraTrack, FaceTrack

from ..tracking.eyes import gaze_angles
from .truth import SyntheticTruth

_FAR_YAW, _FAR_PITCH = 25.0, 14.0  # a head turned further is at the end of its turn [deg]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two curves [T]; NaN where one hardly moves."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-4 else float("nan")


def slope(found: np.ndarray, truth: np.ndarray) -> float:
    """How much of the true movement [T] is found; NaN where there is hardly any."""
    a, b = found - found.mean(), truth - truth.mean()
    return float(a @ b / (b @ b)) if b.std() > 1e-4 else float("nan")


def project_head(camera: CameraTrack, face: FaceTrack) -> np.ndarray:
    """[T,478,2] landmarks of the fitted head, as camera and face tell it, in the image [px]."""
    return camera.project(load_basis().landmarks478(face.identity, face.expression))


def compare(truth: SyntheticTruth, camera: CameraTrack, face: FaceTrack) -> dict[str, float]:
    """Figures of one clip; pixels are those of a picture of 512, angles degrees, NaN where nothing moves.

    `landmarks_px` is the median distance of the fitted head's 68 points from the true ones, `detected_px` that of the
    detected landmarks; `rotation` is the median angle between fitted and true rotation (`_p95`; `_ends` at the ends of
    turns; `_moving` with the constant part taken out); `yaw` and `pitch` are shares of the true movement found,
    `focal_share` of the true focal length. The others are correlations with the truth, `_share` the share of the movement found.
    """
    scale = 512 / max(truth.width, truth.height)
    points = lm.MEDIAPIPE_TO_68
    miss = np.linalg.norm((project_head(camera, face) - truth.landmarks)[:, points], axis=-1) * scale
    detected = np.linalg.norm((face.landmarks - truth.landmarks)[:, points], axis=-1) * scale
    true, found = (Rotation.from_matrix(track.head_to_camera[:, :3, :3]) for track in (truth, camera))
    error = np.rad2deg((found * true.inv()).magnitude())
    apart = true.inv() * found
    moving = np.rad2deg((apart * apart.mean().inv()).magnitude())
    angles, fitted_angles = (turn.as_euler("yxz", degrees=True) for turn in (true, found))
    ends = (np.abs(angles[:, 0]) > _FAR_YAW) | (np.abs(angles[:, 1]) > _FAR_PITCH)
    out = {
        "landmarks_px": np.median(miss), "landmarks_p95_px": np.quantile(miss, 0.95), "detected_px": np.median(detected),
        "rotation": np.median(error), "rotation_p95": np.quantile(error, 0.95),
        "rotation_ends": np.median(error[ends]) if ends.any() else np.nan, "rotation_moving": np.median(moving),
        "yaw": slope(fitted_angles[:, 0], angles[:, 0]), "pitch": slope(fitted_angles[:, 1], angles[:, 1]),
        "yaw_most": np.abs(angles[:, 0]).max(), "pitch_most": np.abs(angles[:, 1]).max(),
        "focal_share": camera.intrinsics[0, 0] / truth.intrinsics[0, 0],
    }
    for name, members in (("jaw", ["jawOpen"]), ("pucker", ["mouthPucker", "mouthFunnel"]),
                          ("smile", ["mouthSmile*"]), ("blink", ["eyeBlink*"])):
        columns = arkit.indices(*members)
        out[name] = correlation(face.expression[:, columns].sum(1), truth.expression[:, columns].sum(1))
    found68, true68 = (load_basis().landmarks68(track.expression) for track in (face, truth))
    for name, measure in (("lips_open", lm.mouth_opening), ("lips_wide", lm.mouth_width)):
        out[name] = correlation(measure(found68), measure(true68))
        out[name + "_share"] = slope(measure(found68), measure(true68))
    out["lids"] = correlation(face.eye_open.mean(1), -truth.expression[:, arkit.indices("eyeBlink*")].sum(1))
    # The drawn irises, not the gaze they were meant to show; none are seen under a lid.
    gaze = gaze_angles(load_basis(), truth.expression)
    awake = truth.expression[:, arkit.indices("eyeBlink*")].max(1) < 0.3
    for axis, name in enumerate(("gaze_across", "gaze_up")):
        out[name] = correlation(face.gaze[awake, axis], gaze[awake, axis])
        out[name + "_share"] = slope(face.gaze[awake, axis], gaze[awake, axis])
    return {name: float(value) for name, value in out.items()}
