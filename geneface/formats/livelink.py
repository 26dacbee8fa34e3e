"""Live Link Face CSV, as Epic's iPhone app writes it and Unreal, MotionBuilder, Maya and Blender read it.

One row a frame, 63 columns: the time code, the number of values (61), Apple's 52 shapes in Epic's order
(`EARFaceBlendShape`), then yaw, pitch and roll of head, left eye and right eye. Order, ten decimals and time codes are
those of the app's own takes (github.com/alexdjulin/LiveLinkFace-CSV-Retarget-For-Motionbuilder, folder anim;
github.com/dwskillman/BlendFiles, MySlate_1_iPhone.csv; newer versions spell the second column BlendshapeCount).

* Left and right are the person's own, as Apple's.
* Angles are in radians (so read by Blender's FaceIt, and only so are the eyes of those takes within an eye's reach).
  Positive yaw turns to the person's right, positive pitch down, positive roll tilts towards the left shoulder: Unreal's
  rotator of a head that looks along -x (AppleARKitConversion of the engine; in the takes eyeLookOutLeft goes with
  negative LeftEyeYaw and eyeLookDown with positive pitch). Turned about the vertical axis last.
* A time code HH:MM:SS:FF.mmm is a time of day; FF.mmm is the part of the second that has gone, in frames of the base
  rate: the next whole number of the frame rate (30 for 29.97). Frame i of 29.97 frames per second is thus FF = 1.001 i.
* A row of a time code and 0 is a frame in which the app lost the face.

The frame rate stands nowhere but in the time codes: the base is where FF starts again, the rate is how fast it counts.
A take shorter than a second is written to start in the last frame of a second, so that it shows where FF starts again.
"""
from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face.arkit import ARKIT_NAMES, plain
from ..face.motion import motion_from_weights
from ..face.pose import head_angles, poses_of_angles
from ..guard import MAX_FRAMES, check_fps, check_frames, check_weights, lines_of, read_text
from ..types import MotionSequence, write_atomically
from . import WriteOptions

SHAPES: tuple[str, ...] = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft", "EyeSquintLeft",
    "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight",
    "EyeSquintRight", "EyeWideRight", "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel",
    "MouthPucker", "MouthRight", "MouthLeft", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight",
    "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight", "MouthRollLower", "MouthRollUpper",
    "MouthShrugLower", "MouthShrugUpper", "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft",
    "MouthLowerDownRight", "MouthUpperUpLeft", "MouthUpperUpRight", "BrowDownLeft", "BrowDownRight", "BrowInnerUp",
    "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft",
    "NoseSneerRight", "TongueOut",
)
ANGLES: tuple[str, ...] = tuple(
    f"{part}{turn}" for part in ("Head", "LeftEye", "RightEye") for turn in ("Yaw", "Pitch", "Roll")
)
COLUMNS: tuple[str, ...] = ("Timecode", "BlendShapeCount", *SHAPES, *ANGLES)

