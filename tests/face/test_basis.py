"""The bundled head basis: shapes, frames, and that every part does what its name says."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from geneface.errors import UserError
from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import _FILE, AnnyBasis, FaceBasis, LinearBasis, _load_bias, load_basis


@pytest.fixture(scope="module")
def basis() -> AnnyBasis:
    return load_basis()


def weights(**values: float) -> np.ndarray:
    result = np.zeros(52, np.float32)
    for name, value in values.items():
        result[arkit.index(name)] = value
    return result


def moved(basis, landmark: int, **values: float) -> np.ndarray:
    """Displacement of a landmark [mm]."""
    return 1e3 * (basis.landmarks478(None, weights(**values)) - basis.landmarks478())[landmark]


def test_names_are_arkits():
    assert len(arkit.ARKIT_NAMES) == len(set(arkit.ARKIT_NAMES)) == 52
    assert arkit.ARKIT_NAMES[0] == "browDownLeft" and arkit.ARKIT_NAMES[24] == "jawOpen"
    assert arkit.ARKIT_NAMES[-1] == "tongueOut"
    assert {arkit.mirrored(name) for name in arkit.ARKIT_NAMES} == set(arkit.ARKIT_NAMES)
    assert arkit.indices("mouthSmile*", "jawOpen") == [43, 44, 24]
    with pytest.raises(ValueError, match="jawopen"):
        arkit.index("jawopen")


def test_shapes_units_and_frame(basis):
    assert isinstance(basis, FaceBasis)
    count = len(basis.mean)
    assert basis.identity.shape == (basis.components, count, 3) and basis.components >= 60
    assert basis.expression.shape == (52, count, 3)
    assert basis.triangles.dtype == np.int32 and basis.triangles.max() < count
    height = np.ptp(basis.mean[:, 1])
    assert 0.2 < height < 0.3  # a head with its neck [m]
    nose, chin, ear = basis.landmarks478()[[4, 152, 234]]
    assert nose[2] < -0.08 and chin[1] > 0.06 and ear[0] < -0.05  # nose to the camera, y down, right side at x < 0
    eyes = basis.landmarks478()[[468, 473], 0]
    assert np.ptp(eyes) == pytest.approx(0.063, abs=0.004)  # distance of the pupils


def test_faces_are_seen_from_outside(basis):
    points = basis.mean[basis.faces_of("face")]
    normal = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    assert (normal[:, 2] < 0).mean() > 0.9
    with pytest.raises(ValueError, match="nostrils"):
        basis.faces_of("nostrils")


def test_head_is_symmetric(basis):
    assert np.allclose(basis.mean[basis.mirror], basis.mean * [-1, 1, 1], atol=6e-4)
    points = basis.landmarks478()
    assert np.allclose(points[basis.landmark_mirror], points * [-1, 1, 1], atol=6e-4)
    assert np.array_equal(basis.landmark_mirror[basis.landmark_mirror], np.arange(478))
    assert basis.landmark_mirror[33] == 263 and basis.landmark_mirror[61] == 291 and basis.landmark_mirror[13] == 13


def test_every_expression_moves_something_and_mirrors_its_partner(basis):
    for name in arkit.ARKIT_NAMES:
        delta = basis.expression[arkit.index(name)]
        assert 0.001 < np.linalg.norm(delta, axis=1).max() < 0.06, name
        other = basis.expression[arkit.index(arkit.mirrored(name))]
        if name not in ("jawForward",):
            assert np.abs(delta[basis.mirror] - other * [-1, 1, 1]).max() < 0.003, name


@pytest.mark.parametrize("name,landmark,axis,sign", [
    ("jawOpen", 152, 1, 1), ("jawLeft", 152, 0, 1), ("jawRight", 152, 0, -1), ("jawForward", 152, 2, -1),
    ("mouthSmileLeft", 291, 1, -1), ("mouthSmileRight", 61, 1, -1), ("mouthFrownLeft", 291, 1, 1),
    ("mouthPucker", 291, 0, -1), ("mouthStretchLeft", 291, 0, 1), ("mouthFunnel", 13, 2, -1),
    ("mouthLeft", 13, 0, 1), ("mouthRight", 13, 0, -1), ("mouthUpperUpLeft", 312, 1, -1),
    ("mouthLowerDownLeft", 317, 1, 1), ("mouthRollLower", 17, 1, -1),
    ("browInnerUp", 107, 1, -1), ("browOuterUpLeft", 300, 1, -1), ("browDownRight", 66, 1, 1),
    ("eyeBlinkLeft", 386, 1, 1), ("eyeBlinkRight", 159, 1, 1), ("eyeWideLeft", 386, 1, -1),
    ("eyeSquintLeft", 374, 1, -1),
    ("eyeLookUpLeft", 473, 1, -1), ("eyeLookDownRight", 468, 1, 1), ("eyeLookInLeft", 473, 0, -1),
    ("eyeLookOutRight", 468, 0, -1), ("cheekPuff", 205, 2, -1), ("noseSneerLeft", 358, 1, -1),
])
def test_expressions_do_what_they_say(basis, name, landmark, axis, sign):
    """Left and right are the person's: the left mouth corner (291) lies at positive x."""
    assert sign * moved(basis, landmark, **{name: 1.0})[axis] > 0.5


