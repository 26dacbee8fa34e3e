import numpy as np
import pytest

from geneface.face import landmarks as sets
from geneface.metrics.gallery import GAP, PICTURE_SIDE, Gallery, frames_and_mouths


def offer_all(gallery, distances, landmarks=None):
    for index, distance in enumerate(distances):
        picture = np.full((40, 60, 3), index, np.uint8)
        gallery.offer(100 + index, picture, {"tracked": picture, "predicted": picture}, landmarks,
                      {"tracked": distance, "predicted": 99.0})


def test_keeps_even_ones_and_the_worst():
    distances = np.ones(30)
    distances[[7, 21, 22]] = 5, 9, 8
    gallery = Gallery(30, count=4, worst=2)
    offer_all(gallery, distances)
    assert [strip.index for strip in gallery.even] == [100, 109, 119, 129]
    assert [strip.index for strip in gallery.worst] == [121, 122]
    assert gallery.worst[0].lip_distance_px == {"tracked": 9, "predicted": 99}


def test_missing_faces_are_never_the_worst():
    gallery = Gallery(5, count=1, worst=3)
    offer_all(gallery, [np.nan, 2, np.nan, 3, np.nan])
    assert [strip.index for strip in gallery.worst] == [103, 101]


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_clips(frames):
    gallery = Gallery(frames, count=6)
    offer_all(gallery, np.arange(frames))
    assert len(gallery.even) == frames


def test_mouths_are_enlarged_below_and_kept_in_place_without_a_face():
    landmarks = np.zeros((478, 2))
    landmarks[sets.LIPS] = [100, 60]
    gallery = Gallery(2, count=2)
    truth = np.zeros((120, 200, 3), np.uint8)
    truth[50:70, 90:110] = 255
    for found in (landmarks, None):
        gallery.offer(0, truth, {"tracked": truth}, found, {"tracked": 0.0})
    top = round(120 * PICTURE_SIDE / 200)
    for strip in gallery.even:
        assert strip.pictures.shape == (top + PICTURE_SIDE, 2 * PICTURE_SIDE + GAP, 3)
        middle = strip.pictures[top + PICTURE_SIDE // 2, PICTURE_SIDE // 2]
        assert (middle == 255).all() and (strip.pictures[top, 0] == 0).all()


def test_frames_without_mouths():
    assert frames_and_mouths([np.zeros((10, 20, 3), np.uint8)] * 3, None).shape == (160, 960 + 2 * GAP, 3)
