"""Live Link Face CSV: the app's columns exactly, its time codes, and the tables that others make of it."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index, indices
from geneface.face.gaze import gaze_of_weights
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_angles, poses_of_angles
from geneface.formats import read_motion, write_motion
from geneface.formats.livelink import COLUMNS, SHAPES
from geneface.types import MotionSequence

HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,"
    "EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,"
    "EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,"
    "MouthRight,MouthLeft,MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,"
    "MouthDimpleRight,MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
    "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,"
    "MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,"
    "CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,"
    "LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)
JAW = index("jawOpen")


def take(frames: int = 40, fps: float = 25.0, head: bool = True) -> MotionSequence:
    random = np.random.default_rng(1)
    weights = random.uniform(0, 1, (frames, 52)).astype(np.float32)
    angles = random.uniform(-0.6, 0.6, (frames, 3))
    return motion_from_weights(weights, fps, "test", head_pose=poses_of_angles(angles) if head else None)


def table(path, codes, jaw, header=HEADER, separator=","):
    """A take whose jaw opens by `jaw`, the rest at rest; None is a frame without a face."""
    place = header.split(",").index("JawOpen")
    rows = [header.replace(",", separator)]
    for code, opening in zip(codes, jaw):
        cells = [code, "61"] + ["0"] * (len(header.split(",")) - 2)
        if opening is None:
            cells = [code, "0"]
        else:
            cells[place] = f"{opening:.10f}"
        rows.append(separator.join(cells))
    path.write_text("\n".join(rows) + "\n")
    return path


def codes(fps, base, frames, start=0.0):
    """Time codes as the app counts them: FF is the part of the second that has gone, in frames of the base."""
    for i in range(frames):
        seconds = start + i / fps
        yield f"12:{int(seconds) // 60:02d}:{int(seconds) % 60:02d}:{(seconds % 1) * base:06.3f}"


def test_columns_are_the_apps(tmp_path):
    result = write_motion(take(), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == HEADER == ",".join(COLUMNS) and len(COLUMNS) == 63
    assert sorted(name.lower() for name in SHAPES) == sorted(name.lower() for name in ARKIT_NAMES)
    assert {(len(line.split(",")), line.split(",")[1]) for line in lines[1:]} == {(63, "61")}
    assert len(lines) == 41 and result == {"format": "livelink", "fps": 25.0, "frames": 40}
    assert [line.split(",")[0] for line in (lines[1], lines[25], lines[26])] == [
        "00:00:00:00.000", "00:00:00:24.000", "00:00:01:00.000"]


@pytest.mark.parametrize("fps", [23.976, 24, 25, 29.97, 30, 50, 59.94, 60, 12.5])
@pytest.mark.parametrize("frames", [2, 9, 70])
def test_out_and_back(tmp_path, fps, frames):
    from geneface.motion.resample import frame_rate

    motion = take(frames, frame_rate(fps))
    write_motion(motion, tmp_path / "a.csv")
    again = read_motion(tmp_path / "a.csv")
    assert again.fps == pytest.approx(motion.fps, rel=1e-6) and len(again) == frames
    assert np.abs(again.expression - motion.expression).max() < 1e-6
    assert np.abs(head_angles(again) - head_angles(motion)).max() < np.radians(1e-4)
    assert np.abs(again.gaze - motion.gaze).max() < 1e-6
    assert np.abs(again.landmarks - motion.landmarks).max() < 1e-6
    assert again.history == ("read a.csv (Live Link Face)",)


def test_one_frame_and_no_head_pose(tmp_path):
    write_motion(take(1, head=False), tmp_path / "a.csv")
    again = read_motion(tmp_path / "a.csv")
    assert len(again) == 1 and again.fps == 25 and again.head_pose is None


def test_signs_are_those_of_the_app(tmp_path):
    # In the app's takes, eyes to the person's left (eyeLookOutLeft, eyeLookInRight) have negative yaw, eyes down
    # positive pitch; Unreal turns the head by the same rotator.
    weights = np.zeros((2, 52), np.float32)
    weights[:, indices("eyeLookOutLeft", "eyeLookInRight", "eyeLookDown*")] = 0.5
    left_down_tilted = poses_of_angles(np.tile([[0.3, 0.2, -0.1]], (2, 1)))  # ours: left, down, to the left shoulder
    write_motion(motion_from_weights(weights, 25, "test", left_down_tilted), tmp_path / "a.csv")
    row = dict(zip(COLUMNS, (tmp_path / "a.csv").read_text().splitlines()[1].split(",")))
    assert [float(row[f"Head{turn}"]) for turn in ("Yaw", "Pitch", "Roll")] == pytest.approx([-0.3, 0.2, 0.1], abs=1e-9)
    gaze = gaze_of_weights(weights)[0]
    for eye in ("LeftEye", "RightEye"):
        assert float(row[f"{eye}Yaw"]) == pytest.approx(-gaze[0]) and float(row[f"{eye}Yaw"]) < -0.1
        assert float(row[f"{eye}Pitch"]) == pytest.approx(-gaze[1]) and float(row[f"{eye}Pitch"]) > 0.1


@pytest.mark.parametrize("fps, base", [
    (30, 60), (60, 60), (30000 / 1001, 30), (60000 / 1001, 60), (59.92, 60), (24, 24)])
def test_rate_is_found_from_time_codes(tmp_path, fps, base):
    jaw = np.linspace(0, 1, 150)
    path = table(tmp_path / "a.csv", codes(fps, base, 150, start=47.8), jaw)
    motion = read_motion(path)
    assert motion.fps == pytest.approx(fps, rel=2e-5) and len(motion) == 150
    assert np.allclose(motion.expression[:, JAW], jaw, atol=1e-6) and motion.head_pose is None


def test_midnight_and_drop_frame(tmp_path):
    night = [f"{h}:{m}:{s}:{f:02d}" for h, m, s in (("23", "59", "59"), ("00", "00", "00")) for f in range(30)]
    assert read_motion(table(tmp_path / "a.csv", night, np.zeros(60))).fps == 30
    # SMPTE drop frame: 00:00:59;29 is followed by 00:01:00;02.
    drop = [f"00:00:59;{f:02d}" for f in range(30)] + [f"00:01:00;{f:02d}" for f in range(2, 30)]
    motion = read_motion(table(tmp_path / "b.csv", drop, np.zeros(58)))
    assert motion.fps == pytest.approx(30000 / 1001, rel=1e-6) and len(motion) == 58


def test_dropped_and_lost_frames_are_interpolated(tmp_path):
    every = list(codes(30, 60, 100, start=0.5))
    jaw = [i / 100 for i in range(100)]
    jaw[40:45] = [None] * 5
    kept = [i for i in range(100) if not 20 <= i < 23]
    motion = read_motion(table(tmp_path / "a.csv", [every[i] for i in kept], [jaw[i] for i in kept]))
    assert len(motion) == 100 and motion.fps == 30
    assert np.allclose(motion.expression[:, JAW], np.arange(100) / 100, atol=1e-6)


def test_lost_frames_at_the_ends_hold(tmp_path):
    motion = read_motion(table(tmp_path / "a.csv", codes(30, 30, 40), [None] * 3 + [0.5] * 34 + [None] * 3))
    assert len(motion) == 40 and np.allclose(motion.expression[:, JAW], 0.5)


@pytest.mark.parametrize("change", ["semicolons", "tabs", "bom", "crlf", "camel", "suffix", "shuffled",
                                    "decimal commas", "no head", "Blendshape", "quoted"])
def test_variants_read_alike(tmp_path, change):
    motion = take(40, head=change != "no head")
    write_motion(motion, tmp_path / "a.csv")
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()]
    separator, newline, start = ",", "\n", ""
    if change in ("semicolons", "decimal commas"):
        separator = ";"
    if change == "decimal commas":
        rows[1:] = [[row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in rows[1:]]
    if change == "tabs":
        separator = "\t"
    if change == "bom":
        start = "\ufeff"
    if change == "crlf":
        newline = "\r\n"
    if change == "camel":
        rows[0] = [name[0].lower() + name[1:] for name in rows[0]]
    if change == "suffix":
        rows[0] = [name[:-4] + "_L" if name.endswith("Left") else name[:-5] + "_R" if name.endswith("Right") else name
                   for name in rows[0]]
        rows[0] = [{"Mouth_L": "MouthLeft", "Mouth_R": "MouthRight", "Jaw_L": "JawLeft", "Jaw_R": "JawRight"}.get(n, n)
                   for n in rows[0]]
    if change == "shuffled":
        order = np.random.default_rng(2).permutation(63)
        rows = [[row[i] for i in order] for row in rows]
    if change == "no head":
        rows = [row[:54] for row in rows]
    if change == "Blendshape":
        rows[0][1] = "BlendshapeCount"
    if change == "quoted":
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    (tmp_path / "b.csv").write_bytes((start + newline.join(separator.join(row) for row in rows)).encode())
    again = read_motion(tmp_path / "b.csv")
    assert again.fps == 25 and np.abs(again.expression - motion.expression).max() < 1e-6
    assert np.abs(again.gaze - motion.gaze).max() < (1e-5 if change != "no head" else 1e-6)
    assert (again.head_pose is None) == (change == "no head")


@pytest.mark.parametrize("times", [[f"{i * 40}" for i in range(30)], [f"{i / 25:.3f}" for i in range(30)],
                                   [f"00:00:{i // 25:02d}.{i % 25 * 40:03d}" for i in range(30)]])
def test_clock_times_are_read(tmp_path, times):
    header = HEADER.replace("Timecode", "TimeMs" if times[1] == "40" else "Timestamp")
    assert read_motion(table(tmp_path / "a.csv", times, np.zeros(30), header)).fps == 25


@pytest.mark.parametrize("damage, message", [
    (lambda text: text[:-40], "line 41 has .* of 63 columns"),
    (lambda text: text.replace("00:00:00:05.000,61,0.", "00:00:00:05.000,61,nan0."), "line 7: 'nan0"),
    (lambda text: text.replace("00:00:00:05.000,61,0.", "00:00:00:05.000,61,inf,0."), "line 7 holds NaN or infinite"),
    (lambda text: text.replace("00:00:00:05.000", "five"), "'five' is no time code"),
    (lambda text: text.replace("JawOpen", "JawLeft"), "two columns of one name"),
    (lambda text: text.replace("Timecode", "Frame"), "no column Timecode"),
    (lambda text: text.splitlines()[0], "has 0 frames"),
    (lambda text: "a,b\n1,2\n", "no column named as one of ARKit's"),
    (lambda text: "", "is empty"),
    (lambda text: text.replace(",61,0.", ",61,80."), "weights of .* divide percentages by 100"),
    (lambda text: "\n".join(line if i == 0 else line[line.index(","):].join(("00:00:00:00.000", ""))
                            for i, line in enumerate(text.splitlines())), "time codes do not go on"),
    (lambda text: text.replace("00:00:01:14.000", "20:00:01:14.000"), "frames; a motion has"),
])
def test_damage_is_one_line(tmp_path, damage, message):
    write_motion(take(), tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text(damage((tmp_path / "a.csv").read_text()))
    with pytest.raises(UserError, match=message) as refused:
        read_motion(tmp_path / "b.csv")
    assert "\n" not in str(refused.value) and "b.csv" in str(refused.value)


def test_degrees_and_lost_faces_are_refused(tmp_path):
    write_motion(replace(take(), gaze=np.full((40, 2), 20, np.float32)), tmp_path / "a.csv")
    with pytest.raises(UserError, match="they are in radians, convert degrees"):
        read_motion(tmp_path / "a.csv")
    with pytest.raises(UserError, match="the face was lost in all 20 frames"):
        read_motion(table(tmp_path / "b.csv", codes(30, 30, 20), [None] * 20))
