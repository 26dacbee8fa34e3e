"""Statistics of how a person moves."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.motion.blinks import BLINK
from geneface.motion.measures import MouthMeasures
from geneface.motion.style import SpeakingStyle
from geneface.types import Avatar, CameraTrack, MotionSequence

NEUTRAL = MouthMeasures.of_basis().neutral


def mouth(opening: np.ndarray, width: np.ndarray | float = 0.05) -> np.ndarray:
    """Landmarks [T, 68, 3] whose inner lips and corners are so far apart [m]."""
    landmarks = np.zeros((len(opening), 68, 3), np.float32)
    landmarks[:, 66, 1] = opening
    landmarks[:, 54, 0] = width
    return landmarks


def test_quantiles_in_speech_alone():
    opening = np.concatenate([np.linspace(0, 0.01, 101), np.full(500, 0.03)])
    style = SpeakingStyle.of_landmarks(mouth(opening, 0.04), 25.0, np.arange(601) < 101)
    np.testing.assert_allclose(style.opening, [0.0005, 0.0025, 0.005, 0.0075, 0.0095], atol=1e-6)
    np.testing.assert_allclose(style.width, 0.04, atol=1e-7)
    # Of 20 lip points one moves, by 0.1 mm a frame.
    np.testing.assert_allclose(style.speed, 1e-4 * 25 / 20, rtol=1e-2)


def test_amplitude_is_the_ratio_of_openings_within_bounds():
    style = SpeakingStyle.of_landmarks(mouth(np.linspace(0, 0.01, 101)))  # 5-95 % range of the opening: 9 mm
    assert style.amplitude(0.012) == pytest.approx(0.75, rel=1e-3)
    assert style.amplitude(0.1) == 0.4 and style.amplitude(0.001) == 1.5 and style.amplitude(0.0) == 1.0
    assert SpeakingStyle.usual(0.012).amplitude(0.012) == pytest.approx(1.0)


def test_eyes_and_head():
    frames = 1500
    closure, gaze = np.zeros(frames), np.zeros((frames, 2))
    for start in range(10, frames - 20, 125):  # every five seconds
        closure[start:start + len(BLINK)] = BLINK
    gaze[:, 0] = np.radians(2) * np.where(np.arange(frames) % 50 < 25, 1, -1)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    angle = 0.1 * np.sin(2 * np.pi * np.arange(frames) / 100)
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(angle)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(angle), -np.sin(angle)
    style = SpeakingStyle.of_landmarks(mouth(np.linspace(0, 0.01, frames)), 25.0, None, closure, gaze, poses)
    assert style.blinks_per_minute == pytest.approx(12, abs=0.5)
    np.testing.assert_allclose(style.blink, BLINK, atol=1e-6)
    np.testing.assert_allclose(np.degrees(style.gaze), [2.0, 0.3], atol=1e-5)  # never quite fixed
    np.testing.assert_allclose(style.head, [0.1 / 2**0.5, 25 * 0.1 / 2**0.5 * 2 * np.pi / 100], rtol=0.01)


def test_no_speech_and_single_frames():
    style = SpeakingStyle.of_landmarks(mouth(np.array([0.01])), spoken=np.zeros(1, bool))
    assert style.opening_range == 0 and style.blinks_per_minute == 17
    with pytest.raises(ValueError, match="no recorded frame"):
        SpeakingStyle.of_landmarks(mouth(np.zeros(0)))


def test_kept_in_avatars_and_read_from_files(tmp_path):
    own = SpeakingStyle.of_landmarks(mouth(np.linspace(0, 0.01, 400)), closure=np.tile(np.append(BLINK, [0] * 88), 4))
    landmarks = mouth(np.linspace(0, 0.02, 5))
    camera = CameraTrack(np.eye(3), np.tile(np.eye(4), (5, 1, 1)), 8, 8, 25.0)
    plate, weights = np.zeros((8, 8, 3), np.uint8), np.zeros((5, 52), np.float32)
    parts = ({}, {}, np.zeros(3), landmarks, weights, camera, plate, {}, {})
    Avatar(*parts, {f"style.{name}": value for name, value in own.tensors().items()}).save(tmp_path / "new.avatar")
    Avatar(*parts).save(tmp_path / "old.avatar")
    again = SpeakingStyle.of_file(tmp_path / "new.avatar")
    for name, value in own.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], value)
    assert SpeakingStyle.of_file(tmp_path / "old.avatar").opening[-1] == pytest.approx(0.019, rel=1e-3)
    motion = MotionSequence(landmarks, np.zeros((5, 52)), np.zeros(5), np.zeros((5, 2)), 25.0, "made up")
    motion.save(tmp_path / "m.npz")
    assert SpeakingStyle.of_file(tmp_path / "m.npz").opening[-1] == pytest.approx(0.019, rel=1e-3)
    with pytest.raises(UserError, match="give one of these"):
        SpeakingStyle.of_file(tmp_path / "song.wav")
