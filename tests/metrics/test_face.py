import numpy as np
import pytest

from geneface.face import landmarks as sets
from geneface.metrics.face import STEADY, jitter_px, lip_distance_px, lip_shape_px, mouth_box
from geneface.metrics.scores import Scores


def face(frames=40, seed=0):
    """[frames,478,2] a face that drifts smoothly and speaks [px]."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(150, 350, (478, 2))
    points[sets.LIPS] = rng.uniform((220, 290), (290, 320), (40, 2))
    t = np.arange(frames)[:, None, None]
    out = points + np.concatenate([0.5 * t, 0.2 * t], axis=-1)
    out[:, sets.LIPS_INNER_LOWER, 1] += 5 + 5 * np.sin(t[:, 0] / 2.0)
    return out.astype(np.float32)


def test_lip_distance_is_the_length_of_a_shift():
    truth = face()
    assert lip_distance_px(truth + np.float32([3, 4]), truth) == pytest.approx(np.full(40, 5), abs=1e-3)
    assert lip_shape_px(truth + np.float32([3, 4]), truth) == pytest.approx(np.zeros(40), abs=1e-3)
    moved = truth.copy()
    moved[:, sets.BROWS] += 50
    assert (lip_distance_px(moved, truth) == 0).all()


def test_lip_distance_counts_every_lip_point():
    truth = face(1)[0]
    moved = truth.copy()
    moved[13] += np.float32([0, 8])
    assert lip_distance_px(moved, truth) == pytest.approx(8 / 40, abs=1e-4)


def test_jitter_is_blind_to_steady_motion():
    assert jitter_px(face()) == pytest.approx(0, abs=1e-4)


def test_jitter_of_known_noise():
    """White noise of deviation s per coordinate has an RMS second difference of sqrt(2 * 6) s."""
    noise = np.random.default_rng(1).normal(scale=0.7, size=(4000, len(STEADY), 2))
    landmarks = np.zeros((4000, 478, 2))
    landmarks[:, STEADY] = noise
    assert jitter_px(landmarks) == pytest.approx(0.7 * np.sqrt(12), rel=0.02)


def test_jitter_skips_missing_frames():
    landmarks = face().copy()
    landmarks[10] = np.nan
    assert jitter_px(landmarks) == pytest.approx(0, abs=1e-4)
    landmarks[1::2] = np.nan
    assert jitter_px(landmarks) is None
    assert jitter_px(landmarks[:2]) is None


@pytest.mark.parametrize(
    "width, height, lips, side", [(512, 512, 70, 140), (330, 512, 70, 140), (60, 400, 70, 60), (512, 340, 12, 64)]
)
def test_mouth_box_is_square_and_lies_in_the_picture(width, height, lips, side):
    landmarks = np.zeros((478, 2))
    landmarks[sets.LIPS] = [300, 310]
    landmarks[61], landmarks[291] = (300 - lips / 2, 310), (300 + lips / 2, 310)
    rows, columns = mouth_box(landmarks, width, height)
    assert 0 <= rows.start < rows.stop <= height and 0 <= columns.start < columns.stop <= width
    assert rows.stop - rows.start == columns.stop - columns.start == side
    if width == height == 512:
        assert (rows.start, columns.start) == (240, 230)


def test_summary_of_a_perfect_render():
    truth = face(60) + np.random.default_rng(0).normal(scale=0.3, size=(60, 478, 2)).astype(np.float32)
    scores = Scores()
    for points in truth:
        scores.add_face(points, points)
        scores.add_picture(psnr_head=40.0, csim=None)
    summary = scores.summary()
    assert summary["lip_distance_px"] == 0 and summary["faces_missing"] == 0
    assert summary["jitter"] == pytest.approx(1)
    assert summary["mouth_open_correlation"] == pytest.approx(1)
    assert summary["sync_offset_frames"] == pytest.approx(0, abs=0.05)
    assert summary["psnr_head"] == 40 and summary["csim"] is None and summary["seam"] is None


def test_a_late_mouth_is_measured():
    truth = face(60)
    scores = Scores()
    for index in range(60):
        scores.add_face(truth[max(0, index - 2)], truth[index])
    assert scores.summary()["sync_offset_frames"] == pytest.approx(2, abs=0.3)


def test_faces_not_found_are_reported_not_hidden():
    truth = face(60)
    scores = Scores()
    for index in range(60):
        scores.add_face(None if index % 5 == 0 else truth[index], None if index == 3 else truth[index])
    summary = scores.summary()
    assert summary["faces_missing"] == 12
    assert summary["lip_distance_px"] == 0
    assert np.isnan(scores.lip_distance()[[0, 3, 5]]).all() and np.isfinite(scores.lip_distance()[1])


def test_a_render_without_any_face():
    scores = Scores()
    for points in face(30):
        scores.add_face(None, points)
    summary = scores.summary()
    assert summary["faces_missing"] == 30
    for key in ("lip_distance_px", "jitter", "mouth_open_correlation", "sync_offset_frames"):
        assert summary[key] is None


def test_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="psnr_hed"):
        Scores().add_picture(psnr_hed=1.0)


def test_ratios_to_truth_are_of_the_means():
    scores = Scores()
    scores.add_face(None, None)
    for render, truth in ((3.0, 1.0), (1.0, 3.0)):
        scores.add_pair("flicker", render, truth)
        scores.add_pair("seam_gradient", 2 * render, truth)
        scores.add_pair("seam_jump", render, 2 * truth)
    summary = scores.summary()
    assert summary["flicker"] == 1
    assert (summary["seam_ratio"], summary["seam_gradient"], summary["seam_jump"]) == (2, 4, 2)
    assert scores.true_seam() == {"seam_gradient": 2, "seam_jump": 4}


def test_ratios_without_a_measure_are_null():
    scores = Scores()
    scores.add_face(None, None)
    scores.add_pair("flicker", 1.0, 0.0)
    summary = scores.summary()
    assert summary["flicker"] is None and summary["seam_ratio"] is None and summary["seam_jump"] is None
