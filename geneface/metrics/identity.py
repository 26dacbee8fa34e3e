"""CSIM: does the render show the same person? Cosine similarity of face-recognition descriptors.

Network: dlib's face-recognition ResNet (Davis King, 2017, public domain), 128 values a face; an optional
part, for `dlib` needs a compiler or a wheel that not every machine has. Its descriptors all lie on one
side of the origin, so cosines are high throughout: above about 0.95 for one person, around 0.8 to 0.9 for
two. Compare only with figures of the same network (papers mostly use ArcFace).
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CHIP = 150  # side of the picture that the network takes [px]
_PADDING = 0.25

# dlib's five-point template in the unit square (get_face_chip_details in dlib/image_transforms/
# interpolation.h): outer and inner corner of the eye on the image's right, of the one on its left, base of
# the nose. Beside it the MediaPipe landmarks at those places, which spare us dlib's own, non-free, predictor.
_TEMPLATE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
_MEDIAPIPE = np.array([263, 362, 33, 133, 2])


def available() -> bool:
    """Whether `dlib` is installed here."""
    from importlib.util import find_spec

    return find_spec("dlib") is not None


class FaceIdentity:
    """Identity descriptors of faces.

    Args:
        model: dlib's `dlib_face_recognition_resnet_model_v1.dat`, by default the asset "dlib-face".
    """

    def __init__(self, model: str | Path | None = None) -> None:
        import dlib

        if model is None:
            from .. import assets

            model = assets.path("dlib-face")
        self._network = dlib.face_recognition_model_v1(str(model))

    def descriptor(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """[128] descriptor of the face.

        Args:
            image: [H,W,3] uint8 RGB.
            landmarks: [478,2] MediaPipe landmarks of the face [px].
        """
        return np.array(self._network.compute_face_descriptor(face_chip(image, landmarks)))


def csim(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine similarity of two descriptors."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def face_chip(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face upright and scaled as dlib's network expects it: [150,150,3] uint8.

    Args:
        image: [H,W,3] uint8 RGB.
        landmarks: [478,2] MediaPipe landmarks of the face [px].
    """
    target = (_PADDING + _TEMPLATE) / (1 + 2 * _PADDING) * CHIP
    scale, rotation, shift = similarity(target, landmarks[_MEDIAPIPE].astype(np.float64))
    matrix = np.hstack([scale * rotation, shift[:, None]])  # chip to image, which is what PIL asks for
    picture = Image.fromarray(image)
    # PIL samples without antialiasing: a face much larger than the chip is first brought down to its scale.
    shrink = max(1, int(scale))
    if shrink > 1:
        picture = picture.reduce(shrink)
        matrix = matrix / shrink
    chip = picture.transform(
        (CHIP, CHIP), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(chip)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Least-squares similarity that takes `source` to `target`, both [N,D].

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991).

    Returns:
        scale, rotation [D,D], shift [D], such that target ~ scale * source @ rotation.T + shift.
    """
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred_source, centred_target = source - mean_source, target - mean_target
    u, singular, vt = np.linalg.svd(centred_target.T @ centred_source)
    sign = np.ones(source.shape[1])
    sign[-1] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum() / np.square(centred_source).sum())
    return scale, rotation, mean_target - scale * rotation @ mean_source
