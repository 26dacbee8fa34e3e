import math

import pytest
import torch

from geneface import ops
from geneface.ops import reference

from .compare import GRADIENT, SIZES, VALUE, assert_near


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_reference(backend, degree, size):
    dirs = torch.nn.functional.normalize(torch.randn(size, 3), dim=-1)
    weight = torch.randn(size, degree**2)
    expected_dirs = dirs.clone().requires_grad_()
    expected = reference.spherical_harmonics(expected_dirs, degree)
    (expected * weight).sum().backward()

    dirs = backend.tensor(dirs, grad=True)
    actual = ops.spherical_harmonics(dirs, degree)
    (actual * backend.tensor(weight)).sum().backward()
    assert_near(actual, expected, VALUE)
    assert_near(dirs.grad, expected_dirs.grad, GRADIENT)


def test_orthonormal_on_the_sphere(backend):
    # Exact quadrature: Gauss-Legendre in z, equal steps in azimuth.
    import numpy as np

    z, wz = (torch.from_numpy(a).float() for a in np.polynomial.legendre.leggauss(12))
    azimuth = torch.arange(24) * (2 * math.pi / 24)
    radius = (1 - z * z).sqrt()
    dirs = torch.stack(
        [radius[:, None] * azimuth.cos(), radius[:, None] * azimuth.sin(), z[:, None].expand(-1, 24)], dim=-1
    ).reshape(-1, 3)
    weights = (wz[:, None] * (2 * math.pi / 24)).expand(-1, 24).reshape(-1)
    values = ops.spherical_harmonics(backend.tensor(dirs)).cpu()
    gram = values.t() @ (values * weights[:, None])
    torch.testing.assert_close(gram, torch.eye(16), rtol=0, atol=1e-5)


def test_gradcheck():
    dirs = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ops.spherical_harmonics, (dirs,))


def test_non_contiguous_input(backend):
    dirs = backend.tensor(torch.randn(3, 40)).t()
    assert torch.equal(ops.spherical_harmonics(dirs), ops.spherical_harmonics(dirs.contiguous()))


@pytest.mark.parametrize("name, dirs, degree", [
    ("dirs", torch.rand(4, 2), 4), ("dirs", torch.rand(3), 4), ("dirs", torch.rand(4, 3).half(), 4),
    ("degree", torch.rand(4, 3), 5),
])
def test_wrong_arguments_are_named(name, dirs, degree):
    with pytest.raises(ValueError, match=f"^{name}:"):
        ops.spherical_harmonics(dirs, degree)
