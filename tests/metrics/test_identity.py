import numpy as np
import pytest

from geneface.metrics.identity import CHIP, csim, face_chip, similarity


def test_similarity_recovers_a_known_one():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(9, 2))
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = 2.5 * source @ rotation.T + [3, -4]
    scale, found, shift = similarity(source, target)
    assert scale == pytest.approx(2.5)
    assert found == pytest.approx(rotation)
    assert shift == pytest.approx([3, -4])


def test_similarity_never_mirrors():
    source = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    _, rotation, _ = similarity(source, source * [-1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("size, tilt", [(60, 0.0), (150, 0.4), (700, -0.3)])
def test_face_chip_puts_the_eyes_in_their_places(size, tilt):
    """A red and a blue dot at the outer eye corners of a tilted face land where dlib expects them."""
    height, width = 1000, 900
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    template = np.array([[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]])
    landmarks = np.zeros((478, 2))
    landmarks[[263, 362, 33, 133, 2]] = (template - 0.5) @ rotation.T * size + [450, 500]
    image = np.zeros((height, width, 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    for index, channel in ((263, 0), (33, 2)):
        image[np.hypot(x - landmarks[index, 0], y - landmarks[index, 1]) < size / 20, channel] = 255
    chip = face_chip(image, landmarks).astype(np.float64)
    assert chip.shape == (CHIP, CHIP, 3)
    for row, channel in ((0, 0), (2, 2)):
        rows, columns = np.mgrid[0:CHIP, 0:CHIP] + 0.5
        weight = chip[..., channel] / chip[..., channel].sum()
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()])
        assert centre == pytest.approx((0.25 + template[row]) / 1.5 * CHIP, abs=1.0)


def test_csim_is_a_cosine():
    a = np.array([3.0, 4.0])
    assert csim(a, 2 * a) == pytest.approx(1)
    assert csim(a, np.array([-4.0, 3.0])) == pytest.approx(0)
