"""Edits in words: as the command line takes them and a motion's history keeps them ("mouth 1.2").

Light to import: the edits themselves (`motion.edits`) are loaded when the first one is made.
"""
from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from ..types import MotionSequence

Change = Callable[["MotionSequence"], "MotionSequence"]


@dataclass(frozen=True)
class Edit:
    """An edit as people write it.

    Attributes:
        name: the option without its dashes, and the first word of a line of history.
        values: what stands after it, for the help; empty for none.
        help: one line.
        read: the change that the text of its values asks for. Raises UserError: it cannot be read.
    """

    name: str
    values: str
    help: str
    read: Callable[[str], Change]


def apply(motion: MotionSequence, *lines: str) -> MotionSequence:
    """`motion` after edits, in order, each in words: `apply(motion, "mouth 1.2", "emotion happy:0.5", "mirror")`.

    Raises:
        UserError: no such edit, or its values cannot be read or are out of range.
    """
    return read_edits(lines)(motion)


def read_edits(lines: Iterable[str]) -> Change:
    """All of `lines` as one change, read before anything is done. Raises UserError: as `apply`."""
    changes = [_change(line) for line in lines]

    def change(motion: MotionSequence) -> MotionSequence:
        for each in changes:
            motion = each(motion)
        return motion

    return change


def replay(motion: MotionSequence, history: Iterable[str]) -> MotionSequence:
    """`motion` after the edits of another motion's history; lines that say where that one came from are passed over."""
    return apply(motion, *(line for line in history if line.partition(" ")[0] in EDITS))


def _change(line: str) -> Change:
    name, _, text = line.strip().partition(" ")
    if name not in EDITS:
        nearest = difflib.get_close_matches(name, EDITS, n=1, cutoff=0.7)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(EDITS)}"
        raise UserError(f"no edit {name!r}; {hint}")
    edit = EDITS[name]
    if bool(edit.values) != bool(text.strip()):
        wanted = edit.values if edit.values else f"no value, got {text.strip()!r}"
        raise UserError(f"{name}: takes {wanted}")
    return edit.read(text.strip())


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{name}: {text.strip()!r} is no number")
    return value


def _numbers(name: str, text: str) -> list[float]:
    return [_number(name, part) for part in text.split(",")]


def _with_strength(text: str) -> tuple[str, list[float]]:
    """The text before a last ":NUMBER", and that number, if any; paths keep other colons."""
    head, colon, tail = text.rpartition(":")
    try:
        return (head, [float(tail)]) if colon else (text, [])
    except ValueError:
        return text, []


def _change_of(function: str, *values, **named) -> Change:
    """The function of `motion.edits`, called with the motion and these values."""
    return lambda motion: getattr(importlib.import_module(".edits", __package__), function)(motion, *values, **named)


def _gain(name: str, function: str = "") -> Callable[[str], Change]:
    return lambda text: _change_of(function or name, _number(name, text))


def _emotion(text: str) -> Change:
    name, *rest = text.split(":")
    if len(rest) > 2:
        raise UserError(f"emotion: {text!r} has too many colons; write NAME:STRENGTH:REGIONS, as happy:0.6:brows,eyes")
    strength = _number("emotion: strength", rest[0]) if rest else 1.0
    regions = [{"regions": [part.strip() for part in names.split(",") if part.strip()]} for names in rest[1:]]
    return _change_of("emotion", name.strip(), strength, **(regions[0] if regions else {}))


def _blink_rate(text: str) -> Change:
    rate, strength = _with_strength(text)
    return _change_of("blink_rate", _number("blink-rate", rate), *strength)


def _blink_at(text: str) -> Change:
    times, strength = _with_strength(text)
    return _change_of("blink_at", _numbers("blink-at", times), *strength)


def _gaze(text: str) -> Change:
    given, strength = _with_strength(text)
    angles = _numbers("gaze", given)
    if len(angles) != 2:
        raise UserError(f"gaze: {given!r} must be YAW,PITCH in degrees, to the image's right and up")
    return _change_of("gaze", *angles, *strength)


def _gaze_at(text: str) -> Change:
    given, strength = _with_strength(text)
    return _change_of("gaze_at", [0.0, 0.0, 0.0] if given == "camera" else _numbers("gaze-at", given), *strength)


