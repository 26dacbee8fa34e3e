"""BVH: read back exactly, read by another package, heads of other programs, and files that are damaged or hostile."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, GAZE, index
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_angles, head_positions, head_rotations, poses_of_angles
from geneface.formats import read_motion, write_motion
from geneface.formats.headmesh import load_head
from geneface.formats.joints import role
from geneface.types import MotionSequence


def take(frames: int = 20, fps: float = 25.0) -> MotionSequence:
    rng = np.random.default_rng(3)
    weights = np.zeros((frames, 52))
    weights[:, index("jawOpen")] = rng.uniform(0, 1, frames)
    aside = rng.uniform(-1, 1, frames)
    weights[:, index("jawLeft")], weights[:, index("jawRight")] = np.maximum(aside, 0), np.maximum(-aside, 0)
    angles, places = rng.uniform(-1.2, 1.2, (frames, 3)), rng.normal(0, 0.05, (frames, 3))
    gaze = rng.uniform(-0.3, 0.3, (frames, 2))
    return motion_from_weights(weights, fps, "test", poses_of_angles(angles, places), gaze)


def degrees_apart(a: np.ndarray, b: np.ndarray) -> float:
    cosine = (np.trace(a.transpose(0, 2, 1) @ b, axis1=1, axis2=2) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max())


@pytest.mark.parametrize("frames, fps", [(1, 25.0), (2, 24.0), (40, 30000 / 1001), (31, 60.0), (10_000, 30.0)])
def test_jaw_eyes_and_head_come_back(frames, fps, tmp_path):
    motion = take(frames, fps)
    write_motion(motion, tmp_path / "m.bvh")
    again = read_motion(tmp_path / "m.bvh")
    assert len(again) == frames and again.fps == pytest.approx(fps, rel=1e-9)
    jaw = [index(name) for name in ("jawOpen", "jawLeft", "jawRight")]
    np.testing.assert_allclose(again.expression[:, jaw], motion.expression[:, jaw], atol=1e-5)
    np.testing.assert_allclose(again.gaze, motion.gaze, atol=1e-6)
    np.testing.assert_allclose(head_positions(again), head_positions(motion), atol=1e-6)
    if frames > 1:
        assert degrees_apart(head_rotations(again), head_rotations(motion)) < 0.01
    rest = np.setdiff1d(np.arange(52), [*jaw, *GAZE])
    assert not again.expression[:, rest].any() and again.expression[:, GAZE].any()


def test_motion_without_pose_stays_without(tmp_path):
    write_motion(replace(take(), head_pose=None), tmp_path / "m.bvh")
    assert read_motion(tmp_path / "m.bvh").head_pose is None


def test_another_package_reads_the_angles(tmp_path):
    bvh = pytest.importorskip("bvh", reason="the package bvh is not installed (test extra)")
    weights, head = np.zeros((2, 52)), load_head()
    weights[1, index("jawOpen")] = 0.5
    angles = np.radians([[0, 0, 0], [20, 10, 5]])
    gaze = np.radians([[0, 0], [15, 10]])
    write_motion(motion_from_weights(weights, 50, "one", poses_of_angles(angles), gaze), tmp_path / "m.bvh")
    file = bvh.Bvh((tmp_path / "m.bvh").read_text("ascii"))
    assert file.get_joints_names() == ["Head", "Jaw", "LeftEye", "RightEye"]
    assert file.nframes == 2 and file.frame_time == pytest.approx(0.02)
    assert file.joint_channels("Head") == ["Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"]
    assert file.joint_channels("Jaw") == ["Zrotation", "Xrotation", "Yrotation"]
    np.testing.assert_allclose(file.joint_offset("LeftEye"), 100 * head.eye_centres[0], atol=1e-5)
    assert file.joint_offset("LeftEye")[0] > 3 and file.joint_parent("Jaw").name == "Head"
    assert file.frame_joint_channel(1, "Jaw", "Xrotation") == pytest.approx(np.degrees(head.jaw_open) / 2, abs=1e-4)
    assert file.frame_joint_channel(1, "Jaw", "Yrotation") == 0
    for eye in ("LeftEye", "RightEye"):  # to the person's left and up: the matrix Rz Rx Ry sends z there
        z, x, y = (np.radians(file.frame_joint_channel(1, eye, f"{axis}rotation")) for axis in "ZXY")
        forward = np.array([np.sin(y), -np.cos(y) * np.sin(x), np.cos(y) * np.cos(x)])
        forward = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]) @ forward
        yaw, pitch = gaze[1]
        expected = [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        np.testing.assert_allclose(forward, expected, atol=1e-5)
    assert file.frame_joint_channel(0, "Head", "Yrotation") == 0


BODY = """HIERARCHY
ROOT mixamorig:Hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Xrotation Yrotation Zrotation
  JOINT mixamorig:Neck {
    OFFSET 0 50 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    JOINT mixamorig:Head
    {
      OFFSET 0 10 0
      CHANNELS 3 Xrotation Zrotation Yrotation
      JOINT CC_Base_JawRoot
      {
        OFFSET 0 -3 1
        CHANNELS 3 Xrotation Yrotation Zrotation
        End Site { OFFSET 0 -2 8 }
      }
      JOINT eye.R
      {
        OFFSET -3 2 7
        CHANNELS 3 Xrotation Yrotation Zrotation
        End Site
        {
          OFFSET 0 0 2
        }
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.033367
0 90 0 0 0 0   0 0 0   0 0 0   0 0 0   0 0 0
0 90 10 0 20 0   10 0 0   0 0 0   11.1338 0 0   0 -15 0
"""


def test_a_figure_of_another_program(tmp_path):
    for line_end in ("\n", "\r\n"):
        (tmp_path / "body.bvh").write_bytes(BODY.replace("{ OFFSET 0 -2 8 }", "{\nOFFSET 0 -2 8\n}")
                                            .replace("\n", line_end).encode())
        motion = read_motion(tmp_path / "body.bvh")
        assert motion.fps == 30000 / 1001 and motion.history[-1] == "read body.bvh (BVH)"
        np.testing.assert_allclose(np.degrees(head_angles(motion)), [[0, 0, 0], [30, 0, 0]], atol=1e-4)
        np.testing.assert_allclose(np.diff(head_positions(motion), axis=0), [[0, 0, 0.1]], atol=1e-6)
        assert motion.expression[1, index("jawOpen")] == pytest.approx(0.5, abs=1e-4)
        assert np.degrees(motion.gaze[1]) == pytest.approx([-15, 0], abs=1e-4)
        assert motion.expression[1, index("eyeLookOutRight")] > 0.3 and not motion.expression[0].any()


def test_metres_are_told_from_centimetres(tmp_path):
    motion = take(10)
    write_motion(motion, tmp_path / "m.bvh")
    lines = (tmp_path / "m.bvh").read_text().splitlines()
    start = lines.index("MOTION") + 3
    for number, line in enumerate(lines):
        if "OFFSET" in line:
            tab, values = line.split("OFFSET ")
            lines[number] = tab + "OFFSET " + " ".join(str(float(value) / 100) for value in values.split())
        elif number >= start:
            values = line.split()
            lines[number] = " ".join([str(float(value) / 100) for value in values[:3]] + values[3:])
    (tmp_path / "metres.bvh").write_text("\n".join(lines))
    np.testing.assert_allclose(head_positions(read_motion(tmp_path / "metres.bvh")), head_positions(motion), atol=1e-6)


@pytest.mark.parametrize("name, expected", [
    ("Head", "head"), ("HEAD", "head"), ("mixamorig:Head", "head"), ("Bip01 Head", "head"), ("head_jnt", "head"),
    ("HeadEnd", None), ("Bip001 HeadNub", None), ("forehead", None), ("Jaw", "jaw"), ("CC_Base_JawRoot", "jaw"),
    ("lowerJaw", "jaw"), ("LeftEye", "left eye"), ("mixamorig1:RightEye", "right eye"), ("eye.L", "left eye"),
    ("CC_Base_R_Eye", "right eye"), ("LeftEyeLid", None), ("", None), ("🙂", None),
])
def test_names_of_joints(name, expected):
    assert role(name) == expected


@pytest.mark.parametrize("before, after, message", [
    ("HIERARCHY", "hello", "does not begin with HIERARCHY"),
    ("MOTION", "MOVING", "no MOTION part"),
    ("Frames: 2", "Frames: 3", "says 3 frames and has 2"),
    ("Frames: 2", "Frames: 999999999999", "has 999999999999 frames"),
    ("Frames: 2", "Frames: 0", "has 0 frames"),
    ("Frames: 2", "Frames: -2", "not followed by Frames"),
    ("0.033367", "0", "frame time of 0 seconds"),
    ("0.033367", "-0.04", "frame time of -0.04"),
    ("0.033367", "nan", "frame time of nan"),
    ("0.033367", "1e9", "frames per second"),
    ("0.033367", "inf", "frames per second"),
    ("0.033367", "0.00001", "frames per second"),
    ("11.1338", "nan", "NaN, infinite or absurd"),
    ("11.1338", "1e300", "NaN, infinite or absurd"),
    ("11.1338", "x", "no number"),
    ("11.1338 0 0", "11.1338 0", "rows of other lengths"),
    ("CHANNELS 3 Xrotation Zrotation Yrotation", "CHANNELS 2 Xrotation Zrotation", "17 channels"),
    ("CHANNELS 3 Xrotation Zrotation", "CHANNELS 9999999 Xrotation Zrotation", "CHANNELS needs a count"),
    ("CHANNELS 3 Xrotation Zrotation", "CHANNELS 3 Xrotation Qrotation", "CHANNELS needs a count"),
    ("OFFSET 0 90 0", "OFFSET 0 inf 0", "OFFSET needs three numbers"),
    ("OFFSET 0 90 0", "OFFSET 0 90", "OFFSET needs three numbers"),
    ("mixamorig:Head", "mixamorig:Foot", "no joint is called Head"),
    ("}\nMOTION", "MOTION", "hierarchy does not end"),
    ("  OFFSET 0 90 0", "  <script>", "does not belong there"),
])
def test_damaged_files_are_one_line(before, after, message, tmp_path):
    text = BODY.replace("{ OFFSET 0 -2 8 }", "{\nOFFSET 0 -2 8\n}")
    assert before in text
    (tmp_path / "bad.bvh").write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_motion(tmp_path / "bad.bvh")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_every_cut_of_a_file_is_refused(tmp_path):
    write_motion(take(3), tmp_path / "m.bvh")
    content = (tmp_path / "m.bvh").read_bytes()
    for end in range(0, len(content) - 12, 37):
        (tmp_path / "cut.bvh").write_bytes(content[:end])
        with pytest.raises(UserError):
            read_motion(tmp_path / "cut.bvh")


@pytest.mark.parametrize("text", [
    "HIERARCHY\nROOT a\n{\n" + "JOINT a\n{\n" * 100_000 + "MOTION\nFrames: 1\nFrame Time: 0.1\n1\n",
    "HIERARCHY\n" + "ROOT a\n{\n}\n" * 100_000 + "MOTION\nFrames: 1\nFrame Time: 0.1\n1\n",
    "HIERARCHY\n" + "\n" * 3_000_000 + "MOTION\n" + "\n" * 3_000_000,
    "HIERARCHY\nROOT Head\n{\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\n" + "1\n" * 2_000_000,
    "HIERARCHY\nROOT Head\n{\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\n" + "1 " * 2_000_000,
    "HIERARCHY\n" + "{" * 200_000 + "\nMOTION\n",
    "HIERARCHY\n" + "}" * 200_000 + "\nMOTION\n",
    "HIERARCHY\n" + " " * 3_000_000,
    "\x00" * 1000,
])
def test_hostile_files_end_soon(text, tmp_path):
    (tmp_path / "hostile.bvh").write_text(text)
    with pytest.raises(UserError) as caught:
        read_motion(tmp_path / "hostile.bvh")
    assert "\n" not in str(caught.value)


def test_weights_that_no_joint_has_are_lost(tmp_path):
    weights = np.zeros((3, 52))
    weights[:, index("mouthSmileLeft")] = 1
    write_motion(motion_from_weights(weights, 25, "smile"), tmp_path / "m.bvh")
    again = read_motion(tmp_path / "m.bvh")
    assert not again.expression.any() and len(ARKIT_NAMES) == again.expression.shape[1]
