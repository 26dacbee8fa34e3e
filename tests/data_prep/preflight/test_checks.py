"""The table of checks, the page made of it, and what the figures are measured from."""
from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.ingest import Scan
from data_prep.preflight import measure
from data_prep.preflight.checks import CHECKS, GROUPS, judge
from data_prep.preflight.listen import band, sound_verdicts
from data_prep.preflight.looks import Look, combing, turned
from data_prep.preflight.shots import Take
from data_prep.preflight.steadiness import CameraWatch
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import Crop, MediaInfo, Timing

ROOT = Path(__file__).parents[3]
INFO = MediaInfo(Path("a.mp4"), 40.0, 640, 480, 25.0, 0, 0.0, False, 48000, 2, "h264", "aac", "yuv420p")
TIMING = Timing(1000, 40.0, 0.0, 0.04, 0.04)
GOOD = Look(0, (200.0, 100.0, 320.0, 260.0), sharpness=10, brightness=120, camera=(0.0, 0.0))
CROP = Crop(100, 0, 480, 640, 480)


def scan_of(*looks: Look) -> Scan:
    return Scan(len(looks) * 5, 640, 480, (), 50.0, (), tuple(replace(l, frame=5 * i) for i, l in enumerate(looks)))


def verdicts(scan: Scan, info=INFO, timing=TIMING, take=None) -> dict:
    take = take or Take(0, scan.frames, (), ())
    config = PrepareConfig(size=480)
    found = measure.recording_verdicts(info, timing, scan, take, config)
    found += measure.picture_verdicts(scan, take, CROP, config)
    return {verdict.check: verdict for verdict in found}


def test_table_is_whole():
    assert {check.group for check in CHECKS.values()} == set(GROUPS)
    for check in CHECKS.values():
        assert check.least is not None or check.most is not None
        assert check.advice and check.measures and check.form.format(1.0)


