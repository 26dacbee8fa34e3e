"""Rendering an avatar from a video: what goes into the film, with tracking taken as done."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep import driving
from data_prep.driving import DrivingVideo
from geneface import media, pipeline
from geneface.config import RenderConfig
from geneface.errors import UserError
from geneface.face.motion import motion_from_weights
from geneface.formats import read_motion
from geneface.motion.retarget import at_home
from tests.test_render import avatar, motion  # noqa: F401  the fixture


@pytest.fixture
def driver(monkeypatch, tmp_path) -> DrivingVideo:
    """0.4 s of somebody at 30 fps, from 0.5 s on in a video with sound."""
    sound = tmp_path / "someone.wav"
    media.write_wav(sound, (0.3 * np.sin(np.arange(32000) / 10)).astype(np.float32))
    weights = np.zeros((12, 52))
    weights[:, 24] = np.linspace(0, 0.6, 12)
    poses = np.tile(np.eye(4), (12, 1, 1))
    poses[:, 2, 3] = 0.5
    tracked = DrivingVideo(motion_from_weights(weights, 30.0, "tracked: someone.mp4", poses), 0.5, 0.9,
                           media.SoundPart(sound, 0.5))
    monkeypatch.setattr(driving, "track_video", lambda video, fps=None: tracked)
    return tracked


def test_a_film_has_the_videos_rate_and_sound_and_says_what_it_is(avatar, driver, tmp_path):  # noqa: F811
    import av

    out = tmp_path / "out.mp4"
    result = pipeline.render(avatar, None, out, video="someone.mp4")
    info = media.probe(out)
    assert result.frames == 12 and info.fps == 30 and info.has_audio
    with av.open(str(out)) as container:
        assert "Synthetic" in container.metadata["comment"]
    pipeline.render(avatar, None, out, RenderConfig(fps=25.0), video="someone.mp4")
    assert media.probe(out).fps == 25


@pytest.mark.parametrize("transfer, posed", [("both", True), ("expression", False), ("pose", True)])
def test_what_is_transferred(avatar, driver, tmp_path, monkeypatch, transfer, posed):  # noqa: F811
    import geneface.render

    asked = []
    monkeypatch.setattr(geneface.render, "render", lambda *arguments: asked.append(arguments))
    pipeline.render(avatar, None, tmp_path / "out.mp4", RenderConfig(transfer=transfer), video="someone.mp4")
    _, shown, _, config, sound = asked[0]
    assert (shown.head_pose is not None) == posed and len(shown) == 12
    assert config.fps == 30 and sound == driver.sound


def test_the_head_of_a_video_and_the_words_of_a_recording(avatar, driver, tmp_path, monkeypatch):  # noqa: F811
    import geneface.render

    asked = []
    monkeypatch.setattr(geneface.render, "render", lambda *arguments: asked.append(arguments))
    speech = motion(20)
    monkeypatch.setattr("geneface.pipeline.portrait.speak", lambda *arguments: speech)
    pipeline.render(avatar, None, tmp_path / "out.mp4", RenderConfig(transfer="pose"), "talk.wav", video="someone.mp4")
    _, shown, _, config, sound = asked[0]
    assert np.array_equal(shown.expression, speech.expression) and shown.head_pose.shape == (20, 4, 4)
    assert sound == "talk.wav" and config.fps == 0


def test_two_sources_of_motion_are_refused(avatar, driver, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match="--video someone.mp4: .* leave one of the two out"):
        pipeline.render(avatar, motion(3), tmp_path / "out.mp4", video="someone.mp4")
    with pytest.raises(UserError, match="--transfer face: no such transfer"):
        pipeline.render(avatar, None, tmp_path / "out.mp4", RenderConfig(transfer="face"), video="someone.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_motion_of_somebody_else_is_transferred_where_that_is_asked(avatar, driver, tmp_path, monkeypatch):  # noqa: F811
    import geneface.render

    asked = []
    monkeypatch.setattr(geneface.render, "render", lambda *arguments: asked.append(arguments[1]))
    pipeline.render(avatar, driver.motion, tmp_path / "out.mp4", RenderConfig(transfer="expression"))
    pipeline.render(avatar, driver.motion, tmp_path / "out.mp4")
    transferred, shown = asked
    assert transferred.head_pose is None and transferred.history[-1] == "retarget expression"
    assert np.array_equal(shown.expression, driver.motion.expression)
    # As it is, but for a head half a metre before a camera that saw the person elsewhere.
    assert shown.history[-1] == "retarget pose"


def test_heads_before_the_avatars_camera_stay(avatar):  # noqa: F811
    weights = np.zeros((4, 52), np.float32)
    here = motion_from_weights(weights, 25.0, "speech: a.wav", avatar.camera.head_to_camera[:4])
    assert at_home(here, avatar) is here
    poses = avatar.camera.head_to_camera[:4].copy()
    poses[:, 2, 3] += 0.3
    moved = at_home(motion_from_weights(weights, 25.0, "tracked: b.mp4", poses), avatar)
    recorded = avatar.camera.head_to_camera[:, :3, 3]
    assert np.abs(moved.head_pose[:, :3, 3] - recorded.mean(0)).max() < np.ptp(recorded, axis=0).max() + 0.02


def test_motion_of_a_video_is_kept_in_a_file(avatar, driver, tmp_path):  # noqa: F811
    made = pipeline.track("someone.mp4", tmp_path / "m.npz")
    assert np.array_equal(read_motion(tmp_path / "m.npz").expression, made.expression)
    own = pipeline.track("someone.mp4", tmp_path / "own.npz", avatar=avatar)
    assert own.history[-1] == "retarget both" and not np.array_equal(own.head_pose, made.head_pose)
