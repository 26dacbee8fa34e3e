"""The measures on a real face, damaged in known ways."""
import numpy as np
import pytest
from PIL import Image, ImageFilter

from geneface.errors import UserError
from geneface.face.detector import FaceDetector
from geneface.media import read_frames
from geneface.metrics.scores import Scores

FRAMES = 40


@pytest.fixture(scope="module")
def summaries(footage):
    """Figures of a clip against itself: at half the size, two frames late, trembling by up to 2 px, blurred."""
    frames = list(read_frames(footage / "identities" / "cnn2.mp4", 25.0, 50, 50 + FRAMES + 2))
    random = np.random.default_rng(0)
    makers = {
        "half": lambda i: np.asarray(Image.fromarray(frames[i]).resize((256, 256)).resize((512, 512))),
        "late": lambda i: frames[i - 2],
        "trembling": lambda i: np.roll(frames[i], tuple(random.integers(-2, 3, 2)), (0, 1)),
        "blurred": lambda i: np.asarray(Image.fromarray(frames[i]).filter(ImageFilter.GaussianBlur(6))),
    }
    scores = {name: Scores() for name in makers}
    try:
        detector = FaceDetector()
    except UserError as error:
        pytest.skip(f"no face landmarker: {error}")
    with detector:
        for index in range(2, FRAMES + 2):
            truth = detector.detect(frames[index])
            for name, make in makers.items():
                found = detector.detect(make(index))
                scores[name].add_face(found and found.landmarks, truth and truth.landmarks)
    return {name: score.summary() for name, score in scores.items()}


def test_half_size_costs_little(summaries):
    half = summaries["half"]
    assert half["lip_distance_px"] < 1 and half["mouth_open_correlation"] > 0.97
    assert 0.7 < half["jitter"] < 1.3 and half["faces_missing"] == 0
    assert half["sync_offset_frames"] == pytest.approx(0, abs=0.2)


def test_lateness_is_found(summaries):
    assert summaries["late"]["sync_offset_frames"] == pytest.approx(2, abs=0.3)


def test_trembling_is_found_and_is_no_matter_of_lip_shape(summaries):
    assert summaries["trembling"]["jitter"] > 2
    assert summaries["trembling"]["lip_shape_px"] < 0.5 < summaries["trembling"]["lip_distance_px"]


def test_blur_costs_more_than_halving(summaries):
    assert summaries["blurred"]["lip_shape_px"] > 2 * summaries["half"]["lip_shape_px"]