def _like(function: str) -> Callable[[str], Change]:
    """An edit after somebody else's motion."""
    def read(text: str) -> Change:
        from .reference import reference_motion

        path, strength = _with_strength(text)
        return _change_of(function, reference_motion(path), *strength, name=path)

    return read


def _cut(text: str) -> Change:
    begin, comma, end = text.partition(",")
    if not comma:
        raise UserError(f"cut: {text!r} must be FROM,TO in seconds; without TO, to the end")
    first = _number("cut", begin) if begin.strip() else 0.0
    return _change_of("cut", first, _number("cut", end) if end.strip() else None)


def _join(text: str) -> Change:
    from ..formats import read_motion

    path, crossfade = _with_strength(text)
    return _change_of("join", read_motion(path), *crossfade, name=path)


def _loop(text: str) -> Change:
    amount, crossfade = _with_strength(text)
    turns = amount.endswith("x")
    value = _number("loop", amount[:-1] if turns else amount)
    if turns and value != int(value):
        raise UserError(f"loop: {amount!r} must be a whole number of turns, as 3x, or seconds, as 60")
    return _change_of("loop", int(value) if turns else None, None if turns else value, *crossfade)


def _replay(text: str) -> Change:
    from ..formats import read_motion

    history = read_motion(text).history
    return lambda motion: replay(motion, history)


def _resample(text: str) -> Change:
    from .resample import frame_rate

    return _change_of("resample", frame_rate(_number("resample", text)))


EDITS: dict[str, Edit] = {edit.name: edit for edit in (
    Edit("mouth", "GAIN", "How wide the mouth opens: 1 as it does. Closed lips stay closed.", _gain("mouth")),
    Edit("expression", "GAIN", "All that the face does but blinks and gaze: 1 as it does.",
         _gain("expression")),
    Edit("emotion", "NAME[:STRENGTH[:REGIONS]]",
         "A feeling, from 0 to 1.5, as happy:0.6:brows,eyes: happy, sad, angry, surprised, afraid, disgusted, "
         "contemptuous, relaxed; in brows, eyes, mouth.", _emotion),
    Edit("smooth", "SECONDS", "Steadier by a Gaussian filter of this standard deviation: 0 as it is.",
         _gain("smooth")),
    Edit("head", "GAIN", "How far the head moves from its mean pose: 1 as it does, 0 still.", _gain("head")),
    Edit("blink", "GAIN", "How deep the blinks are: 1 as they are, 0 none.", _gain("blink", "blinks")),
    Edit("blink-rate", "PER_MINUTE[:STRENGTH]", "Other blinks, drawn, so many a minute.", _blink_rate),
    Edit("blink-at", "SECONDS,...[:STRENGTH]", "Other blinks, at these times.", _blink_at),
    Edit("blink-like", "FILE[:STRENGTH]", "The blinks of another motion, prepared person or avatar.",
         _like("blink_like")),
    Edit("gaze", "YAW,PITCH[:STRENGTH]", "The eyes look that way on the whole: degrees to the image's right, and up.",
         _gaze),
    Edit("gaze-at", "X,Y,Z|camera[:STRENGTH]",
         "The eyes rest on a point, however the head turns: metres from the camera, right, down, away.", _gaze_at),
    Edit("style", "FILE[:STRENGTH]",
         "Mouth opening, brows, head, gaze and blink rate as in another motion, prepared person or avatar.",
         _like("style")),
    Edit("mirror", "", "Left for right.", lambda text: _change_of("mirror")),
    Edit("stretch", "FACTOR", "So many times as long: 1 as it is.", _gain("stretch")),
    Edit("cut", "FROM,TO", "Only these seconds; without TO, to the end.", _cut),
    Edit("join", "FILE[:CROSSFADE]", "Another motion after it, cross-faded over so many seconds.", _join),
    Edit("loop", "TIMESx|SECONDS[:CROSSFADE]", "Over and over without a seam: 3x, or 60 for a minute.", _loop),
    Edit("resample", "FPS", "Other frames per second; 29.97 is 30000/1001.", _resample),
    Edit("replay", "FILE", "The edits that another motion's history lists.", _replay),
)}
"""Every edit by its name."""
