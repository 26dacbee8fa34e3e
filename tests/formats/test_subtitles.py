"""Subtitles: read by parsers that are not ours, in lines that can be read, in time with the words."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.motion import motion_from_weights
from geneface.formats import WriteOptions, write_motion
from geneface.formats.subtitles import LINE, LONGEST, group
from geneface.types import MotionSequence

TEXT = ("Most people who speak to a camera look away from time to time. Then they come back, and go on. "
        "a < b & c --> d, said nobody ever").split()


def take(words) -> MotionSequence:
    return replace(motion_from_weights(np.zeros((500, 52), np.float32), 25, "test"), words=tuple(words))


def spoken(text: list[str], start: float = 0.5, each: float = 0.3) -> list[tuple[float, float, str]]:
    return [(start + i * each, start + (i + 1) * each - 0.05, word) for i, word in enumerate(text)]


def test_srt_is_read_by_another_parser(tmp_path):
    srt = pytest.importorskip("srt", reason="the test extra is not installed")
    assert write_motion(take(spoken(TEXT)), tmp_path / "a.srt")["captions"] == 3
    captions = list(srt.parse((tmp_path / "a.srt").read_text("utf-8"), ignore_errors=False))
    assert [caption.index for caption in captions] == [1, 2, 3]
    assert " ".join(" ".join(caption.content.split()) for caption in captions) == " ".join(TEXT).replace("-->", "→")
    assert captions[0].start.total_seconds() == 0.5
    assert captions[1].start.total_seconds() == pytest.approx(0.5 + 13 * 0.3)  # "Then", after a full stop
    for caption in captions:
        lines = caption.content.splitlines()
        assert 1 <= len(lines) <= 2 and max(map(len, lines)) <= LINE
        assert 0 < (caption.end - caption.start).total_seconds() <= LONGEST + 0.5
    assert all(a.end <= b.start for a, b in zip(captions, captions[1:]))


def test_vtt_is_read_by_another_parser_and_marks_words(tmp_path):
    webvtt = pytest.importorskip("webvtt", reason="the test extra is not installed")
    write_motion(take(spoken(TEXT)), tmp_path / "a.vtt")
    captions = list(webvtt.read(str(tmp_path / "a.vtt")))
    assert [caption.start for caption in captions] == ["00:00:00.500", "00:00:04.400", "00:00:06.500"]
    assert captions[1].text == "Then they come back, and go on."
    assert "<00:00:04.700>they <00:00:05.000>come" in captions[1].raw_text
    assert "a <00:00:06.800>&lt; <00:00:07.100>b" in captions[2].raw_text and "→" in captions[2].text


def test_captions_break_at_pauses_and_length():
    words = spoken("one two three".split()) + spoken("four five".split(), start=3.0)
    assert [len(caption) for caption in group(words)] == [3, 2]
    many = group(spoken(["abcdefgh"] * 40, each=0.1))
    assert all(len(" ".join(word for _, _, word in caption)) <= 2 * LINE + 1 for caption in many) and len(many) == 5
    slow = group([(i * 1.9, i * 1.9 + 1.8, "so") for i in range(8)])
    assert [len(caption) for caption in slow] == [3, 3, 2]
    assert [len(caption) for caption in group(spoken(["x" * 100, "y"]))] == [2]


def test_word_by_word(tmp_path):
    srt = pytest.importorskip("srt", reason="the test extra is not installed")
    words = spoken("no two at once".split(), each=0.25)
    write_motion(take(words), tmp_path / "a.srt", WriteOptions(format="srt-words"))
    captions = list(srt.parse((tmp_path / "a.srt").read_text("utf-8")))
    assert [(caption.start.total_seconds(), caption.content) for caption in captions] == [
        (pytest.approx(start), word) for start, _, word in words]
    assert all(a.end == b.start for a, b in zip(captions, captions[1:]))


def test_words_that_overlap_never_show_two_captions(tmp_path):
    srt = pytest.importorskip("srt", reason="the test extra is not installed")
    write_motion(take([(0.0, 2.0, "long."), (0.0, 0.1, "same."), (0.0, 0.0, "time.")]), tmp_path / "a.srt")
    captions = list(srt.parse((tmp_path / "a.srt").read_text("utf-8")))
    assert len(captions) == 3 and all(a.end <= b.start and a.start < a.end for a, b in zip(captions, captions[1:]))


def test_without_words_it_says_how_to_know_them(tmp_path, capsys):
    take([]).save(tmp_path / "m.npz")
    for name in ("a.srt", "a.vtt"):
        assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / name)]) == 2
        line = capsys.readouterr().err.strip()
        assert "\n" not in line and "geneface speak --transcript" in line and not (tmp_path / name).exists()
    with pytest.raises(UserError, match="not known"):
        write_motion(take([(0, 1, " ")]), tmp_path / "b.srt")
    take(spoken(["hi"])).save(tmp_path / "m.npz")
    assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "a.vtt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["captions"] == 1
