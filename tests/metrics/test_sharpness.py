import numpy as np
import pytest
from PIL import Image, ImageFilter

from geneface.metrics.sharpness import sharpness

from .patterns import pattern

WHOLE = np.ones((80, 90), bool)


def test_equal_pictures_are_equally_sharp():
    truth = pattern(80, 90, 0.3)
    assert sharpness(truth, truth, WHOLE) == 1


def test_contrast_counts_squared():
    half = pattern(80, 90, 0.3) // 2
    assert sharpness(2 * half, half, WHOLE) == pytest.approx(4, rel=1e-4)


def test_blur_is_softer_and_only_the_mask_counts():
    truth = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    blurred = np.asarray(Image.fromarray(truth).filter(ImageFilter.GaussianBlur(1)))
    image = truth.copy()
    image[:40] = blurred[:40]
    above, below = np.zeros_like(WHOLE), np.zeros_like(WHOLE)
    above[:38], below[42:] = True, True
    assert sharpness(image, truth, above) < 0.1
    assert sharpness(image, truth, below) == 1


def test_the_laplacian_of_a_paraboloid_is_its_curvature():
    """x^2 + y^2 has a Laplacian of 4 everywhere: no variance; with a dot of height h added, four of -h, one of 4 h."""
    y, x = np.mgrid[-7:8, -7:8]
    bowl = np.repeat((x**2 + y**2)[..., None], 3, -1).astype(np.uint8)
    inner = np.zeros((15, 15), bool)
    inner[1:-1, 1:-1] = True
    assert sharpness(bowl, bowl, inner) is None
    dotted, higher = bowl.copy(), bowl.copy()
    dotted[7, 7], higher[7, 7] = 10, 30
    assert sharpness(higher, dotted, inner) == pytest.approx(9, rel=1e-4)


def test_nothing_to_measure():
    truth = pattern(80, 90, 0.3)
    assert sharpness(truth, truth, ~WHOLE) is None
    assert sharpness(truth, np.full_like(truth, 7), WHOLE) is None
    with pytest.raises(ValueError, match="mask"):
        sharpness(truth, truth, WHOLE[:3])