def test_page_is_what_the_table_says():
    spec = importlib.util.spec_from_file_location("explain_checks", ROOT / "tools" / "explain_checks.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (ROOT / "docs" / "filming.md").read_text("utf-8") == tool.page(), "run tools/explain_checks.py"


def test_judgement_has_number_verdict_and_advice():
    good, bad = judge("frame rate", 25.0), judge("frame rate", 12.0, "slow")
    assert (good.verdict, good.number, good.value, good.advice) == ("ok", 25.0, "25 fps", "")
    assert (bad.verdict, bad.number, bad.value) == ("warn", 12.0, "12 fps (slow)") and "25 fps" in bad.advice
    assert judge("sound in time", -2.4).verdict == judge("sound in time", 2.4).verdict == "warn"


def test_a_good_recording_has_no_warnings():
    found = verdicts(scan_of(*[GOOD] * 200))
    assert {v.verdict for v in found.values()} == {"ok"} and len(found) >= 20


@pytest.mark.parametrize("check,change,every", [
    ("face found", {"face": None}, 20), ("one person", {"second": 0.5}, 20), ("facing the camera", {"turned": -0.8}, 5),
    ("nothing in front", {"hand": 0.3}, 10), ("nothing in front", {"odd": 0.3}, 10),
    ("nothing in front", {"changed": 0.3}, 10), ("brightness", {"brightness": 20}, 1),
    ("black and white", {"clipped": 0.3}, 1), ("steady light", {"brightness": 200}, 2),
    ("exposure jumps", {"light_step": 20}, 200), ("white-balance jumps", {"colour_step": 9}, 200),
    ("sharpness", {"sharpness": 2.0}, 1), ("camera", {"camera": (30.0, 0.0)}, 4), ("interlacing", {"combed": 30.0}, 3),
])
def test_each_fault_of_the_picture_is_named_alone(check, change, every):
    looks = [replace(GOOD, **change) if i % every == every - 1 else GOOD for i in range(200)]
    found = verdicts(scan_of(*looks))
    assert [name for name, verdict in found.items() if verdict.verdict == "warn"] == [check]
    assert found[check].advice == CHECKS[check].advice and np.isfinite(found[check].number)


@pytest.mark.parametrize("check,info,timing", [
    ("frame rate", {}, Timing(480, 40.0, 0.0, 0.08, 0.08)), ("even timing", {}, Timing(1000, 40.0, 0.4, 0.08, 0.04)),
    ("whole file", {"duration": 60.0}, TIMING), ("interlacing", {"interlaced": True}, TIMING),
    ("dynamic range", {"dynamic_range": "HLG"}, TIMING),
])
def test_each_fault_of_the_recording_is_named_alone(check, info, timing):
    found = verdicts(scan_of(*[GOOD] * 200), replace(INFO, **info), timing)
    assert [name for name, verdict in found.items() if verdict.verdict == "warn"] == [check]


def test_a_head_turned_away_is_not_taken_for_a_covered_one():
    looks = [replace(GOOD, turned=0.4, changed=0.35) if i % 10 == 9 else GOOD for i in range(200)]
    assert verdicts(scan_of(*looks))["nothing in front"].verdict == "ok"


def test_cuts_jumps_and_length():
    found = verdicts(scan_of(*[GOOD] * 200), take=Take(300, 900, (100,), (300, 900)))
    assert {name for name, verdict in found.items() if verdict.verdict == "warn"} == {"length", "cuts", "jumps"}
    assert "12.00 s to 36.00 s" in found["cuts"].value


def test_faults_of_the_sound():
    rate, config = 16000, PrepareConfig()
    rng = np.random.default_rng(0)
    gate = np.repeat(rng.uniform(0, 1, 200) > 0.3, rate // 20)
    speech = (0.1 * gate * rng.normal(0, 1, len(gate)) + 1e-4 * rng.normal(0, 1, len(gate))).astype(np.float32)

    def warned(audio, covered=1.0, info=INFO):
        return [v.check for v in sound_verdicts(info, audio, rate, config, covered) if v.verdict == "warn"]

    assert warned(speech) == []
    assert warned(np.clip(40 * speech, -1, 1)) == ["clipping"]
    assert warned(speech + 0.05 * rng.normal(0, 1, len(gate)).astype(np.float32)) == ["noise"]
    assert warned(0.02 * speech) == ["loudness"]
    assert warned(speech, covered=0.5) == ["sound length"]
    assert warned(np.zeros_like(speech)) == ["loudness"]
    from scipy.signal import butter, sosfiltfilt

    telephone = sosfiltfilt(butter(12, 3400, fs=rate, output="sos"), speech).astype(np.float32)
    assert warned(telephone) == ["sound band"]
    assert band(telephone, rate) == pytest.approx(3.7, abs=0.6) and band(speech, rate) == pytest.approx(8, abs=0.3)


def texture(seed: int = 0, size: int = 400) -> np.ndarray:
    import cv2

    coarse = np.random.default_rng(seed).uniform(0, 255, (40, 40)).astype(np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def test_camera_motion_is_measured_round_a_still_person():
    scene, face = texture(), np.array([130.0, 90.0, 190.0, 170.0])
    person = texture(9)[:80, :60]
    watch, places = CameraWatch(), []
    for step in range(25):
        picture = scene[step:step + 240, 3 * step:3 * step + 320].copy()
        picture[90:170, 130:190] = person
        places.append(watch.add(picture, face))
    assert places[0] is None
    assert np.abs(np.array(places[1:]) - np.outer(np.arange(1, 25), [-3, -1])).max() < 0.5


def test_plain_surroundings_tell_nothing_and_a_cut_no_motion():
    watch = CameraWatch()
    assert [watch.add(np.full((240, 320), 90, np.uint8), None) for _ in range(3)] == [None] * 3
    first, second = texture(1)[:240, :320], texture(2)[:240, :320]
    watch = CameraWatch()
    places = [watch.add(picture, None) for picture in (first, first, second, second)]
    assert places[0] is None and places[2] is None
    assert np.abs(np.array([places[1], places[3]])).max() < 0.1


def test_camera_travel_needs_enough_looks():
    assert measure.camera_travel([replace(GOOD, camera=None)] * 10 + [GOOD] * 2) is None
    looks = [replace(GOOD, camera=(float(x), 0.0)) for x in range(-50, 51)]
    assert measure.camera_travel(looks) == pytest.approx(49, abs=1.5)
    assert measure.camera_moves(looks, CROP) and not measure.camera_moves([GOOD] * 9, CROP)


def test_combing_tells_woven_fields():
    still = np.repeat(texture()[..., None], 3, -1)
    assert combing(still) < 3
    woven = still.copy()
    woven[1::2] = np.roll(still, 8, axis=1)[1::2]
    assert combing(woven) > 12
    assert combing(still[:20]) == 0


def test_turned():
    landmarks = np.zeros((478, 2))
    landmarks[234], landmarks[454] = (0, 10), (100, 10)
    for nose, expected in ((50, 0.0), (75, 0.5), (5, -0.9), (120, 1.0)):
        landmarks[1] = (nose, 30)
        assert turned(landmarks) == pytest.approx(expected)


def test_a_gap_does_not_make_a_low_frame_rate():
    config = PrepareConfig()
    measure.check_timing(INFO, Timing(200, 60.0, 0.01, 52.0, 0.04), config)
    with pytest.raises(UserError, match="5 pictures a second"):
        measure.check_timing(INFO, Timing(200, 40.0, 0.0, 0.2, 0.2), config)
    with pytest.raises(UserError, match="at least 2.5 s"):
        measure.check_timing(INFO, Timing(50, 2.0, 0.0, 0.04, 0.04), config)