def test_mouth_closes_and_opens(basis):
    assert lm.mouth_opening(basis.landmarks478()) < 0.0015
    assert lm.mouth_opening(basis.landmarks478(None, weights(jawOpen=1))) > 0.025
    closed = basis.landmarks478(None, weights(jawOpen=0.5, mouthClose=0.5))
    assert lm.mouth_opening(closed) < 0.002  # ARKit: mouthClose closes the lips over an open jaw


def test_lips_are_closed_for_every_identity(basis):
    rng = np.random.default_rng(0)
    points = basis.landmarks478(rng.normal(size=(50, basis.components)).astype(np.float32), None)
    gap = points[:, lm.LIPS_INNER_LOWER, 1] - points[:, lm.LIPS_INNER_UPPER, 1]
    assert np.abs(gap).max() < 0.001


def test_eyes_close(basis):
    for side, column in (("Right", 0), ("Left", 1)):
        shut = lm.eye_aspect(basis.landmarks478(None, weights(**{f"eyeBlink{side}": 0.8})))
        open_eyes = lm.eye_aspect(basis.landmarks478())
        assert shut[column] < 0.25 * open_eyes[column]
        assert shut[1 - column] == pytest.approx(open_eyes[1 - column], abs=0.01)


def test_lower_teeth_and_tongue_follow_the_jaw(basis):
    jaw = basis.expression[arkit.index("jawOpen")]
    assert jaw[basis.regions["teeth_lower"], 1].mean() > 0.015
    assert np.abs(jaw[basis.regions["teeth_upper"]]).max() < 0.002
    assert jaw[basis.regions["tongue"], 1].mean() > 0.01
    out = basis.expression[arkit.index("tongueOut")]
    assert out[basis.regions["tongue"], 2].min() < -0.01


def test_identities_vary_as_people_do(basis):
    rng = np.random.default_rng(1)
    heads = basis.vertices(rng.normal(size=(200, basis.components)).astype(np.float32), None)
    spread = heads[:, basis.regions["face"]].std(0)
    assert 0.001 < np.linalg.norm(spread, axis=1).mean() < 0.008
    power = (basis.identity**2).sum((1, 2))
    assert power[0] > power[-1]


def test_landmarks_are_points_of_the_mesh(basis):
    rng = np.random.default_rng(2)
    identity = rng.normal(size=basis.components).astype(np.float32)
    expression = rng.uniform(0, 0.5, (4, 52)).astype(np.float32)
    vertices = basis.vertices(identity, expression)
    points = (vertices[:, basis.landmark_vertices] * basis.landmark_weights[..., None]).sum(-2)
    assert np.allclose(points, basis.landmarks478(identity, expression), atol=1e-6)
    assert np.allclose(basis.landmarks68(expression, identity), points[:, lm.MEDIAPIPE_TO_68], atol=1e-6)
    assert np.allclose(basis.landmark_weights.sum(1), 1, atol=1e-5)
    for name, members in {"lips": lm.LIPS_INNER, "eyeball_right": lm.IRIS_RIGHT, "eyeball_left": lm.IRIS_LEFT}.items():
        assert np.isin(basis.landmark_vertices[members], basis.regions[name]).all(), name


