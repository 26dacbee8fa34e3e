"""What is known of a synthetic clip, as a file."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneface.types import EXPRESSIONS, LANDMARKS, CameraTrack, NpzRecord, check_array, require


@dataclass(frozen=True)
class SyntheticTruth(NpzRecord):
    """Camera, motion and identity that a synthetic clip was drawn with.

    Attributes:
        intrinsics: [3,3] pinhole matrix [px].
        head_to_camera: [T,4,4] rigid head-to-camera transforms [m].
        width, height: image size [px].
        fps: frames per second.
        expression: [T,52] ARKit weights in [0,1].
        landmarks: [T,478,2] where the face basis' landmarks fall in the image [px].
        identity: [K] coefficients on the face basis.
        gaze: [T,2] yaw (to the image's right) and pitch (up) of the eyes relative to the head [rad].
    """

    intrinsics: np.ndarray
    head_to_camera: np.ndarray
    width: int
    height: int
    fps: float
    expression: np.ndarray
    landmarks: np.ndarray
    identity: np.ndarray
    gaze: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.head_to_camera)
        check_array("intrinsics", self.intrinsics, (3, 3))
        check_array("head_to_camera", self.head_to_camera, (frames, 4, 4))
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("landmarks", self.landmarks, (frames, LANDMARKS, 2))
        check_array("identity", self.identity, (None,))
        check_array("gaze", self.gaze, (frames, 2))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.head_to_camera)

    @property
    def camera(self) -> CameraTrack:
        """The camera and head poses."""
        return CameraTrack(self.intrinsics, self.head_to_camera, self.width, self.height, self.fps)
