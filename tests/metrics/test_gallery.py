import numpy as np
import pytest

from geneface.face import landmarks as sets
from geneface.metrics.gallery import GAP, PICTURE_SIDE, Gallery, Strip


def offer_all(gallery, distances, psnrs=(), landmarks=None):
    for index, distance in enumerate(distances):
        picture = np.full((40, 60, 3), index, np.uint8)
        first = {"lip_distance_px": distance, "psnr_head": psnrs[index] if len(psnrs) else 30.0}
        gallery.offer(100 + index, picture, {"tracked": picture, "predicted": picture}, landmarks,
                      {"tracked": first, "predicted": {"lip_distance_px": 99.0, "psnr_head": 0.0}})


def test_keeps_even_ones_and_the_worst_of_each_kind():
    distances, psnrs = np.ones(30), np.full(30, 30.0)
    distances[[7, 21, 22]] = 5, 9, 8
    psnrs[[3, 21]] = 12, 14
    gallery = Gallery(30, count=4, worst=2)
    offer_all(gallery, distances, psnrs)
    assert [strip.index for strip in gallery.even] == [100, 109, 119, 129]
    assert [strip.index for strip in gallery.worst("lip_distance_px")] == [121, 122]
    assert [strip.index for strip in gallery.worst("psnr_head")] == [103, 121]
    worst = gallery.worst("lip_distance_px")[0]
    assert worst.figures["tracked"] == {"lip_distance_px": 9, "psnr_head": 14}
    assert worst.figures["predicted"]["lip_distance_px"] == 99 and list(worst.frames) == ["truth", "tracked", "predicted"]


def test_missing_faces_are_never_the_worst():
    gallery = Gallery(5, count=1, worst=3)
    offer_all(gallery, [np.nan, 2, np.nan, 3, np.nan])
    assert [strip.index for strip in gallery.worst("lip_distance_px")] == [103, 101]


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
        gallery.offer(0, truth, {"tracked": truth}, found, {"tracked": {}})
    top = round(120 * PICTURE_SIDE / 200)
    for strip in gallery.even:
        pictures = strip.side_by_side()
        assert pictures.shape == (top + PICTURE_SIDE, 2 * PICTURE_SIDE + GAP, 3)
        middle = pictures[top + PICTURE_SIDE // 2, PICTURE_SIDE // 2]
        assert (middle == 255).all() and (pictures[top, 0] == 0).all()


def test_frames_without_mouths():
    frames = {name: np.zeros((10, 20, 3), np.uint8) for name in "abc"}
    assert Strip(0, frames, {}, {}).side_by_side().shape == (10, 60 + 2 * GAP, 3)