_ARKIT = [ARKIT_NAMES.index(name[0].lower() + name[1:]) for name in SHAPES]
_HEAD_SIGNS = np.array([-1.0, 1.0, -1.0])  # between our yaw, pitch, roll (`pose.head_angles`) and Epic's
_GAZE_SIGNS = np.array([-1.0, -1.0])  # between our gaze (person's left, up) and Epic's yaw and pitch
_DAY = 24 * 3600.0
_TEXT_BYTES = 1 << 28  # about two hours at 60 frames per second


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write the 63 columns. The place of the head, the words and the history are lost."""
    eyes = np.pad(motion.gaze * _GAZE_SIGNS, ((0, 0), (0, 1)))
    values = np.hstack([motion.expression[:, _ARKIT], head_angles(motion) * _HEAD_SIGNS, eyes, eyes])
    base = math.ceil(motion.fps - 1e-6)
    start = (base - 1) / base if (len(motion) - 1) / motion.fps < 1 else 0.0
    rows = [",".join(COLUMNS)]
    for index, row in enumerate(values.astype(np.float64) + 0.0):  # + 0.0: no "-0.0000000000"
        code = _timecode(start + index / motion.fps, base)
        rows.append(f"{code},{len(row)}," + ",".join(f"{value:.10f}" for value in row))
    write_atomically(path, lambda temporary: temporary.write_text("\n".join(rows) + "\n", "ascii"))


def read(path: Path) -> MotionSequence:
    """Read a take of the app, of Unreal, or a table like it.

    Columns are found by name in any order and spelling (eyeBlinkLeft, EyeBlink_L); missing shapes are 0, and missing or
    constantly zero head angles (the app's switch for head rotation is off) leave out the head pose. Separators are
    commas, semicolons or tabs. Frames that the time codes show to be dropped, or in which the face was lost, are
    interpolated; undamaged frames stay as they are.

    Raises:
        UserError: not such a table, or cut off, without usable time codes, or with values that no face has.
    """
    table = _read_table(path)
    steps, fps = _frame_steps(table, path)
    count = int(steps[-1]) + 1
    check_frames(count, path)
    known = table.known
    if not known.any():
        raise UserError(f"{path}: the face was lost in all {count} frames; record the take again")

    def column(values: np.ndarray) -> np.ndarray:
        frames = np.arange(count)
        return np.stack([np.interp(frames, steps[known], series) for series in values[known].T], axis=1)

    weights = column(table.weights)
    head, eyes = column(table.angles[:, :3]), column(table.angles[:, 3:])
    gaze = (eyes[:, [0, 1]] + eyes[:, [3, 4]]) / 2 * _GAZE_SIGNS
    return motion_from_weights(
        check_weights(weights, path), fps, f"Live Link Face: {path.name}",
        head_pose=poses_of_angles(head * _HEAD_SIGNS) if head.any() else None,
        gaze=gaze.astype(np.float32) if eyes.any() else None,
    )


@dataclass(frozen=True)
class _Table:
    """Rows of a file: times [N s] that increase, weights [N,52] in our order, angles [N,9 rad], known [N] faces.
    base [1/s]: frames of a second in its time codes, None where those are seconds."""

    times: np.ndarray
    weights: np.ndarray
    angles: np.ndarray
    known: np.ndarray
    base: float | None


_PLACES = {plain(name): place for place, name in enumerate((*ARKIT_NAMES, *ANGLES))}
_LOST = np.full(len(ARKIT_NAMES) + len(ANGLES), np.nan)
_TIMES = ("timecode", "time", "timestamp", "timems", "timestampms")


def _read_table(path: Path) -> _Table:
    text = read_text(path, _TEXT_BYTES)
    separator = max(",;\t", key=next(lines_of(text, path), "").count)
    rows = csv.reader(lines_of(text, path), delimiter=separator)
    codes: list[str] = []
    values: list[np.ndarray] = []
    try:
        names = [plain(name) for name in next(rows, [])]
        places, time_column, count_column = _columns(names, path)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(codes) == MAX_FRAMES:
                raise UserError(f"{path}: has more than {MAX_FRAMES} frames; cut it to parts")
            codes.append(row[time_column].strip() if time_column < len(row) else "")
            values.append(_numbers(row, places, count_column, len(names), separator, f"{path}: line {rows.line_num}"))
    except csv.Error as error:
        raise UserError(f"{path}: line {rows.line_num}: no table ({error}); export it again as CSV") from error
    check_frames(len(codes), path)
    times, base = _times(codes, names[time_column], path)
    numbers = np.stack(values)
    forward = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    if forward.sum() < max(2, len(times) / 2) and len(times) > 1:
        raise UserError(f"{path}: its time codes do not go on; the frame rate cannot be known, export it again")
    times, numbers = times[forward], numbers[forward]
    weights, angles = numbers[:, :len(ARKIT_NAMES)], numbers[:, len(ARKIT_NAMES):]
    known = np.isfinite(numbers).all(axis=1)
    if known.any() and np.abs(angles[known]).max() > 2 * np.pi:
        raise UserError(f"{path}: angles of {np.abs(angles[known]).max():g}; they are in radians, convert degrees")
    return _Table(times, weights, angles, known, base)


def _columns(names: list[str], path: Path) -> tuple[dict[int, int], int, int | None]:
    """Where each column goes among the 52 weights and 9 angles, which column is the time, which counts the values."""
    places = {column: _PLACES[name] for column, name in enumerate(names) if name in _PLACES}
    if not any(place < len(ARKIT_NAMES) for place in places.values()):
        raise UserError(f"{path}: no column named as one of ARKit's 52 shapes (EyeBlinkLeft, JawOpen, ...); "
                        "is this a Live Link Face take?")
    if len(set(places.values())) < len(places):
        raise UserError(f"{path}: two columns of one name; each shape may stand once")
    time = next((names.index(name) for name in _TIMES if name in names), None)
    if time is None:
        raise UserError(f"{path}: no column Timecode, so the frame rate cannot be known; add one (00:00:00:00.000)")
    return places, time, names.index("blendshapecount") if "blendshapecount" in names else None


def _numbers(
    row: list[str], places: dict[int, int], count: int | None, width: int, separator: str, where: str
) -> np.ndarray:
    """[61] values of a row; NaN throughout where the app lost the face."""
    if count is not None and count < len(row) and row[count].strip() in ("0", "0.0"):
        return _LOST
    if len(row) < width:
        raise UserError(f"{where} has {len(row)} of {width} columns; the file is cut off or damaged")
    out = np.zeros(len(_LOST))
    for column, place in places.items():
        cell = row[column].replace(",", ".") if separator == ";" else row[column]
        try:
            out[place] = float(cell)
        except ValueError:
            raise UserError(f"{where}: {cell[:20]!r} is no number; the file is damaged") from None
    if not np.isfinite(out).all():
        raise UserError(f"{where} holds NaN or infinite values; mend or delete it")
    return out


_CODE = re.compile(r"(\d{1,9}):(\d{1,9}):(\d{1,9})([:;])(\d{1,9}(?:\.\d{0,9})?)")
_CLOCK = re.compile(r"(?:(\d{1,9}):(\d{1,9}):)?(\d{1,15}(?:[.,]\d{0,9})?)")


def _timecode(seconds: float, base: int) -> str:
    """HH:MM:SS:FF.mmm of a time of day [s]."""
    thousandths = round(seconds * base * 1000)
    frames, rest = divmod(thousandths, 1000)
    whole, frame = divmod(frames, base)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}:{second:02d}:{frame:02d}.{rest:03d}"


def _times(codes: list[str], name: str, path: Path) -> tuple[np.ndarray, float | None]:
    """Times [N s] of time codes, past midnight too, and their base."""
    found = [_CODE.fullmatch(code) for code in codes]
    if not any(found):
        clock = [_CLOCK.fullmatch(code) for code in codes]
        if not all(clock):
            bad = next(code for code, match in zip(codes, clock) if not match)
            raise UserError(f"{path}: {bad[:30]!r} is no time code (HH:MM:SS:FF.mmm)")
        unit = 1000.0 if name.endswith("ms") else 1.0
        times = [int(m[1] or 0) * 3600 + int(m[2] or 0) * 60 + float(m[3].replace(",", ".")) / unit for m in clock]
        return np.array(times), None
    if not all(found):
        bad = next(code for code, match in zip(codes, found) if not match)
        raise UserError(f"{path}: {bad[:30]!r} is no time code (HH:MM:SS:FF.mmm)")
    seconds = np.array([int(m[1]) * 3600 + int(m[2]) * 60 + int(m[3]) for m in found], np.float64)
    frames = np.array([float(m[5]) for m in found])
    base = _base(seconds, frames)
    times = seconds + frames / base
    if all(m[4] == ";" for m in found):
        # SMPTE drop frame: every minute but each tenth starts at frame 2 (4 at a base of 60).
        minutes = seconds // 60
        times = (times * base - round(base / 15) * (minutes - minutes // 10)) * 1.001 / base
    return times + _DAY * np.cumsum(np.diff(times, prepend=times[0]) < -_DAY / 2), base


def _base(seconds: np.ndarray, frames: np.ndarray) -> float:
    """Frames of a second in time codes: the number at which FF starts again."""
    least = np.floor(frames.max()) + 1
    step, over = np.diff(frames), np.diff(seconds) == 1
    within = step[np.diff(seconds) == 0]
    if over.any() and len(within) and (step[over] < 0).any():
        return max(np.round(np.median(within) - np.median(step[over])), least)
    if over.any() or len(frames) == 1 and frames[0] > 0:
        return least
    return next((float(base) for base in (30, 60) if least <= base), least)  # the app's two rates


def _frame_steps(table: _Table, path: Path) -> tuple[np.ndarray, float]:
    """Number [N] of the frame that each row is, and the frame rate [1/s]."""
    if len(table.times) == 1:
        return np.zeros(1), check_fps(table.base or 30.0, path)
    gaps = np.diff(table.times)
    steps = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(gaps / np.median(gaps))))])
    return steps, check_fps(_usual(steps[-1] / (table.times[-1] - table.times[0]), steps[-1]), path)


def _usual(fps: float, steps: float) -> float:
    """The rate that is meant by one measured over `steps` frames of time codes with three decimals."""
    whole = [rate for rate in (np.round(fps), np.round(fps * 1.001) / 1.001) if rate]
    usual = min(whole, key=lambda rate: abs(fps / rate - 1), default=fps)
    return float(usual if abs(fps / usual - 1) < 5e-5 + 5e-4 / steps else fps)
