"""Mouth cues: the mouths that weights show, held long enough, in Rhubarb's three files and as visemes."""
from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.arkit import index
from geneface.face.motion import motion_from_weights
from geneface.formats import read_motion, write_motion, WriteOptions
from geneface.formats.cues import CLOSED_HOLD, OTHER_HOLD, VISEMES, mouth_cues, visemes
from geneface.types import MotionSequence

FPS = 25
OPEN, HALF, SHUT = {"jawOpen": 0.45}, {"jawOpen": 0.33}, {}
ROUND = {"jawOpen": 0.12, "mouthPucker": 0.4, "mouthFunnel": 0.2}
TEETH = {"jawOpen": 0.18}


def take(*parts: tuple[float, dict[str, float]]) -> MotionSequence:
    """A motion of parts: how long [s], and the weights that are not 0."""
    rows = []
    for seconds, weights in parts:
        row = np.zeros(52, np.float32)
        for name, value in weights.items():
            row[index(name)] = value
        rows += [row] * round(seconds * FPS)
    return motion_from_weights(np.array(rows), FPS, 'speech: a&b <"c">.wav')


def letters(motion: MotionSequence) -> str:
    return "".join(cue.mouth for cue in mouth_cues(motion))


def test_each_mouth_is_told_from_the_weights():
    assert letters(take((0.4, OPEN), (0.12, SHUT), (0.4, ROUND), (0.4, OPEN), (0.4, TEETH), (0.4, SHUT))) == "DAFDBX"
    assert letters(take((0.4, OPEN), (0.4, HALF), (0.4, OPEN))) == "DCD"
    assert "E" in letters(take((0.4, OPEN), (0.4, {"jawOpen": 0.4, "mouthPucker": 0.3}), (0.4, OPEN)))
    assert "G" in letters(take((0.4, OPEN), (0.4, {"jawOpen": 0.1, "mouthRollLower": 0.6}), (0.4, OPEN)))
    assert "H" in letters(take((0.4, OPEN), (0.4, {"jawOpen": 0.4, "tongueOut": 0.4}), (0.4, OPEN)))


def test_cues_are_whole_and_held():
    random = np.random.default_rng(7)
    weights = np.zeros((500, 52), np.float32)
    weights[:, index("jawOpen")] = np.abs(random.normal(0.15, 0.15, 500))
    weights[:, index("mouthPucker")] = np.abs(random.normal(0, 0.2, 500))
    motion = motion_from_weights(weights, 30000 / 1001, "noise")
    cues = mouth_cues(motion)
    assert cues[0].start == 0 and cues[-1].end == pytest.approx(500 * 1001 / 30000, abs=0.01)
    assert cues[-1].end <= motion.seconds
    for a, b in zip(cues, cues[1:]):
        assert a.end == b.start and a.mouth != b.mouth
    assert all(cue.end - cue.start >= (CLOSED_HOLD if cue.mouth == "A" else OTHER_HOLD) - 1e-9 for cue in cues[1:-1])
    assert {cue.mouth for cue in cues} >= set("ABCDF")


def test_a_closure_of_one_frame_is_seen():
    cues = mouth_cues(take((0.4, OPEN), (0.04, SHUT), (0.4, OPEN)))
    assert [cue.mouth for cue in cues if cue.mouth == "A"] == ["A"]
    shut = next(cue for cue in cues if cue.mouth == "A")
    assert shut.start < 0.4 < shut.end and shut.end - shut.start == pytest.approx(CLOSED_HOLD)


def test_the_three_files_say_the_same(tmp_path):
    motion = take((0.5, SHUT), (0.4, OPEN), (0.12, SHUT), (0.41, ROUND), (0.4, SHUT))
    expected = [(cue.start, cue.end, cue.mouth) for cue in mouth_cues(motion)]
    results = [write_motion(motion, tmp_path / "a.tsv"), write_motion(motion, tmp_path / "a.xml"),
               write_motion(motion, tmp_path / "a.json", WriteOptions(format="rhubarb-json"))]
    assert [r["format"] for r in results] == ["rhubarb-tsv", "rhubarb-xml", "rhubarb-json"]
    assert {r["cues"] for r in results} == {len(expected)}

    lines = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    assert lines[0] == ["0.00", "X"] and lines[-1] == [f"{expected[-1][1]:.2f}", "X"]
    assert [(float(start), mouth) for start, mouth in lines[:-1]] == [(start, mouth) for start, _, mouth in expected]

    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert root.tag == "rhubarbResult" and float(root.find("metadata/duration").text) == expected[-1][1]
    assert root.find("metadata/soundFile").text == motion.source
    assert [(float(cue.get("start")), float(cue.get("end")), cue.text) for cue in root.iter("mouthCue")] == expected

    content = json.loads((tmp_path / "a.json").read_text())
    assert content["metadata"] == {"soundFile": motion.source, "duration": expected[-1][1]}
    assert [(cue["start"], cue["end"], cue["value"]) for cue in content["mouthCues"]] == expected


def test_visemes_are_oculus(tmp_path, capsys):
    motion = take((0.4, OPEN), (0.12, SHUT), (0.4, ROUND))
    assert [cue.mouth for cue in visemes(motion)] == ["aa", "PP", "U"] and set(VISEMES) == set("ABCDEFGHX")
    motion.save(tmp_path / "m.npz")
    assert run(["export", str(tmp_path / "m.npz"), "-o", str(tmp_path / "v.json"), "--format", "visemes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cues"] == 3
    assert [cue["value"] for cue in json.loads((tmp_path / "v.json").read_text())["mouthCues"]] == ["aa", "PP", "U"]


def test_short_still_and_hostile_motions(tmp_path):
    assert letters(take((0.04, OPEN))) == "D" and letters(take((4, SHUT))) == "X"
    assert mouth_cues(replace(take((0.04, OPEN)), fps=1000.0))[0].end == 0
    write_motion(replace(take((0.2, OPEN)), source="a\x00\nb"), tmp_path / "a.xml")
    assert ElementTree.parse(tmp_path / "a.xml").getroot().find("metadata/soundFile").text == "a??b"
    with pytest.raises(UserError, match="can only be written"):
        read_motion(tmp_path / "a.xml")
