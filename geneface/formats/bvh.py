"""BVH: head, jaw and eyes as joints, in centimetres, y up, the face along z (Meredith and Maddock 2001 for the format).

    Head  (root: place and rotation)
      Jaw       at its hinge: opens about x, goes aside about y
      LeftEye   at the eyeball's centre, the person's left
      RightEye

Rotations are in degrees, in the order Z X Y of most BVH files: the matrix is Rz Rx Ry. At rest all are zero. The jaw
turns as the lower teeth of the basis do: 22.3 degrees at jawOpen 1, 7.3 at jawLeft or jawRight 1. Of the expression
that is all that there is; a file read back has jawOpen, jawLeft, jawRight and eyeLook*, and no other weights.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face.arkit import index
from ..face.basis import load_basis
from ..face.gaze import gaze_weights
from ..face.motion import motion_from_weights
from ..face.pose import gaze_of_direction, gaze_turn, head_positions, head_rotations, poses, y_up
from ..guard import check_fps, check_frames, read_text
from ..types import EXPRESSIONS, MotionSequence, write_atomically
from . import WriteOptions
from .headmesh import HeadModel, load_head
from .joints import HEAD, JAW, LEFT_EYE, RIGHT_EYE, role

CENTIMETRES = 100.0
MAX_JOINTS, MAX_DEPTH, MAX_HIERARCHY, MAX_BYTES = 4096, 256, 1 << 20, 1 << 27
ORDER = "ZXY"
_OPEN, _LEFT, _RIGHT = index("jawOpen"), index("jawLeft"), index("jawRight")


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write head, jaw and eyes."""
    from scipy.spatial.transform import Rotation

    head = load_head()
    aside = head.jaw_side * (motion.expression[:, _LEFT] - motion.expression[:, _RIGHT])
    jaw = np.stack([aside, head.jaw_open * motion.expression[:, _OPEN]], axis=1)
    eyes = gaze_turn(motion.gaze)
    turns = [Rotation.from_matrix(head_rotations(motion)), Rotation.from_euler("YX", jaw), eyes, eyes]
    columns = [CENTIMETRES * head_positions(motion)] + [turn.as_euler(ORDER, degrees=True) for turn in turns]
    rows = np.concatenate(columns, axis=1) + 0.0  # no negative zeros
    text = f"{_hierarchy(head)}MOTION\nFrames: {len(motion)}\nFrame Time: {1 / motion.fps:.10f}\n" + (
        (" ".join(["%.6f"] * rows.shape[1]) + "\n") * len(rows)) % tuple(rows.ravel().tolist())
    write_atomically(path, lambda temporary: temporary.write_text(text, "ascii"))


def _hierarchy(head: HeadModel) -> str:
    """The joints, as text. Their ends are for the eye: the chin, and the pupils."""
    chin = y_up(load_basis().landmarks68(np.zeros(EXPRESSIONS, np.float32))[8])
    turning = " ".join(f"{axis}rotation" for axis in ORDER)
    joints = [("Jaw", head.jaw_hinge, chin - head.jaw_hinge)] + [
        (name, centre, (0, 0, 0.0163)) for name, centre in zip(("LeftEye", "RightEye"), head.eye_centres)]

    def offset(point) -> str:
        return "OFFSET " + " ".join(f"{CENTIMETRES * value:.6f}" for value in point)

    lines = ["HIERARCHY", "ROOT Head", "{", "\t" + offset((0, 0, 0)),
             f"\tCHANNELS 6 Xposition Yposition Zposition {turning}"]
    for name, place, end in joints:
        lines += [f"\tJOINT {name}", "\t{", "\t\t" + offset(place), f"\t\tCHANNELS 3 {turning}",
                  "\t\tEnd Site", "\t\t{", "\t\t\t" + offset(end), "\t\t}", "\t}"]
    return "\n".join([*lines, "}", ""])


