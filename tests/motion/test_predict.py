"""Speech features to motion, with the shipped weights and basis."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface.config import MotionConfig
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis
from geneface.face.landmarks import mouth_opening
from geneface.motion import edits
from geneface.motion.blinks import shut_weights
from geneface.motion.measures import MouthMeasures
from geneface.motion.metrics import mouth_metrics
from geneface.motion.predict import RELEASE, predict
from geneface.types import Avatar, CameraTrack, MotionSequence, SpeechFeatures

STILL = MotionConfig(blinks_per_minute=0.0, gaze_degrees=0.0, breathing=0.0)
JAW = ARKIT_NAMES.index("jawOpen")


def speech(frames: int, seed: int = 0, level: float = -20.0) -> SpeechFeatures:
    """Random features, smooth in time, loud."""
    random = np.random.default_rng(seed)
    content = random.standard_normal((frames // 8 + 2, 512)).repeat(8, 0)[:frames].astype(np.float32)
    return SpeechFeatures(content, np.full(frames, 5.0, np.float32), np.full(frames, level, np.float32),
                          np.full(frames, 0.9, np.float32), np.ones(frames, np.float32), 50.0)


def person(seed: int = 0) -> Avatar:
    random = np.random.default_rng(seed)
    expression = np.zeros((300, 52), np.float32)
    jaw, pucker, blink = (ARKIT_NAMES.index(name) for name in ("jawOpen", "mouthPucker", "eyeBlinkLeft"))
    expression[:, jaw], expression[:, pucker] = random.uniform(0, 0.3, 300), random.uniform(0, 0.2, 300)
    expression[::20, blink] = expression[::20, blink + 1] = 0.55
    camera = CameraTrack(np.eye(3), np.tile(np.eye(4), (300, 1, 1)), 8, 8, 25.0)
    return Avatar({}, {}, np.zeros(3), load_basis().landmarks68(expression), expression, camera,
                  np.zeros((8, 8, 3), np.uint8), {}, {})


def test_release_weights_are_small_enough():
    assert RELEASE.stat().st_size <= 12 * 10**6


@pytest.mark.parametrize("frames", [1, 2, 7, 101, 600])
def test_shapes_and_ranges(frames):
    motion = predict(speech(frames))
    assert len(motion) == -(-frames // 2) and motion.fps == 25 and motion.head_pose is None
    assert motion.expression.min() >= 0 and motion.expression.max() <= 1
    np.testing.assert_allclose(motion.landmarks, load_basis().landmarks68(motion.expression), atol=1e-6)


def test_deterministic_under_a_seed():
    one, again, other = (predict(speech(400), None, MotionConfig(temperature=0.5), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.expression, again.expression)
    assert (one.expression != other.expression).any() and (one.blink != other.blink).any()


def test_silence_closes_the_mouth():
    features = speech(600)
    spoken = features.speech.copy()
    spoken[200:400] = 0.05
    motion = predict(replace(features, speech=spoken), None, STILL)
    opening = 1000 * mouth_opening(motion.landmarks)
    assert opening[112:188].max() < 1.5 and np.ptp(opening[112:188]) < 1e-3
    silent = predict(replace(features, speech=np.zeros_like(spoken)), None, STILL)
    assert np.ptp(mouth_opening(silent.landmarks)) < 1e-6


def test_amplitude_scales_the_mouth():
    small, large = (predict(speech(400), None, replace(STILL, amplitude=a)) for a in (0.3, 1.0))
    assert mouth_opening(small.landmarks).std() < 0.6 * mouth_opening(large.landmarks).std()


def test_person_bounds_the_motion():
    avatar = person()
    motion = predict(speech(400), avatar, STILL)
    jaw, smile = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthSmileLeft")
    assert motion.expression[:, jaw].max() <= np.quantile(avatar.expression_reference[:, jaw], 0.97) + 1e-6
    assert not motion.expression[:, smile].any()  # they never smiled
    with pytest.raises(UserError, match="clamp_quantile: must lie from 0 to 0.5"):
        predict(speech(400), avatar, replace(STILL, clamp_quantile=0.7))


def still(frames: int) -> MotionSequence:
    weights = np.zeros((frames, 52), np.float32)
    return MotionSequence(load_basis().landmarks68(weights), weights, np.zeros(frames, np.float32),
                          np.zeros((frames, 2), np.float32), 25.0, "still")


def test_blinks_shut_the_lids():
    measures = MouthMeasures.of_basis()
    shut = shut_weights(measures)
    landmarks = edits.blink(still(3), np.array([0, 0.5, 1.0]), 1.0, shut).landmarks
    gap = landmarks[:, [41, 40, 47, 46], 1].mean(1) - landmarks[:, [37, 38, 43, 44], 1].mean(1)
    assert gap[0] > 0.004 and abs(gap[2]) < 5e-4 and gap[0] > gap[1] > gap[2]
    assert shut_weights(measures, person().expression_reference)["eyeBlinkLeft"] == pytest.approx(0.55, abs=1e-3)


def test_gaze_turns_both_eyes_the_same_way():
    measures, basis = MouthMeasures.of_basis(), load_basis()
    weights = edits.look(still(2), np.radians([[5.0, 2.0], [-5.0, -2.0]]), 1.0).expression
    moved = (basis.landmarks478(None, weights) - basis.landmarks478())[:, [468, 473]]
    assert (moved[0, :, 0] > 0).all() and (moved[1, :, 0] < 0).all()
    assert (moved[0, :, 1] < 0).all() and (moved[1, :, 1] > 0).all()


def test_each_behaviour_can_be_switched_off_alone():
    features, avatar = speech(1000), person()
    plain = predict(features, avatar, STILL)
    assert not plain.blink.any() and not plain.gaze.any() and plain.head_pose is None
    blinking = predict(features, avatar, replace(STILL, blinks="1.0, 5.0"))
    assert blinking.blink[28] > 0.8 and not blinking.gaze.any()
    looking = predict(features, avatar, replace(STILL, gaze_yaw=4.0, gaze_pitch=-2.0))
    np.testing.assert_allclose(np.degrees(looking.gaze), np.tile([4.0, -2.0], (500, 1)), atol=1e-4)
    for one in (blinking, looking):
        np.testing.assert_array_equal(one.expression[:, JAW], plain.expression[:, JAW])
    breathing = predict(features, avatar, replace(STILL, breathing=1.0))
    assert 0 < np.abs(breathing.expression[:, JAW] - plain.expression[:, JAW]).max() < 0.02
    # Each has a random source of its own: gaze is the same with and without blinks.
    both = predict(features, avatar, MotionConfig(gaze_degrees=1.0))
    np.testing.assert_array_equal(both.gaze, predict(features, avatar, replace(STILL, gaze_degrees=1.0)).gaze)


def test_head_poses(tmp_path):
    features, avatar = speech(400), person()
    poses = np.tile(np.eye(4), (300, 1, 1))
    poses[:, 0, 3], poses[:, 2, 3] = 0.01 * np.sin(np.arange(300) / 20), 0.6
    avatar = replace(avatar, camera=replace(avatar.camera, head_to_camera=poses))
    sampled = predict(features, avatar, replace(STILL, head="sample"))
    assert sampled.head_pose.shape == (200, 4, 4) and sampled.head_pose[:, 0, 3].std() > 0.003
    np.testing.assert_array_equal(sampled.head_pose, predict(features, avatar, replace(STILL, head="sample")).head_pose)
    kept = predict(features, avatar, replace(STILL, head="still"))
    np.testing.assert_allclose(kept.head_pose, poses[:1].repeat(200, 0))
    with pytest.raises(UserError, match="speak with an avatar"):
        predict(features, None, replace(STILL, head="sample"))
    with pytest.raises(UserError, match="replay, sample or still"):
        predict(features, avatar, replace(STILL, head="nod"))


def test_style_of_another(tmp_path):
    quiet = person()
    expression = 0.4 * quiet.expression_reference
    replace(quiet, expression_reference=expression, motion_reference=load_basis().landmarks68(expression)).save(
        tmp_path / "quiet.avatar")
    config = replace(STILL, lle_strength=0.0, clamp_quantile=0.0)
    own = predict(speech(400), quiet, config)
    prompted = predict(speech(400), quiet, replace(config, style=str(tmp_path / "quiet.avatar")))
    assert 0.2 < mouth_opening(prompted.landmarks).std() / mouth_opening(own.landmarks).std() < 0.7
    with pytest.raises(UserError, match="style"):
        predict(speech(400), quiet, replace(config, style=str(tmp_path / "nobody.wav")))


def test_errors(tmp_path):
    with pytest.raises(UserError, match="empty"):
        predict(SpeechFeatures(np.zeros((0, 512), np.float32), *(np.zeros(0, np.float32),) * 4, 50.0))
    with pytest.raises(ValueError, match="content channels"):
        predict(replace(speech(10), content=np.zeros((10, 7), np.float32)))
    with pytest.raises(ValueError, match="per second"):
        predict(replace(speech(10), fps=100.0))
    with pytest.raises(UserError, match="no such motion model"):
        predict(speech(10), None, MotionConfig(model=str(tmp_path / "none.safetensors")))


def test_metrics_of_known_motion():
    measures = MouthMeasures.of_basis()
    weights = np.zeros((100, 52), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = 0.2 + 0.2 * np.sin(np.arange(100) / 5)
    tracked = measures.landmarks(weights)
    same = mouth_metrics([(tracked, tracked)])
    assert same["mouth_open_correlation"] == pytest.approx(1) and same["lip_velocity_error"] == 0
    assert same["closure_error"] == 0 and same["jitter"] == same["tracked_jitter"]
    still = mouth_metrics([(np.repeat(tracked[:1], 100, 0), tracked)])
    assert still["mouth_open_correlation"] is None and still["mouth_open_variance"] == pytest.approx(0)
    assert still["lip_velocity_error"] == pytest.approx(still["still_lip_velocity_error"])
    assert still["closure_error"] > 0.2
    assert mouth_metrics([])["mouth_open_correlation"] is None
