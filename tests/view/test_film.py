"""The film: as many pictures as frames, sound, the mark of synthetic media, and a mouth that moves."""
from __future__ import annotations

import json

import av
import numpy as np
import pytest

from geneface.cli.main import run
from geneface.media import read_audio, read_frames
from geneface.ops import raster
from geneface.types import MotionSequence
from geneface.view import curves, write_view
from geneface.view.draw import HeadPainter
from geneface.view.film import HEIGHT, WIDTH
from geneface.view.take import Take

from .conftest import FPS, FRAMES, OPEN, make_motion

pytestmark = pytest.mark.usefixtures("one_thread")


def test_film_of_one_motion(tmp_path, motion_file, sound_file, capsys):
    film = tmp_path / "preview.mp4"
    assert run(["motion", "view", str(motion_file), "-o", str(film), "--audio", str(sound_file), "--json"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out.splitlines()[-1])
    assert [result[key] for key in ("output", "frames", "fps", "seconds")] == [str(film), FRAMES, FPS, FRAMES / FPS]
    assert "synthetic" in shown.err
    with av.open(str(film)) as container:
        assert "Synthetic media" in container.metadata["comment"]
        stream = container.streams.video[0]
        assert (stream.frames, float(stream.average_rate), stream.width, stream.height) == (FRAMES, FPS, WIDTH, HEIGHT)
    sound = read_audio(film)
    assert np.abs(sound[:2800]).max() < 0.02 and np.abs(sound[4000:6000]).max() > 0.4
    pictures = list(read_frames(film, FPS))
    assert len(pictures) == FRAMES
    # Only the mouth and what hangs from it moves; the line has moved on, too.
    still, opened = (Take.of(make_motion(), "x").vertices(frame) for frame in (0, OPEN))
    assert still[:, 1].min() > -0.14 and np.abs(opened - still).max() > 0.02
    change = np.abs(pictures[OPEN].astype(int) - pictures[0]).max(2)
    assert change[330:400, 150:240].max() > 80
    assert change[:20, :380].max() < 10


def test_the_open_mouth_is_seen(one_thread):
    painter = HeadPainter(200, 270, (0.9, 0.9, 0.9))
    take = Take.of(make_motion(), "x")
    head = painter.look.head
    weights = np.zeros((2, 52), np.float32)
    weights[1] = take.motion.expression[OPEN]
    closed, opened = (painter.draw(head.shapes(w), gap).astype(int) for w, gap in zip(weights, (0.0, 0.02)))
    change = np.abs(opened - closed).max(2)
    rows, columns = np.nonzero(change > 40)
    assert len(rows) > 400 and rows.min() > 130  # all of it below the nose
    assert ((columns > 70) & (columns < 130) & (rows < 240)).mean() > 0.8  # most of it the mouth
    assert closed[2, 2] == pytest.approx([230, 230, 230], abs=1)  # background
    face = closed[120, 100]
    assert face[0] > face[1] > face[2] > 80  # skin


def test_the_same_picture_without_native_kernels(monkeypatch):
    painter, vertices = HeadPainter(80, 108, (0.9, 0.9, 0.9)), Take.of(make_motion(), "x").vertices(OPEN)
    native = painter.draw(vertices, 0.02).astype(int)
    monkeypatch.setattr(raster, "library_for", lambda tensor: None)
    assert np.abs(painter.draw(vertices, 0.02) - native).max() <= 1
    assert native.std() > 30


def test_film_of_two_motions_without_sound(tmp_path, motion_file):
    make_motion(20, 50.0, jaw=0.3).save(tmp_path / "other.npz")
    result = write_view(motion_file, tmp_path / "other.npz", tmp_path / "diff.mp4")
    assert (result["frames"], result["compared_frames"]) == (FRAMES, 10)
    with av.open(str(tmp_path / "diff.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].frames == FRAMES


def test_one_frame_and_more_than_a_page(tmp_path):
    make_motion(1, 30.0).save(tmp_path / "one.npz")
    assert write_view(tmp_path / "one.npz", None, tmp_path / "one.mp4")["frames"] == 1
    make_motion(12, 1.0).save(tmp_path / "slow.npz")  # 12 s: two pages
    assert write_view(tmp_path / "slow.npz", None, tmp_path / "slow.mp4")["seconds"] == 12


def test_difference_in_figures():
    first, second = make_motion(10, jaw=0.6), make_motion(10, jaw=0.2)
    found = curves.difference(first, second)
    expected = 1000 * np.linalg.norm(first.landmarks - second.landmarks, axis=2)
    assert found.distance == pytest.approx(expected.mean(1), rel=1e-5)
    assert found.lips == pytest.approx(expected[:, 48:].mean(1), rel=1e-5)
    name, rms, most, mean_first, mean_second = found.weights[0]
    jaw = 0.4 * np.sin(np.pi * np.arange(10) / 9)
    assert name == "jawOpen"
    assert (rms, most) == (pytest.approx(np.sqrt((jaw**2).mean()), rel=1e-4), pytest.approx(jaw.max(), rel=1e-4))
    assert mean_first == pytest.approx(3 * mean_second, rel=1e-4)
    assert curves.difference(first, first).figures()["landmark_distance_mm"] == 0


def empty() -> MotionSequence:
    return MotionSequence(np.zeros((0, 68, 3), np.float32), np.zeros((0, 52), np.float32), np.zeros(0, np.float32),
                          np.zeros((0, 2), np.float32), 25.0, "nothing")


@pytest.mark.parametrize("words, message", [
    (["missing.npz", "-o", "x.html"], "missing.npz: no such file"),
    (["take.npz", "-o", "x.avi"], "x.avi: a motion is shown as .html, .mp4, .m4v, .mov, .mkv; give the output"),
    (["empty.npz", "-o", "x.mp4"], "empty.npz: has 0 frames; a motion has 1 to"),
    (["take.npz", "empty.npz", "-o", "x.html"], "empty.npz: has 0 frames"),
    (["take.npz", "-o", "x.mp4", "--audio", "none.wav"], "none.wav"),
    (["take.npz", "-o", "x.html", "--audio", "take.npz"], "take.npz"),
    (["take.npz", "-o", "own.mp4", "--audio", "own.mp4"], "own.mp4: is what is to be shown, and would be written over"),
])
def test_mistakes_end_in_one_line(tmp_path, motion_file, monkeypatch, capsys, no_three, words, message):
    empty().save(tmp_path / "empty.npz")
    (tmp_path / "own.mp4").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run(["motion", "view", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0] and lines[0].startswith("geneface motion")
    assert sorted(tmp_path.iterdir()) == before