def test_argument_shapes(basis):
    one = np.zeros(basis.components, np.float32)
    assert basis.vertices().shape == basis.mean.shape
    assert basis.vertices(one, np.zeros((3, 52), np.float32)).shape == (3, *basis.mean.shape)
    assert basis.landmarks68(np.zeros(52)).shape == (68, 3)
    assert basis.landmarks68(np.zeros((0, 52))).shape == (0, 68, 3)
    assert basis.landmarks68(np.zeros((2, 52))).dtype == np.float32
    with pytest.raises(ValueError, match="expression"):
        basis.landmarks68(np.zeros(51))


def test_torch_gives_the_same_and_has_gradients(basis):
    expression = torch.rand(3, 52, requires_grad=True)
    points = basis.landmarks68(expression)
    assert np.allclose(points.detach().numpy(), basis.landmarks68(expression.detach().numpy()), atol=1e-6)
    points.sum().backward()
    assert expression.grad.abs().sum() > 0
    identity = torch.zeros(basis.components, requires_grad=True)
    basis.landmarks478(identity).square().sum().backward()
    assert torch.isfinite(identity.grad).all()


def test_bad_files_are_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no such face basis"):
        AnnyBasis.load(tmp_path / "none.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a readable"):
        AnnyBasis.load(tmp_path / "junk.safetensors")
    arrays = load_file(_FILE)
    save_file(arrays, tmp_path / "plain.safetensors")
    with pytest.raises(UserError, match="schema"):
        AnnyBasis.load(tmp_path / "plain.safetensors")
    header = {"type": "geneface.FaceBasis", "schema_version": 1, "expressions": list(arkit.ARKIT_NAMES)}
    arrays.pop("mean")
    save_file(arrays, tmp_path / "damaged.safetensors", {"geneface": json.dumps(header)})
    with pytest.raises(UserError, match="damaged"):
        AnnyBasis.load(tmp_path / "damaged.safetensors")


def test_arrays_that_do_not_fit_are_named(basis):
    with pytest.raises(ValueError, match="expression"):
        LinearBasis(basis.mean, basis.identity, basis.expression[:50], basis.triangles, {}, basis.landmark_vertices,
                    basis.landmark_weights)


def test_file_is_small():
    assert _FILE.stat().st_size < 4_000_000


def test_bias_of_the_seen_landmarks_is_alike_on_both_sides_and_closes_no_lips(basis):
    bias = load_basis().landmark_bias
    assert bias.shape == (55, 478, 3) and 1e-4 < np.abs(bias).mean() < 5e-3
    upper, lower = lm.LIPS_INNER_UPPER, lm.LIPS_INNER_LOWER
    assert np.array_equal(bias[:, upper], bias[:, lower])
    other = bias[:, load_basis().landmark_mirror] * [-1, 1, 1]
    assert np.allclose(other[[0, 2]], bias[[0, 2]], atol=1e-4) and np.allclose(other[1], -bias[1], atol=1e-4)


def test_seen_landmarks_are_those_of_the_basis_where_no_bias_is_known(basis):
    plain = LinearBasis(basis.mean, basis.identity, basis.expression, basis.triangles, basis.regions,
                        basis.landmark_vertices, basis.landmark_weights)
    mean, identity, expression, view = plain.seen_landmarks
    assert np.array_equal(mean, plain.landmark_basis[0]) and np.array_equal(expression, plain.landmark_basis[2])
    assert np.array_equal(identity, plain.landmark_basis[1]) and view.shape == (2, 478, 3) and not view.any()


def test_a_missing_bias_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="landmark bias"):
        _load_bias(tmp_path / "none.safetensors")
