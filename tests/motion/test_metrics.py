"""Measures of generated motion, on motions whose figures are known."""
from __future__ import annotations

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.tracking.fit import fit_track
from data_prep.tracking.landmarks import detect_landmarks
from geneface import media
from geneface.face.landmarks import LIPS_68, mouth_opening
from geneface.motion.bilabials import bilabial_metrics, closures
from geneface.motion.comparison import Comparison
from geneface.motion.evaluate import metrics
from geneface.motion.evaluation_page import lip_lines, write_page
from geneface.motion.generate import generate_weights
from geneface.motion.judges import sync_metrics
from geneface.motion.measures import MouthMeasures
from geneface.motion.metrics import correlation, mouth_metrics, seed_metrics
from geneface.motion.predict import load_generator
from geneface.motion.sync import CONFIDENT, SyncResult
from geneface.speech.features import extract
from geneface.speech.melody import melody

pytestmark = pytest.mark.usefixtures("one_thread")


def mouth(opening, width=None, seed=0) -> np.ndarray:
    """[T, 68, 3] lips [m] whose inner middles are `opening` apart and whose corners are `width` apart."""
    face = np.zeros((len(opening), 68, 3), np.float32)
    face[:] = np.random.default_rng(seed).normal(0, 0.02, (68, 3))
    face[:, [62, 66, 48, 54]] = 0
    face[:, 66, 1] = opening
    face[:, 48, 0] = -0.025 if width is None else -np.asarray(width) / 2
    face[:, 54, 0] = 0.025 if width is None else np.asarray(width) / 2
    return face


@pytest.fixture
def tracked() -> np.ndarray:
    time = np.arange(100)
    return mouth(0.006 - 0.006 * np.cos(2 * np.pi * time / 25), 0.05 + 0.003 * np.sin(2 * np.pi * time / 20))


def test_equal_motions(tracked):
    figures = mouth_metrics([(tracked, tracked)])
    assert figures["mouth_open_correlation"] == pytest.approx(1) and figures["mouth_open_variance"] == pytest.approx(1)
    for name in ("lip_distance_mm", "lip_shape_mm", "lip_velocity_error", "closure_error"):
        assert figures[name] == pytest.approx(0, abs=1e-9), name
    assert figures["jitter"] == figures["tracked_jitter"] > 0


def test_a_mouth_moved_aside_keeps_its_shape(tracked):
    figures = mouth_metrics([(tracked + np.array([0.003, 0.004, 0], np.float32), tracked)])
    assert figures["lip_distance_mm"] == pytest.approx(5, rel=1e-4)
    assert figures["lip_shape_mm"] == pytest.approx(0, abs=1e-4)
    assert figures["lip_velocity_error"] == pytest.approx(0, abs=1e-4)


def test_half_the_movement(tracked):
    mean = tracked.mean(0)
    figures = mouth_metrics([(mean + (tracked - mean) / 2, tracked)])
    assert figures["mouth_width_correlation"] == pytest.approx(1, abs=1e-6)
    assert figures["mouth_open_variance"] == pytest.approx(0.25, rel=1e-4)
    assert figures["lip_velocity_error"] == pytest.approx(figures["still_lip_velocity_error"] / 2, rel=1e-3)
    assert figures["jitter"] == pytest.approx(figures["tracked_jitter"] / 2, rel=1e-3)


def test_late_motion_correlates_less(tracked):
    late = np.roll(tracked, 6, axis=0)  # a quarter of the opening's period
    assert abs(mouth_metrics([(late, tracked)])["mouth_open_correlation"]) < 0.1


def test_closure_error_is_measured_where_the_tracked_mouth_is_shut():
    shut = np.repeat([0.0, 0.01], 50)
    figures = mouth_metrics([(mouth(np.where(shut == 0, 0.002, 0.05)), mouth(shut))])
    assert figures["closure_error"] == pytest.approx(0.2, rel=1e-4)  # 2 mm of a range of 10 mm


def test_what_does_not_move_has_no_correlation():
    assert correlation(np.zeros(9), np.arange(9)) is None
    figures = mouth_metrics([(mouth(np.ones(9)), mouth(np.ones(9)))])
    assert figures["mouth_open_correlation"] is figures["mouth_open_variance"] is figures["closure_error"] is None
    assert mouth_metrics([])["clips"] == 0 and mouth_metrics([])["lip_distance_mm"] is None


def bilabial_motion(depths: dict[int, float]) -> np.ndarray:
    """An open mouth (10 mm) that closes to `depths` of the way open at some frames, and is shut at the end."""
    opening = np.full(100, 0.01)
    opening[80:] = 0
    for frame, depth in depths.items():
        opening[frame] = 0.01 * depth
    return mouth(opening)


WORDS = ((0.36, 0.8, "bin"), (0.8, 1.16, "red"), (1.16, 1.64, "m"), (2.0, 2.4, "place"))


