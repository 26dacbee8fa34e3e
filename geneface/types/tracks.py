"""What is measured of a video and its sound: camera, face and speech."""
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .records import NpzRecord, check_array, require

LANDMARKS = 478
EXPRESSIONS = 52


@dataclass(frozen=True)
class CameraTrack(NpzRecord):
    """A pinhole camera and the head's rigid pose in front of it.

    Attributes:
        intrinsics: [3,3] pinhole matrix [px].
        head_to_camera: [T,4,4] rigid head-to-camera transforms [m].
        width, height: image size [px].
        fps: frames per second.
    """

    intrinsics: np.ndarray
    head_to_camera: np.ndarray
    width: int
    height: int
    fps: float

    def __post_init__(self) -> None:
        check_array("intrinsics", self.intrinsics, (3, 3))
        check_array("head_to_camera", self.head_to_camera, (None, 4, 4))
        require(self.width > 0 and self.height > 0, f"image size {self.width}x{self.height} is empty")
        require(self.fps > 0, f"fps must be positive, got {self.fps}")
        rotation = self.head_to_camera[:, :3, :3]
        drift = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(initial=0)
        require(drift < 1e-3, f"head_to_camera: rotations are not orthonormal (off by {drift:.2g})")

    def __len__(self) -> int:
        return len(self.head_to_camera)

    @property
    def cam_to_world(self) -> np.ndarray:
        """[T,4,4] camera-to-head transforms: the head frame is the renderer's world."""
        rotation = self.head_to_camera[:, :3, :3].transpose(0, 2, 1)
        out = np.tile(np.eye(4, dtype=self.head_to_camera.dtype), (len(self), 1, 1))
        out[:, :3, :3] = rotation
        out[:, :3, 3] = -np.einsum("tij,tj->ti", rotation, self.head_to_camera[:, :3, 3])
        return out

    def project(self, points: np.ndarray) -> np.ndarray:
        """Image positions [T,P,2] float64 [px] of head-space points [T,P,3] [m]."""
        pose = self.head_to_camera.astype(np.float64)
        image = (points @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]) @ self.intrinsics.T
        return image[..., :2] / image[..., 2:]


@dataclass(frozen=True)
class FaceTrack(NpzRecord):
    """The face in every frame, as measured in the image and as fitted on the head basis.

    Attributes:
        landmarks: [T,478,2] MediaPipe landmarks [px].
        valid: [T] bool, False where no face was found (values are then interpolated).
        identity: [K] identity coefficients of the person on the face basis (one per person).
        expression: [T,52] ARKit expression weights in [0,1].
        eye_open: [T,2] eyelid opening relative to the person's own open eye (0 closed, 1 open),
            image left eye first.
        gaze: [T,2] gaze yaw (to the image's right) and pitch (up) relative to the head [rad].
        fps: frames per second.
    """

    landmarks: np.ndarray
    valid: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    eye_open: np.ndarray
    gaze: np.ndarray
    fps: float

    def __post_init__(self) -> None:
        frames = len(self.landmarks)
        check_array("landmarks", self.landmarks, (frames, LANDMARKS, 2))
        check_array("valid", self.valid, (frames,))
        check_array("identity", self.identity, (None,))
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("eye_open", self.eye_open, (frames, 2))
        check_array("gaze", self.gaze, (frames, 2))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.landmarks)


@dataclass(frozen=True)
class SpeechFeatures(NpzRecord):
    """What the motion generator hears.

    Attributes:
        content: [T,C] content features (Whisper base, encoder layer 4: C = 512).
        log_f0: [T] natural log of the fundamental frequency [log Hz], 0 where unvoiced.
        energy: [T] log RMS energy [dB relative to full scale].
        voicing: [T] probability of voicing in [0,1].
        speech: [T] probability that somebody speaks, voiced or not, in [0,1].
        fps: feature frames per second (50).
        pitch_agreement: share of the voiced frames in which two methods find the same F0 [0,1]; below about 0.7
            the voice is creaky, noisy or not alone.
    """

    schema_version: ClassVar[int] = 2

    content: np.ndarray
    log_f0: np.ndarray
    energy: np.ndarray
    voicing: np.ndarray
    speech: np.ndarray
    fps: float
    pitch_agreement: float = 1.0

    def __post_init__(self) -> None:
        frames = len(self.content)
        check_array("content", self.content, (frames, None))
        for name in ("log_f0", "energy", "voicing", "speech"):
            check_array(name, getattr(self, name), (frames,))
        require(self.fps > 0, f"fps must be positive, got {self.fps}")

    def __len__(self) -> int:
        return len(self.content)
