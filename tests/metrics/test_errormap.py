import numpy as np
import pytest

from geneface.metrics.errormap import ErrorMap


def test_mean_over_frames_and_channels_where_the_person_is_in_sight():
    errors = ErrorMap()
    truth = np.full((3, 5, 3), 100, np.uint8)
    first, second = truth.copy(), truth.copy()
    first[0, 0] = (130, 100, 100)
    second[0, 0] = 80
    second[2, 4] = 255
    seen = np.ones((3, 5), bool)
    hidden = seen.copy()
    hidden[2, 4], hidden[1, 1] = False, False
    errors.add(first, truth, seen)
    errors.add(second, truth, hidden)
    mean = errors.mean()
    assert mean[0, 0] == pytest.approx((10 + 20) / 2) and mean[2, 4] == 0 and mean.sum() == pytest.approx(15)


def test_a_pixel_never_in_sight_has_no_error():
    errors = ErrorMap()
    picture = np.zeros((2, 2, 3), np.uint8)
    errors.add(picture + 9, picture, np.zeros((2, 2), bool))
    assert (errors.mean() == 0).all()