def test_bilabials_are_looked_for_at_their_place_in_the_word():
    # bin at 0.39 s, m at 1.67 s, place at 2.03 s: frames 9, 41 and 50. "red" closes as well, but nobody asks.
    real = bilabial_motion({9: 0.05, 25: 0.0, 41: 0.0, 50: 0.3})
    made = bilabial_motion({10: 0.08, 25: 0.0, 41: 0.5, 46: 0.0, 56: 0.0})  # frame 46 is too late for m, 56 for place
    found = closures([made], [real], [WORDS])
    assert [(one.word, round(one.generated, 3), round(one.tracked, 3)) for one in found] == [
        ("bin", 0.08, 0.05), ("m", 0.5, 0.0), ("place", 1.0, 0.3)]
    figures = bilabial_metrics(found)
    assert figures["bilabials"] == 3 and figures["bilabial_closure"] == pytest.approx(1 / 3)
    assert figures["tracked_bilabial_closure"] == pytest.approx(2 / 3)
    assert figures["bilabial_match"] == pytest.approx(1 / 3)
    assert figures["bilabial_error"] == pytest.approx((0.03 + 0.5 + 0.7) / 3, rel=1e-4)


def test_no_timings_no_bilabials():
    motion = bilabial_motion({})
    assert bilabial_metrics(closures([motion], [motion], [None]))["bilabial_closure"] is None


def test_seeds(tracked):
    aside = tracked.copy()
    aside[:, LIPS_68, 2] += 0.002
    figures = seed_metrics([(tracked, aside)], [tracked])
    assert figures["seed_distance_mm"] == pytest.approx(2, rel=1e-4)
    assert figures["sampled_open_variance"] == pytest.approx(1, rel=1e-4)
    assert seed_metrics([], []) == {"seed_distance_mm": None, "sampled_open_variance": None}


def test_clips_are_in_sync_only_where_the_expert_is_sure(tracked):
    """Generated: in time; clearly late; in time but hardly moving; silence. Tracked: all in time."""
    said = [(0.4, 0.6), (1.4, 0.6), (0.0, CONFIDENT - 0.01), (0.0, 0.0)] + 4 * [(-0.9, CONFIDENT)]
    results = iter([SyncResult(frames, confidence, 1.0, np.zeros(31)) for frames, confidence in said])
    expert = SimpleNamespace(offset=lambda content, tune, mouth: next(results))
    features = np.zeros((200, 4), np.float32)
    figures = sync_metrics(4 * [Comparison("clip", tracked, tracked, features, features)], expert)
    assert figures["sync_within_1"] == 0.25 and figures["tracked_sync_within_1"] == 1.0
    assert figures["sync_offset"] == pytest.approx(0.45)


class Page(HTMLParser):
    """Counts elements and checks that every one is closed in order."""

    VOID = {"meta", "input", "img", "br", "link"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.count, self.links = [], {}, []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_moves_and_is_complete_in_itself(tracked, tmp_path):
    features = np.zeros((200, 4), np.float32)
    compared = [Comparison(f"<{i}>", tracked * (1 + i), tracked, features, features,
                           audio=None if i else np.zeros(64000, np.float32)) for i in range(5)]
    path = write_page(tmp_path / "page.html", compared, {"clips": 5, "jitter": 0.5})
    page = Page(path.read_text("utf-8"))
    assert page.count["canvas"] == page.count["input"] == 3 and page.count["audio"] == 1
    assert page.count["script"] == 1 and page.count["img"] == 5
    assert all(link.startswith("data:") for link in page.links)
    assert "&lt;4&gt;" in path.read_text("utf-8") and (tmp_path / "page.json").is_file()


def test_lines_show_the_motion_inside_the_figure(tracked):
    lines = lip_lines(tracked, tracked)
    points = np.concatenate([line.points for line in lines], axis=1)
    assert points.min() > -1 and points[..., 0].max() < 901 and points[..., 1].max() < 211
    inner = lines[2].points  # of the tracked mouth: points 60 to 67
    drawn = inner[:, 6, 1] - inner[:, 2, 1]
    assert np.corrcoef(drawn, mouth_opening(tracked))[0, 1] == pytest.approx(1, abs=1e-6)


def test_figures_of_a_held_out_sentence(footage):
    """The shipped model on "bin blue at l nine again", which nothing was trained on; tracked here."""
    clip = footage / "grid" / "s1" / "bbal9a.mp4"
    info = media.probe(clip)
    _, face, _ = fit_track(detect_landmarks(media.read_frames(clip, 25), 25), info.width, info.height, 25)
    speech, measures = extract(media.read_audio(clip)), MouthMeasures.of_basis()
    content, tune = speech.content[:2 * len(face)], melody(speech)[:2 * len(face)]
    tracked = measures.landmarks(face.expression).astype(np.float32)
    words = tuple((float(a), float(b), word) for a, b, word in
                  json.loads((footage / "grid" / "s1_alignments.json").read_text("utf-8"))["bbal9a"] if word != "sil")
    made = measures.landmarks(generate_weights(load_generator(), content, tune)).astype(np.float32)
    figures = metrics([Comparison("bbal9a", made, tracked, content, tune, words=words)])
    assert figures["mouth_open_correlation"] > 0.8
    assert figures["lip_velocity_error"] < figures["still_lip_velocity_error"]
    assert figures["sync_within_1"] == 1.0 and abs(figures["sync_offset"]) <= 1
    assert figures["bilabials"] == 2 and figures["bilabial_error"] < 0.2
    assert 0 <= figures["wer_generated"] <= 1
    still = metrics([Comparison("still", np.repeat(tracked[:1], len(tracked), 0), tracked, content, tune, words=words)])
    assert still["wer_generated"] > 0.5 and still["sync_within_1"] == 0.0
