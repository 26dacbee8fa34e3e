import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.metrics.truth import rotation_errors_deg


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
