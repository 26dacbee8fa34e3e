from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis
from geneface.metrics.truth import rotation_errors_deg, tracking_error
from geneface.types import CameraTrack, FaceTrack


def poses(count, seed=0):
    return Rotation.from_euler("xyz", np.random.default_rng(seed).normal(scale=0.3, size=(count, 3)))


def test_equal_rotations_have_no_error():
    truth = poses(20).as_matrix()
    absolute, aligned = rotation_errors_deg(truth, truth)
    assert absolute == pytest.approx(np.zeros(20), abs=1e-6) and aligned == pytest.approx(np.zeros(20), abs=1e-6)


@pytest.mark.parametrize("degrees", [0.01, 1.5, 40.0, 179.0])
def test_a_constant_rotation_is_taken_out(degrees):
    truth = poses(20)
    constant = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8]))
    absolute, aligned = rotation_errors_deg((truth * constant).as_matrix(), truth.as_matrix())
    assert absolute == pytest.approx(np.full(20, degrees), rel=1e-5)
    assert aligned == pytest.approx(np.zeros(20), abs=1e-4)


def test_noise_is_measured_beside_a_constant():
    truth = poses(2000)
    noise = np.random.default_rng(1).normal(size=(2000, 3))
    noise *= np.radians(2) / np.linalg.norm(noise, axis=1, keepdims=True)
    estimated = truth * Rotation.from_euler("y", 10, degrees=True) * Rotation.from_rotvec(noise)
    absolute, aligned = rotation_errors_deg(estimated.as_matrix(), truth.as_matrix())
    assert np.median(aligned) == pytest.approx(2, abs=0.1)
    assert np.median(absolute) == pytest.approx(10, abs=0.3)


JAW = ARKIT_NAMES.index("jawOpen")
START, COUNT = 5, 30  # the person is frames 5 to 34 of the clip
CROP = {"x": 100, "y": 40, "side": 400}
SIZE = 200  # of the person's pictures: half the scale of the clip's


@pytest.fixture(scope="module")
def clip():
    """A truth of 40 frames at 640x480, and a track of it that is right in everything."""
    basis = load_basis()
    rng = np.random.default_rng(0)
    head = np.tile(np.eye(4), (40, 1, 1))
    head[:, :3, :3] = poses(40).as_matrix()
    head[:, :3, 3] = [0.02, 0.01, 1.0]
    intrinsics = np.array([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]])
    camera = CameraTrack(intrinsics, head, 640, 480, 25.0)
    expression = np.zeros((40, 52), np.float32)
    expression[:, JAW] = rng.uniform(0, 0.6, 40)
    blinks = [ARKIT_NAMES.index("eyeBlinkLeft"), ARKIT_NAMES.index("eyeBlinkRight")]
    expression[:, blinks] = rng.uniform(0, 1, (40, 1))
    identity = rng.normal(scale=0.4, size=len(basis.identity)).astype(np.float32)
    points = basis.landmarks478(identity, expression)
    image = (points @ head[:, :3, :3].transpose(0, 2, 1) + head[:, None, :3, 3]) @ intrinsics.T
    landmarks = image[..., :2] / image[..., 2:]
    truth = SimpleNamespace(camera=camera, landmarks=landmarks, expression=expression)
    part = slice(START, START + COUNT)
    half = np.array([[450.0, 0, (320 - 100) / 2], [0, 450, (240 - 40) / 2], [0, 0, 1]])
    tracked = CameraTrack(half, head[part], SIZE, SIZE, 25.0)
    face = FaceTrack(
        ((landmarks[part] - [100, 40]) / 2).astype(np.float32), np.ones(COUNT, bool), identity, expression[part],
        np.ones((COUNT, 2), np.float32), np.zeros((COUNT, 2), np.float32), 25.0,
    )
    return truth, tracked, face


def person_of(camera, face):
    return SimpleNamespace(
        camera=camera, face=face, size=(SIZE, SIZE), manifest={"source": {"start_frame": START}, "crop": CROP}
    )


def test_a_perfect_track_has_no_error(clip):
    truth, camera, face = clip
    error = tracking_error(person_of(camera, face), truth)
    assert error["landmark_px"] == pytest.approx(0, abs=1e-3)
    assert error["reprojection_px"] == pytest.approx(0, abs=1e-2)
    assert error["rotation_deg"] == pytest.approx(0, abs=1e-4)
    assert error["jaw_open_correlation"] == pytest.approx(1)
    assert error["blink_correlation"] == pytest.approx(1)
    assert error["focal_ratio"] == pytest.approx(1)
    assert error["faces_missing"] == 0


def test_errors_have_their_size(clip):
    truth, camera, face = clip
    shifted = replace(face, landmarks=face.landmarks + np.float32([3, 4]))
    assert tracking_error(person_of(camera, shifted), truth)["landmark_px"] == pytest.approx(5 * 256 / SIZE, abs=1e-2)
    valid = np.ones(COUNT, bool)
    valid[:4] = False
    broken = face.landmarks.copy()
    broken[:4] = 0
    error = tracking_error(person_of(camera, replace(face, landmarks=broken, valid=valid)), truth)
    assert error["faces_missing"] == 4 and error["landmark_px"] == pytest.approx(0, abs=1e-3)
    still = face.expression.copy()
    still[:, JAW] = 0.2
    error = tracking_error(person_of(camera, replace(face, expression=still)), truth)
    assert error["jaw_open_correlation"] is None


def test_truth_must_cover_the_person(clip):
    truth, camera, face = clip
    camera20 = CameraTrack(truth.camera.intrinsics, truth.camera.head_to_camera[:20], 640, 480, 25.0)
    short = SimpleNamespace(camera=camera20, landmarks=truth.landmarks[:20], expression=truth.expression[:20])
    with pytest.raises(ValueError, match="truth"):
        tracking_error(person_of(camera, face), short)
