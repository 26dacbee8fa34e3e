import pytest

from geneface.metrics.measures import MEASURES, best_of
from geneface.metrics.scores import Scores

BY_KEY = {measure.key: measure for measure in MEASURES}


def test_every_figure_is_explained_once():
    scores = Scores()
    scores.add_face(None, None)
    assert len(BY_KEY) == len(MEASURES) and set(BY_KEY) == set(scores.summary())


@pytest.mark.parametrize(
    "key, values, best",
    [
        ("psnr_head", [26.0, 27.5, None], {1}),
        ("lpips_full", [0.08, 0.06, 0.07], {1}),
        ("sharpness", [0.5, 1.4, 0.7], {2}),
        ("sync_offset_frames", [-0.2, 0.5], {0}),
        ("psnr_head", [27.0, 27.0, 20.0], {0, 1}),
        ("csim", [0.9, 0.9], set()),
        ("csim", [None, 0.9], set()),
        ("jitter_px", [1.0, 2.0], set()),
    ],
)
def test_the_best_of_a_column(key, values, best):
    assert best_of(BY_KEY[key], values) == best