@dataclass
class Joint:
    """A joint of a file.

    Attributes:
        name: as the file has it.
        parent: the joint above it, None for a root.
        channels: kind ("position" or "rotation"), axis (0 to 2) and column of each, in the file's order.
        offset: [3] from the parent, in the file's unit.
    """

    name: str
    parent: "Joint | None"
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[tuple[str, int, int]] = field(default_factory=list)

    def rotation(self, rows: np.ndarray):
        """Of the joint in its parent, [T] `Rotation`s; rows: [T,C]."""
        from scipy.spatial.transform import Rotation

        turns = [(axis, column) for kind, axis, column in self.channels if kind == "rotation"]
        out = Rotation.identity(len(rows))
        for axis, column in turns:
            out = out * Rotation.from_rotvec(np.radians(rows[:, column])[:, None] * np.eye(3)[axis])
        return out

    def place(self, rows: np.ndarray) -> np.ndarray:
        """[T,3] in its parent, in the file's unit."""
        out = np.tile(self.offset, (len(rows), 1))
        for kind, axis, column in self.channels:
            if kind == "position":
                out[:, axis] = rows[:, column]
        return out


def read(path: Path) -> MotionSequence:
    """Head, jaw and eyes of a file, ours or another program's.

    The joints are those called Head, Jaw, LeftEye and RightEye, also as "mixamorig:Head", "head_jnt",
    "CC_Base_JawRoot", "eye.L" and the like, below any others; a head is needed, the rest where it is there. The figure
    must be at rest where all rotations are zero, y up and facing z, as in most BVH files. Files in which no joint is 1
    unit off its parent are in metres, others in centimetres.

    Raises:
        UserError: no BVH file, cut off or damaged, no head, or without end.
    """
    text = read_text(path, MAX_BYTES).replace("\r\n", "\n").replace("\r", "\n")
    split = re.search(r"^[ \t]*MOTION[ \t]*$", text, re.MULTILINE | re.IGNORECASE)
    if not re.match(r"\s*HIERARCHY\b", text, re.IGNORECASE):
        raise UserError(f"{path}: is no BVH file, it does not begin with HIERARCHY")
    if split is None:
        raise UserError(f"{path}: has no MOTION part; the file is cut off")
    joints = _joints(text[:split.start()], path)
    rows, fps = _rows(text[split.end():], sum(len(joint.channels) for joint in joints), path)
    found = {name: joint for joint in reversed(joints) if (name := role(joint.name))}
    if HEAD not in found:
        names = ", ".join(joint.name[:40] for joint in joints[:8])
        raise UserError(f"{path}: no joint is called Head (there are {names}); rename the head's joint")
    unit = 1.0 if max(np.abs(joint.offset).max() for joint in joints) < 1 else 1 / CENTIMETRES
    turn, place = _in_world(found[HEAD], rows)
    place = unit * (place - place.mean(0))
    still = turn.magnitude().max() < 1e-6 and np.abs(place).max() < 1e-6
    gaze = np.zeros((len(rows), 2))
    eyes = [found[name].rotation(rows).as_matrix()[:, :, 2] for name in (LEFT_EYE, RIGHT_EYE) if name in found]
    if eyes:
        gaze = gaze_of_direction(np.mean(eyes, axis=0))
    weights = gaze_weights(gaze)
    if JAW in found:
        head, chin = load_head(), found[JAW].rotation(rows).as_matrix()[:, :, 2]  # where the jaw points
        aside = np.arctan2(chin[:, 0], chin[:, 2]) / head.jaw_side
        weights[:, _OPEN] = np.arctan2(-chin[:, 1], np.hypot(chin[:, 0], chin[:, 2])) / head.jaw_open
        weights[:, _LEFT], weights[:, _RIGHT] = np.maximum(aside, 0), np.maximum(-aside, 0)
    return motion_from_weights(
        weights, fps, f"BVH: {path.name}", None if still else poses(turn.as_matrix(), place), gaze)


def _in_world(joint: Joint, rows: np.ndarray):
    """Rotations [T] and places [T,3] of a joint."""
    turn, place = joint.rotation(rows), joint.place(rows)
    while (joint := joint.parent) is not None:
        if not joint.channels:
            place = place + joint.offset
            continue
        above = joint.rotation(rows)
        turn, place = above * turn, above.apply(place) + joint.place(rows)
    return turn, place


