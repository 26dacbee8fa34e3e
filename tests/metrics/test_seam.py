import numpy as np
import pytest

from geneface.metrics.seam import Border


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
    assert Border(mask).new_edges(truth, truth) == 0


def test_a_step_at_the_border_is_seen_and_grows_with_its_height():
    truth, mask = scene()
    heights = []
    for step in (0, 20, 60):
        image = truth.copy()
        image[40:] += np.uint8(step)
        heights.append(Border(mask).new_edges(image, truth))
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
    assert Border(mask).new_edges(image, truth) == 0


def test_an_edge_of_truth_slightly_out_of_place_is_forgiven():
    truth, mask = scene()
    truth = truth.copy()
    truth[40:] += np.uint8(60)
    image = scene()[0].copy()
    image[42:] += np.uint8(60)
    assert Border(mask).new_edges(image, truth) < 0.1


def test_no_torso_in_the_picture():
    truth, mask = scene()
    mask[..., 1] = 0
    assert not Border(mask)
    assert Border(mask).new_edges(truth, truth) is None and Border(mask).seam(truth) is None


def test_sizes_must_agree():
    truth, mask = scene()
    with pytest.raises(ValueError):
        Border(mask[:50]).new_edges(truth, truth)


def test_a_hand_before_the_border_is_left_out():
    truth, mask = scene()
    image = truth.copy()
    image[34:46, 10:40] = 255
    assert Border(mask).new_edges(image, truth) > 0
    mask[30:50, 5:45] = 0
    assert Border(mask) and Border(mask).new_edges(image, truth) == 0


def test_a_step_of_colour_is_measured_in_levels():
    """Flat halves 30 levels of luma apart: the jump is 30, the slope that of a step smoothed by 1 px."""
    _, mask = scene()
    image = np.full((80, 60, 3), 100, np.uint8)
    image[40:] = 130
    found = Border(mask).seam(image)
    assert found.jump == pytest.approx(30, rel=0.02)
    assert found.gradient == pytest.approx(30 * 0.38, rel=0.1)  # a unit step's share within 1 px of it
    red = image.copy()
    red[40:, :, 1:] = 100
    assert Border(mask).seam(red).jump == pytest.approx(30 / np.sqrt(3), rel=0.02)


def test_a_line_along_the_border_raises_the_gradient_and_not_the_jump():
    truth, mask = scene()
    image = truth.copy()
    image[39:41] = 0
    plain, drawn = Border(mask).seam(truth), Border(mask).seam(image)
    assert drawn.gradient > 10 * plain.gradient and drawn.jump < plain.jump + 4


def test_the_normal_points_out_of_the_head_whatever_the_slope():
    """A border that runs diagonally: a step across it is seen as high as one across a level border."""
    y, x = np.mgrid[0:120, 0:120]
    below = y + x > 120
    mask = np.zeros((120, 120, 3), np.uint8)
    mask[~below, 0], mask[below, 1] = 255, 255
    image = np.where(below[..., None], 130, 100).astype(np.uint8).repeat(3, -1)
    border = Border(mask)
    inner = np.all((border.points > 12) & (border.points < 108), axis=1)
    assert border.normals[inner] == pytest.approx(np.full((inner.sum(), 2), np.sqrt(0.5)), abs=0.05)
    assert border.seam(image).jump == pytest.approx(30, rel=0.05)


def test_the_border_behind_a_hand_has_no_part():
    truth, mask = scene()
    image = truth.copy()
    image[40:, :30] += np.uint8(80)
    assert Border(mask).seam(image).jump > 20
    mask[25:55, :40] = 0
    assert Border(mask).seam(image).jump == Border(mask).seam(truth).jump
