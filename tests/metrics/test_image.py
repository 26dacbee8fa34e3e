import numpy as np
import pytest

from geneface.metrics.image import MAX_PSNR, dilate, fit_side, psnr, ssim

from .patterns import pattern


def flat(value, shape=(20, 30)):
    return np.full((*shape, 3), value, np.uint8)


def test_psnr_closed_forms():
    assert psnr(flat(100), flat(110)) == pytest.approx(10 * np.log10(255**2 / 100))
    assert psnr(flat(0), flat(255)) == pytest.approx(0)
    assert psnr(flat(7), flat(7)) == MAX_PSNR


def test_psnr_does_not_wrap_around():
    """Differences of unsigned bytes must not be taken modulo 256."""
    assert psnr(flat(250), flat(5)) == psnr(flat(5), flat(250)) == pytest.approx(10 * np.log10(255**2 / 245**2))


def test_psnr_of_one_wrong_channel():
    image = flat(50)
    image[..., 1] = 80
    assert psnr(image, flat(50)) == pytest.approx(10 * np.log10(255**2 / 300))


def test_mask_ignores_everything_outside():
    truth, image = pattern(40, 64, 0.0), pattern(40, 64, 0.2)
    mask = np.zeros((40, 64), bool)
    mask[5:20, 30:50] = True
    inside = psnr(image, truth, mask)
    spoilt = image.copy()
    spoilt[~mask] = 255 - truth[~mask]
    assert psnr(spoilt, truth, mask) == inside
    assert inside == pytest.approx(psnr(image[5:20, 30:50], truth[5:20, 30:50]))
    assert psnr(spoilt, truth) < inside


def test_empty_mask_is_not_measurable():
    assert psnr(flat(1), flat(2), np.zeros((20, 30), bool)) is None


@pytest.mark.parametrize(
    "size, phase, expected_psnr, expected_ssim",
    [
        # scikit-image 0.26: peak_signal_noise_ratio and structural_similarity(gaussian_weights=True,
        # sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2) of the same pictures.
        ((64, 64), 0.3, 24.507763557, 0.928657579),
        ((64, 64), 2.0, 11.176034229, 0.079915436),
        ((96, 80), 0.3, 24.591223274, 0.928321535),
        ((121, 203), 0.3, 24.547510794, 0.927834993),
        ((121, 203), 2.0, 11.077363631, 0.080040630),
    ],
)
def test_values_of_scikit_image(size, phase, expected_psnr, expected_ssim):
    truth, image = pattern(*size, 0.0), pattern(*size, phase)
    assert psnr(image, truth) == pytest.approx(expected_psnr, abs=1e-5)
    assert ssim(image, truth) == pytest.approx(expected_ssim, abs=1e-5)


def test_ssim_of_flat_pictures_is_the_luminance_term():
    c1 = (0.01 * 255) ** 2
    assert ssim(flat(100), flat(150)) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), abs=1e-5)
    assert ssim(pattern(33, 11, 1.0), pattern(33, 11, 1.0)) == pytest.approx(1, abs=1e-5)


def test_ssim_within_a_mask():
    """Of windows around the mask's pixels alone; pixels whose window leaves the picture have none."""
    truth, image = pattern(64, 64, 0.0), pattern(64, 64, 0.0).copy()
    image[:32] = pattern(64, 64, 2.0)[:32]
    below, above, rim = np.zeros((3, 64, 64), bool)
    below[38:], above[:26], rim[:5] = True, True, True
    assert ssim(image, truth, below) == pytest.approx(1, abs=1e-5) and ssim(image, truth, above) < 0.3
    assert ssim(image, truth, rim) is None


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="image"):
        psnr(flat(1, (20, 31)), flat(1))
    with pytest.raises(ValueError, match="truth"):
        psnr(flat(1), flat(1).astype(np.float32))
    with pytest.raises(ValueError, match="mask"):
        psnr(flat(1), flat(1), np.ones((30, 20), bool))
    with pytest.raises(ValueError, match="window"):
        ssim(flat(1, (10, 40)), flat(1, (10, 40)))


def test_fit_side_keeps_the_aspect():
    assert fit_side(flat(9, (100, 50)), 512).shape == (512, 256, 3)
    assert fit_side(flat(9, (33, 99)), 512).shape == (171, 512, 3)
    picture = pattern(512, 300, 0.0)
    assert fit_side(picture, 512) is picture
    assert (fit_side(flat(9, (100, 50)), 64) == 9).all()


def test_dilate_grows_by_a_disc():
    mask = np.zeros((21, 31), bool)
    mask[10, 15] = True
    y, x = np.mgrid[0:21, 0:31]
    assert np.array_equal(dilate(mask, 5), (y - 10) ** 2 + (x - 15) ** 2 <= 25)
    assert not dilate(np.zeros((4, 5), bool), 5).any()
