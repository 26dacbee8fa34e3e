"""A driving video to motion: which part is taken, at which rate, and what is refused."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.driving import longest_stretch, own_rate, track_video
from geneface import media
from geneface.errors import UserError
from geneface.media import Timing


def test_the_longest_stretch_with_a_face():
    found = np.array([0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0], bool)
    assert longest_stretch(found, 0) == slice(11, 15)
    assert longest_stretch(found, 2) == slice(1, 8)
    assert longest_stretch(found, 3) == slice(1, 15)
    assert longest_stretch(np.array([False, True, False]), 5) == slice(1, 2)


@pytest.mark.parametrize("average, usual, expected", [
    (30.0, 1 / 30, 30.0), (30000 / 1001, 1001 / 30000, 30000 / 1001), (25.0, 0.04, 25.0), (23.976, 1 / 23.976, 23.976),
    (59.94, 1 / 59.94, 59.94), (120.0, 1 / 120, 60.0), (240.0, 1 / 240, 60.0),
    (27.3, 1 / 30, 30.0),  # a telephone that left pictures out
    (8.0, 1 / 8, 10.0),
])
def test_the_rate_is_the_videos_own(average, usual, expected):
    assert own_rate(average, Timing(100, 100 * usual, 0.0, usual, usual)) == pytest.approx(expected)


@pytest.fixture(scope="module")
def clip(footage, tmp_path_factory):
    """2 s of a real person at 30 fps; the face is hidden for 5 frames from frame 10, and from frame 40 on."""
    import cv2

    path = tmp_path_factory.mktemp("driving") / "someone.mp4"
    time = np.arange(2 * 16000) / 16000
    with media.VideoWriter(path, 224, 224, 30, (time / 2).astype(np.float32), preset="ultrafast") as writer:
        for index, frame in enumerate(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25, 0, 60)):
            frame = cv2.resize(frame, (224, 224), interpolation=cv2.INTER_AREA)
            if 10 <= index < 15 or index >= 40:
                frame[40:170, 60:170] = 120
            writer.write(frame)
    return path


def test_a_video_becomes_motion(clip, capfd):
    driver = track_video(clip)
    motion = driver.motion
    assert motion.fps == 30 and 38 <= len(motion) <= 41
    assert (driver.start, driver.stop) == (0.0, pytest.approx(len(motion) / 30))
    assert motion.source == "tracked: someone.mp4" and motion.history == ("track someone.mp4",)
    assert motion.head_pose.shape == (len(motion), 4, 4) and 0.2 < motion.head_pose[:, 2, 3].mean() < 3
    assert np.ptp(motion.expression[:, 24]) > 0.02  # the jaw moves
    # Where the face was hidden, it is as before and after.
    step = np.abs(np.diff(motion.landmarks, axis=0)).max((1, 2))
    assert step[9:16].max() < 1.2 * step.max() and step[9:16].max() < 0.01
    said = capfd.readouterr().err
    assert "no face at 0.33 s; filled in" in said and "is used" in said


def test_the_sound_is_that_of_the_part(clip):
    driver = track_video(clip, 25.0)
    assert driver.motion.fps == 25 and driver.sound == media.SoundPart(clip, driver.start)


def test_no_face_is_refused_in_one_line(tmp_path):
    base = np.kron(np.random.default_rng(0).uniform(0, 255, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    with media.VideoWriter(tmp_path / "wall.mp4", 128, 128, 25, preset="ultrafast") as writer:
        for index in range(20):
            writer.write(np.roll(base, 2 * index, axis=1))
    with pytest.raises(UserError, match="wall.mp4: no face was found in it"):
        track_video(tmp_path / "wall.mp4")


def test_what_is_no_video_is_refused(tmp_path):
    media.write_wav(tmp_path / "talk.wav", np.sin(np.arange(16000) / 20).astype(np.float32))
    with pytest.raises(UserError, match="talk.wav: holds only sound"):
        track_video(tmp_path / "talk.wav")
    with pytest.raises(UserError, match="no such file"):
        track_video(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(UserError, match="not a readable video"):
        track_video(tmp_path / "text.mp4")


@pytest.mark.parametrize("fps", [0.0, 5.0, 1000.0, float("nan")])
def test_odd_rates_are_refused(clip, fps):
    with pytest.raises(UserError, match="10 to 60"):
        track_video(clip, fps)
