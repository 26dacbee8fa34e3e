import numpy as np
import pytest

from geneface.metrics.seam import boundary, seam


def scene(width=60, height=80):
    """Truth with soft shading and masks whose border is row 40."""
    y, x = np.mgrid[0:height, 0:width]
    truth = np.repeat((100 + 0.5 * y + 0.3 * x)[..., None], 3, axis=-1).astype(np.uint8)
    mask = np.zeros_like(truth)
    mask[:40, :, 0] = 255
    mask[40:, :, 1] = 255
    return truth, mask


def test_no_seam_where_the_render_equals_truth():
    truth, mask = scene()
    assert seam(truth, truth, mask) == 0


def test_a_step_at_the_border_is_seen_and_grows_with_its_height():
    truth, mask = scene()
    heights = []
    for step in (0, 20, 60):
        image = truth.copy()
        image[40:] += np.uint8(step)
        heights.append(seam(image, truth, mask))
    assert heights[0] == 0 and 0.3 < heights[1] < heights[2]
    # A step of h smoothed by sigma 1 has slope h times a unit Gaussian; the band is 12 rows and the
    # shading's own slope (0.58 a px) is forgiven.
    slopes = np.hypot(60 * np.exp(-0.5 * (np.arange(-6, 6) + 0.5) ** 2) / np.sqrt(2 * np.pi) + 0.5, 0.3)
    expected = np.maximum(slopes - np.hypot(0.5, 0.3), 0).mean()
    assert heights[2] == pytest.approx(expected, rel=0.15)


def test_changes_away_from_the_border_do_not_count():
    truth, mask = scene()
    image = truth.copy()
    image[:20] = 255
    image[62:] = 0
    assert seam(image, truth, mask) == 0


def test_an_edge_of_truth_slightly_out_of_place_is_forgiven():
    truth, mask = scene()
    truth = truth.copy()
    truth[40:] += np.uint8(60)
    image = scene()[0].copy()
    image[42:] += np.uint8(60)
    assert seam(image, truth, mask) < 0.1


def test_no_torso_in_the_picture():
    truth, mask = scene()
    mask[..., 1] = 0
    assert not boundary(mask).any()
    assert seam(truth, truth, mask) is None


def test_sizes_must_agree():
    truth, mask = scene()
    with pytest.raises(ValueError):
        seam(truth, truth, mask[:50])


def test_a_hand_before_the_border_is_left_out():
    truth, mask = scene()
    image = truth.copy()
    image[34:46, 10:40] = 255
    assert seam(image, truth, mask) > 0
    mask[30:50, 5:45] = 0
    assert boundary(mask).any() and seam(image, truth, mask) == 0