def _joints(text: str, path: Path) -> list[Joint]:
    """The joints of the part before MOTION, in the order of their columns."""
    joints: list[Joint] = []
    above: list[Joint | None] = []  # the joints whose braces are open; None for the end of a limb
    pending, entering, columns = None, False, 0
    if len(text) > MAX_HIERARCHY:
        raise UserError(f"{path}: {len(text) / 1e6:.0f} MB of joints; this is no figure")
    text = re.sub(r"(\S)[ \t]*\{", r"\1\n{", text)  # braces on the line of their joint
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        kind = words[0].upper() if words else ""
        where = f"{path}: line {number}"
        if kind in ("ROOT", "JOINT"):
            joints.append(Joint(" ".join(words[1:]) or "unnamed", above[-1] if above else None))
            pending, entering = joints[-1], True
        elif kind == "END":
            pending, entering = None, True
        elif kind == "{" and entering:
            above.append(pending)
            entering = False
        elif kind == "}" and above:
            above.pop()
        elif kind == "OFFSET" and above:
            if above[-1] is not None:
                above[-1].offset = _offset(words[1:], where)
        elif kind == "CHANNELS" and above and above[-1] is not None:
            above[-1].channels = _channels(words[1:], columns, where)
            columns += len(above[-1].channels)
        elif kind not in ("", "HIERARCHY"):
            raise UserError(f"{where}: {line.strip()[:40]!r} does not belong there; the file is damaged")
        if len(joints) > MAX_JOINTS or len(above) > MAX_DEPTH:
            raise UserError(f"{where}: more than {MAX_JOINTS} joints, or {MAX_DEPTH} in each other; this is no figure")
    if above or not joints:
        raise UserError(f"{path}: its hierarchy does not end; the file is cut off")
    return joints


def _offset(words: list[str], where: str) -> np.ndarray:
    try:
        out = np.array(words, np.float64)
    except ValueError:
        out = np.zeros(0)
    if out.shape != (3,) or not np.isfinite(out).all():
        raise UserError(f"{where}: OFFSET needs three numbers; the file is damaged")
    return out


def _channels(words: list[str], first: int, where: str) -> list[tuple[str, int, int]]:
    names = [re.fullmatch(r"([xyz])(position|rotation)", word.lower()) for word in words[1:]]
    if not words or words[0] != str(len(names)) or len(names) > 12 or not all(names):
        raise UserError(f"{where}: CHANNELS needs a count and so many of Xposition ... Zrotation; the file is damaged")
    return [(name[2], "xyz".index(name[1]), first + column) for column, name in enumerate(names)]


_COUNTS = r"\s*Frames:[ \t]*(\d{1,18})[ \t]*\n[ \t]*Frame Time:[ \t]*(\S{1,40})[ \t]*(?:\n|$)"


def _rows(text: str, columns: int, path: Path) -> tuple[np.ndarray, float]:
    """Values [T,C] of the part after MOTION, and frames per second."""
    head = re.match(_COUNTS, text, re.IGNORECASE)
    if head is None:
        raise UserError(f"{path}: MOTION is not followed by Frames: and Frame Time:; the file is cut off or damaged")
    try:
        step = float(head[2])
    except ValueError:
        step = float("nan")
    if not step > 1e-9:
        raise UserError(f"{path}: a frame time of {head[2]} seconds; it must be more than 0")
    check_frames(int(head[1]), path)
    if text.count("\n", head.end()) > 2 * int(head[1]) + 1000:  # before a list of them is made
        raise UserError(f"{path}: says {head[1]} frames and has many more; the file is damaged")
    lines = [line for line in text[head.end():].split("\n") if line and not line.isspace()]
    if len(lines) != int(head[1]):
        raise UserError(f"{path}: says {head[1]} frames and has {len(lines)}; the file is cut off or damaged")
    if max(map(len, lines)) > 64 * (columns + 1):
        raise UserError(f"{path}: a row is too long for {columns} channels; the file is damaged")
    try:
        rows = np.loadtxt(lines, np.float64, comments=None, ndmin=2)
    except ValueError as error:
        reason = str(error).splitlines()[0][:80]
        raise UserError(f"{path}: MOTION holds what is no number, or rows of other lengths ({reason})") from None
    if rows.shape[1] != columns:
        raise UserError(f"{path}: {rows.shape[1]} numbers a frame for {columns} channels; the file is damaged")
    if not np.isfinite(rows).all() or np.abs(rows).max(initial=0) > 1e7:
        raise UserError(f"{path}: MOTION holds NaN, infinite or absurd values; mend or delete them")
    return rows, check_fps(_usual_rate(1 / step), path)


def _usual_rate(fps: float) -> float:
    """The rate that one rounded in the file means: 0.033333 is 30, 0.033367 is 30000/1001."""
    usual = [whole * part for whole in range(1, 241) for part in (1, 1000 / 1001)]
    nearest = min(usual, key=lambda rate: abs(rate - fps))
    return nearest if abs(nearest - fps) < 1e-4 * fps else fps
