"""The table of motion formats: which is meant, what is refused, what a file says of itself."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geneface.cli.export import export
from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.arkit import index
from geneface.face.gaze import SIDEWAYS, gaze_of_weights, gaze_weights
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_angles, head_positions, poses_of_angles
from geneface.formats import FORMATS, WriteOptions, format_of, read_motion, write_motion
from geneface.motion.resample import frame_rate, resample
from geneface.types import MotionSequence


def take(frames: int = 20, fps: float = 25.0) -> MotionSequence:
    weights = np.random.default_rng(0).uniform(0, 1, (frames, 52)).astype(np.float32)
    return motion_from_weights(weights, fps, "test")


def test_npz_keeps_words_and_history(tmp_path):
    motion = replace(take(), words=((0.1, 0.3, "hello"), (0.3, 0.7, "you"))).after("mouth 1.2")
    motion.save(tmp_path / "m.npz")
    again = read_motion(tmp_path / "m.npz")
    assert again.words == motion.words and again.history == ("mouth 1.2",)
    assert np.array_equal(again.expression, motion.expression) and again.seconds == 0.8


@pytest.mark.parametrize("words", [((0.5, 0.4, "a"),), ((0.5, 0.6, "a"), (0.1, 0.2, "b")), ((-1, 0, "a"),)])
def test_words_out_of_order_are_refused(words):
    with pytest.raises(ValueError, match="words: must be in order"):
        replace(take(), words=words)


def test_what_no_format_is_meant_by_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no motion file by its name; known are .npz"):
        format_of(tmp_path / "m.docx")
    with pytest.raises(UserError, match="--format npzz: no such format; did you mean npz"):
        format_of(tmp_path / "m", "npzz")
    with pytest.raises(UserError, match="no such file"):
        read_motion(tmp_path / "m.npz")
    with pytest.raises(UserError, match="has no frames"):
        write_motion(motion_from_weights(np.zeros((0, 52), np.float32), 25, "none"), tmp_path / "m.npz")


def test_gaze_is_restored_from_weights():
    gaze = np.radians([[20, 5], [-13, -10], [0, 0]]).astype(np.float32)
    assert np.allclose(gaze_of_weights(gaze_weights(gaze)), gaze, atol=1e-6)
    full = gaze_weights(np.array([[SIDEWAYS, 0]]))
    assert full.sum() == pytest.approx(2)


def test_head_angles_are_restored_from_poses():
    angles = np.radians([[30, -10, 5], [0, 0, 0], [-20, 12, -8]])
    places = np.array([[0.01, 0, 0], [0, 0.02, 0], [-0.01, -0.02, 0]])
    motion = replace(take(3), head_pose=poses_of_angles(angles, places))
    assert np.allclose(head_angles(motion), angles, atol=1e-9)
    assert np.allclose(head_positions(motion), places, atol=1e-9)
    assert not head_angles(take(3)).any()


def test_a_turn_to_the_persons_left_is_to_the_image_right():
    # The nose lies at negative z of the head (OpenCV axes); it moves to positive x, the image's right.
    pose = poses_of_angles(np.array([[0.3, 0, 0]]))[0]
    assert (pose[:3, :3] @ [0, 0, -0.1])[0] > 0.02


@pytest.mark.parametrize("given, exact", [
    (29.97, 30000 / 1001), (23.976, 24000 / 1001), (59.94, 60000 / 1001), (30, 30), (25, 25), (12.5, 12.5)])
def test_television_rates_are_exact(given, exact):
    assert frame_rate(given) == pytest.approx(exact, abs=1e-9)


def test_resampled_motion_lasts_as_long(tmp_path):
    motion = take(50)
    for fps in (24, 30, 60):
        other = resample(motion, fps)
        assert other.fps == fps and other.seconds == pytest.approx(2.0, abs=1 / fps)
        assert other.history == (f"resample {fps}",)
    with pytest.raises(UserError, match="fps: must be more than 0"):
        resample(motion, float("nan"))


def test_export_resamples_and_says_what_it_wrote(tmp_path, capsys):
    take().save(tmp_path / "m.npz")
    assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "n.npz"), "--fps", "30", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["format"], result["fps"], result["frames"]) == ("npz", 30, 24)
    assert len(read_motion(tmp_path / "n.npz")) == 24


def test_info_shows_the_history(tmp_path, capsys):
    take().after("mouth 1.2").save(tmp_path / "m.npz")
    assert run(["motion", "info", str(tmp_path / "m.npz"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["history"] == ["mouth 1.2"] and result["frames"] == 20 and len(result["moves_most"]) == 5


def test_wrong_calls_of_export_are_one_line(tmp_path, capsys):
    take().save(tmp_path / "m.npz")
    for words, message in (
        (["m.npz"], "missing option '--output'"), (["m.npz", "-o", "m.docx"], "no motion file by its name"),
        (["m.npz", "--mesh", "a.glb"], "has no mesh"), (["a.avatar", "-o", "b.csv"], "an avatar gives a mesh"),
    ):
        paths = [str(tmp_path / word) if "." in word else word for word in words]
        assert run(["export", *paths]) == 2
        line = capsys.readouterr().err.strip()
        assert message in line and "\n" not in line


def test_export_never_writes_over_what_it_reads(tmp_path, capsys):
    take().save(tmp_path / "m.npz")
    for name in ("take.csv", "mine.glb"):
        write_motion(take(), tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    heads = ("m.npz", "mine.glb", "--head", "mine.glb")
    for source, output, *head in (("m.npz", "m.npz"), ("take.csv", "take.csv"), heads):
        words = [str(tmp_path / word) if "." in word else word for word in (source, "-o", output, *head)]
        assert run(["export", *words]) == 2
        assert "is what is read" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ["csv", "json", "bvh", "glb", "gltf", "vrma"])
def test_empty_files_and_folders_are_called_so(tmp_path, ending):
    (tmp_path / f"a.{ending}").touch()
    (tmp_path / f"b.{ending}").mkdir()
    with pytest.raises(UserError, match="is empty"):
        read_motion(tmp_path / f"a.{ending}")
    with pytest.raises(UserError, match="is a folder"):
        read_motion(tmp_path / f"b.{ending}")


def lopsided(frames: int = 6) -> MotionSequence:
    """Whatever is taken for another side or axis shows: nothing in it is alike in both."""
    weights = gaze_weights(np.tile([0.2, -0.1], (frames, 1)))
    weights[:, index("jawOpen")], weights[:, index("jawLeft")] = np.linspace(0.1, 0.6, frames), 0.2
    angles = np.tile([0.3, 0.15, -0.2], (frames, 1)) + np.linspace(0, 0.1, frames)[:, None]
    places = np.linspace([0.01, 0.02, 0.03], [-0.01, -0.02, -0.03], frames)
    return motion_from_weights(weights, 30000 / 1001, "Gr\u00fc\u00dfe", head_pose=poses_of_angles(angles, places))


def test_motion_goes_through_every_format_in_turn(tmp_path):
    first = motion = lopsided()
    for ending in (".json", ".glb", ".bvh", ".gltf", ".csv", ".vrma", ".npz"):
        write_motion(motion, tmp_path / f"\u65e5{ending}")
        motion = read_motion(tmp_path / f"\u65e5{ending}")
        assert motion.fps == pytest.approx(first.fps, abs=1e-6), ending
        assert np.abs(motion.expression - first.expression).max() < 1e-3, ending
        assert np.degrees(np.abs(motion.gaze - first.gaze).max()) < 0.1, ending
        assert np.degrees(np.abs(head_angles(motion) - head_angles(first)).max()) < 0.1, ending
        if ending in (".json", ".glb", ".bvh", ".gltf"):  # a table of Live Link Face has no place for the head's
            assert np.abs(head_positions(motion) - head_positions(first)).max() < 1e-4, ending


WRITTEN = [format for format in FORMATS if format.writes and format.module != "subtitles"]


@pytest.mark.parametrize("format", WRITTEN, ids=lambda format: format.name)
def test_where_nothing_can_be_written_is_one_line(format, tmp_path):
    ending = format.endings[0] if format.endings else ""
    (tmp_path / "file").write_text("kept")
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"folder{ending}" / "other").write_text("kept")
    paths = [tmp_path / f"folder{ending}"]
    if format.name in ("livelink", "obj"):  # one that makes a file, one that makes a folder
        paths += [tmp_path / "file" / f"a{ending}", tmp_path / ("n" * 300 + ending)]
    for path in paths:
        with pytest.raises(UserError, match="cannot be written|folder with other things") as refused:
            write_motion(take(1), path, WriteOptions(format=format.name))
        assert "\n" not in str(refused.value)
    assert {path.name for path in tmp_path.rglob("*")} == {"file", f"folder{ending}", "other"}


@pytest.mark.parametrize("format", WRITTEN, ids=lambda format: format.name)
def test_names_that_are_no_text_are_written(format, tmp_path):
    """A file name in Latin-1 reaches Python with half a surrogate for each letter that is no UTF-8."""
    motion = replace(take(1), source="caf\udce9.wav", history=("speak caf\udce9.wav",), words=((0, 0.01, "\ud800"),))
    assert (motion.source, motion.history, motion.words) == ("caf?.wav", ("speak caf?.wav",), ((0.0, 0.01, "?"),))
    path = tmp_path / f"a{format.endings[0] if format.endings else ''}"
    assert write_motion(motion, path, WriteOptions(format=format.name))["frames"] == 1


@pytest.mark.parametrize("ending", [".npz", ".json"])
@pytest.mark.parametrize("scale", [0.0, -1.0, 3.0])
def test_poses_that_no_head_has_are_refused(scale, ending, tmp_path):
    motion = lopsided()
    motion.head_pose[:, :3, :3] *= scale
    write_motion(motion, tmp_path / f"a{ending}")
    with pytest.raises(UserError, match="head_pose: holds what is no rotation"):
        read_motion(tmp_path / f"a{ending}")


def test_a_name_that_means_another_format_is_refused(tmp_path):
    with pytest.raises(UserError, match="is named as Live Link Face, and --format glb is glTF 2.0; leave --format out"):
        write_motion(take(), tmp_path / "a.csv", WriteOptions("glb"))
    assert write_motion(take(), tmp_path / "a.json", WriteOptions("rhubarb-json"))["format"] == "rhubarb-json"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_subtitles_of_unknown_words_are_refused_before_the_work(tmp_path, capsys):
    assert run(["speak", "--audio", str(tmp_path / "none.wav"), "-o", str(tmp_path / "a.srt")]) == 2
    assert "subtitles need the words; give --transcript TEXT" in capsys.readouterr().err


def test_the_help_of_export_names_every_format():
    said = export.__doc__.split()
    for format in (format for format in FORMATS if format.writes):
        assert all(ending in said or f"{ending}." in said for ending in format.endings), format
        assert format.endings and format.name != "vrma-perfect-sync" or f"{format.name}" in " ".join(said), format
