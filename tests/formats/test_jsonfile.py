"""Motion as JSON: nothing lost, the documented schema, other programs' files, and damage in one line."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index
from geneface.face.motion import motion_from_weights
from geneface.face.pose import poses_of_angles
from geneface.formats import read_motion, write_motion
from geneface.types import MotionSequence

SCHEMA = Path(__file__).resolve().parents[2] / "docs/motion.schema.json"


def take(frames: int = 12) -> MotionSequence:
    random = np.random.default_rng(3)
    motion = motion_from_weights(
        random.uniform(0, 1, (frames, 52)), 30000 / 1001, "speech: ä.wav",
        head_pose=poses_of_angles(random.uniform(-0.5, 0.5, (frames, 3)), random.uniform(-0.1, 0.1, (frames, 3))),
        blink=random.uniform(0, 1, frames), gaze=random.uniform(-0.3, 0.3, (frames, 2)))
    return replace(motion, words=((0.0, 0.2, "né"), (0.2, 0.4, 'say "hi"'))).after("mouth 1.2")


def test_out_and_back_loses_nothing(tmp_path):
    motion = take()
    write_motion(motion, tmp_path / "a.json")
    again = read_motion(tmp_path / "a.json")
    assert again.fps == motion.fps and again.source == motion.source and again.words == motion.words
    assert again.history == ("mouth 1.2", "read a.json (JSON)")
    for name in ("expression", "blink", "gaze", "head_pose", "landmarks"):
        assert np.abs(getattr(again, name) - getattr(motion, name)).max() < 1e-6, name
    assert "landmarks" not in json.loads((tmp_path / "a.json").read_text())


def test_landmarks_of_their_own_are_kept(tmp_path):
    motion = replace(take(), head_pose=None)
    motion = replace(motion, landmarks=motion.landmarks + np.float32(0.002))
    write_motion(motion, tmp_path / "a.json")
    again = read_motion(tmp_path / "a.json")
    assert np.abs(again.landmarks - motion.landmarks).max() < 1e-7 and again.head_pose is None


@pytest.mark.parametrize("own_landmarks", [False, True])
def test_what_is_written_is_what_the_schema_says(tmp_path, own_landmarks):
    motion = take()
    if own_landmarks:
        motion = replace(motion, landmarks=motion.landmarks * np.float32(1.1))
    write_motion(motion, tmp_path / "a.json")
    content, schema = json.loads((tmp_path / "a.json").read_text("utf-8")), json.loads(SCHEMA.read_text("utf-8"))
    assert set(schema["required"]) == set(content) - {"landmarks"} == set(schema["properties"]) - {"landmarks"}
    assert content["frames"] == 12 and content["names"] == list(ARKIT_NAMES)
    pytest.importorskip("jsonschema").validate(content, schema)


def other(kind: str) -> dict:
    rows = [[0.1, 0.5, 0.9], [0.2, 0.25, 0.8]]
    return {
        "audio2face": {"exportFps": 60.0, "trackPath": "a.wav", "numPoses": 3, "numFrames": 3,
                       "facsNames": ["jawOpen", "tongueTipUp", "eyeBlinkLeft"], "weightMat": [rows[0], None, rows[1]],
                       "joints": ["jaw"], "rotations": [], "translations": []},
        "lam": {"names": ["jawOpen", "x", "eyeBlinkLeft"], "metadata": {"fps": 60.0, "frame_count": 3},
                "frames": [{"weights": rows[i], "time": i / 60, "rotation": []} for i in (0, 0, 1)]},
        "least": {"fps": 60, "names": ["JawOpen", "head", "eyeBlink_L"], "weights": [rows[0], rows[0], rows[1]]},
    }[kind]


@pytest.mark.parametrize("kind", ["audio2face", "lam", "least"])
def test_files_of_others_are_read(tmp_path, kind):
    (tmp_path / "a.json").write_text(json.dumps(other(kind)))
    motion = read_motion(tmp_path / "a.json")
    assert motion.fps == 60 and len(motion) == 3 and motion.head_pose is None
    assert np.allclose(motion.expression[:, index("jawOpen")], [0.1, 0.1, 0.2])
    assert np.allclose(motion.expression[:, index("eyeBlinkLeft")], [0.9, 0.9, 0.8])
    assert np.allclose(motion.blink, [0.45, 0.45, 0.4]) and motion.expression.sum() == pytest.approx(3.0)


@pytest.mark.parametrize("change, message", [
    ({"version": 2}, "version 2 of geneface.motion"),
    ({"frames": 0}, "has 0 frames"),
    ({"frames": 10**12}, "has 1000000000000 frames"),
    ({"frames": "many"}, "frames: expected their number"),
    ({"frames": 13}, "weights: expected numbers \\[13, any\\]"),
    ({"fps": 0}, "0 frames per second"),
    ({"fps": -25}, "-25 frames per second"),
    ({"fps": 1e9}, "1000000000.0 frames per second"),
    ({"fps": None}, "None frames per second"),
    ({"fps": 10**400}, "frames per second"),
    ({"names": ["a"] * 52}, "no weight named as one of ARKit's"),
    ({"names": ["jawOpen"] * 52}, "two weights of one name"),
    ({"names": None}, "expected a name for each of the 52 weights"),
    ({"weights": [[1e999] * 52] * 12}, "Infinity is no number"),
    ({"weights": [["x"] * 52] * 12}, "weights: expected numbers"),
    ({"weights": [[0.1] * 52] * 11 + [[0.1]]}, "weights: expected numbers"),
    ({"weights": [[80] * 52] * 12}, "divide percentages by 100"),
    ({"gaze": None}, "gaze: "),
    ({"blink": [[0.0]] * 12}, "blink: expected numbers \\[12\\]"),
    ({"head_pose": [[[0.0] * 4] * 3] * 12}, "head_pose: expected numbers \\[12, 4, 4\\]"),
    ({"words": [{"start": 1}]}, "words or history are damaged"),
    ({"words": [{"start": 1, "end": 0, "word": "a"}]}, "words or history are damaged"),
    ({"words": 5}, "words or history are damaged"),
    ({"history": 5}, "words or history are damaged"),
])
def test_damage_is_one_line(tmp_path, change, message):
    write_motion(take(), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text("utf-8")) | change
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as refused:
        read_motion(tmp_path / "a.json")
    assert "\n" not in str(refused.value) and "a.json" in str(refused.value)


@pytest.mark.parametrize("text, message", [
    ("", "is empty"), ("{", "no readable JSON"), ("[" * 200_000, "nested too deep"), ("[]", "no JSON object"),
    ('{"fps": NaN}', "NaN is no number"), ("{}", "holds no weights"), ('{"mouthCues": []}', "mouth cues say too little"),
    ("[" * 9_000_000, "too many parts"), ('{"fps":25,"names":["jawOpen"],"weights":[]}', "expected numbers"),
    ('{"metadata":{"fps":25},"names":["jawOpen"],"frames":[5]}', "frames: "), ("\x00\x01", "no readable JSON"),
])
def test_what_is_no_motion_is_one_line(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=message) as refused:
        read_motion(tmp_path / "a.json")
    assert "\n" not in str(refused.value)
