"""Edits of when: cut, join, loop, stretch."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...errors import UserError
from ...guard import MAX_FRAMES
from ...types import MotionSequence
from ..head import blend_poses
from ..resample import at_rate
from .weights import checked

CROSSFADE = 0.2  # [s] as long as lips take to close
_SERIES = ("landmarks", "expression", "blink", "gaze")


def stretch(motion: MotionSequence, factor: float) -> MotionSequence:
    """`factor` times as long (1 as it is, 0.1 to 10), words too, at the same frame rate."""
    factor = checked("stretch", factor, 0.1, 10)
    if factor == 1 or not len(motion):
        return motion
    slower = replace(motion, fps=motion.fps / factor,
                     words=tuple((factor * begin, factor * end, word) for begin, end, word in motion.words))
    return at_rate(slower, motion.fps).after(f"stretch {factor:g}")


def cut(motion: MotionSequence, begin: float = 0.0, end: float | None = None) -> MotionSequence:
    """The frames from `begin` to `end` [s], by default the motion's end; words cut at the edges.

    Raises:
        UserError: nothing of the motion lies there.
    """
    last = motion.seconds if end is None else end
    words = f"{begin:g}," + ("" if end is None else f"{end:g}")
    if not (math.isfinite(begin) and math.isfinite(last) and 0 <= begin < last):
        raise UserError(f"cut {words}: must go from 0 s or later to a later time")
    frames = slice(round(begin * motion.fps), min(len(motion), round(last * motion.fps)))
    if frames.start >= frames.stop:
        raise UserError(f"cut {words}: leaves no frame of a motion of {motion.seconds:g} s")
    if frames == slice(0, len(motion)):
        return motion
    return _frames(motion, np.arange(frames.start, frames.stop)).after(f"cut {words}")


def join(motion: MotionSequence, other: MotionSequence, crossfade: float = 0.0, name: str = "") -> MotionSequence:
    """`motion`, then `other` at the first one's frame rate.

    Where only one has head poses, the other's head stays where that one has it beside the joint.

    Args:
        crossfade: how long both overlap, the one fading into the other [s].
        name: of the other motion, for the history; its source by default.

    Raises:
        UserError: the cross-fade is longer than one of them.
    """
    crossfade = checked("crossfade", crossfade, 0, 60)
    line = f"join {name or other.source}" + (f":{crossfade:g}" if crossfade else "")
    if not len(other):
        return motion
    other = at_rate(other, motion.fps) if abs(other.fps - motion.fps) > 1e-9 else other
    if not len(motion):
        return replace(other, source=motion.source, history=motion.history).after(line)
    count = round(crossfade * motion.fps)
    if count > min(len(motion), len(other)):
        raise UserError(f"crossfade: {crossfade:g} s is longer than a motion of "
                        f"{min(motion.seconds, other.seconds):g} s; take a shorter one")
    if (motion.head_pose is None) != (other.head_pose is None):
        motion, other = _held(motion, other.head_pose, 0), _held(other, motion.head_pose, -1)
    fade = _blend(_frames(motion, np.arange(len(motion) - count, len(motion))), _frames(other, np.arange(count)))
    parts = (_frames(motion, np.arange(len(motion) - count)), fade, _frames(other, np.arange(count, len(other))))
    shift = (len(motion) - count) / motion.fps
    words = (*motion.words, *((begin + shift, end + shift, word) for begin, end, word in other.words))
    return replace(motion, **_strung(parts), words=tuple(sorted(words))).after(line)


def loop(motion: MotionSequence, times: int | None = None, seconds: float | None = None,
         crossfade: float = CROSSFADE) -> MotionSequence:
    """The motion over and over, its end faded into its beginning, so that no seam is seen.

    Every turn is shorter than the motion by the cross-fade. After a whole number of turns the end meets the beginning,
    so that a player may go on; once gives a clip that repeats.

    Args:
        times: how many turns; or
        seconds: how long in all.
        crossfade: [s]; at most half the motion.

    Raises:
        UserError: neither or both are given, too long, or no more than the cross-fade.
    """
    if (times is None) == (seconds is None):
        raise UserError("loop: give either how many times (3x) or how many seconds (60)")
    count = round(checked("loop: crossfade", crossfade, 0, 60) * motion.fps)
    turn = len(motion) - count
    if turn < max(count, 1):
        raise UserError(f"loop: a motion of {motion.seconds:g} s is too short for a cross-fade of {crossfade:g} s")
    if times is not None:
        total, line = turn * int(checked("loop: times", times, 1, MAX_FRAMES)), f"loop {times:g}x"
    else:
        total, line = round(checked("loop: seconds", seconds, 0, MAX_FRAMES) * motion.fps), f"loop {seconds:g}"
    if not 0 < total <= MAX_FRAMES:
        raise UserError(f"{line}: would make {total} frames; at least 1 and at most {MAX_FRAMES} can be")
    fade = _blend(_frames(motion, np.arange(turn, len(motion))), _frames(motion, np.arange(count)))
    once = _strung((fade, _frames(motion, np.arange(count, turn))))
    index = np.arange(total) % turn
    changes = {name: None if values is None else values[index] for name, values in once.items()}
    length, whole = turn / motion.fps, total / motion.fps
    words = tuple((begin + k * length, min(end, length) + k * length, word) for k in range(-(-total // turn))
                  for begin, end, word in motion.words if begin < length and begin + k * length < whole)
    return replace(motion, **changes, words=words).after(line + ("" if crossfade == CROSSFADE else f":{crossfade:g}"))


def _frames(motion: MotionSequence, index: np.ndarray) -> MotionSequence:
    """The consecutive frames `index`, and what is said in them."""
    changes = {name: getattr(motion, name)[index] for name in _SERIES}
    pose = None if motion.head_pose is None else motion.head_pose[index]
    begin, end = (index[0] / motion.fps, (index[-1] + 1) / motion.fps) if len(index) else (0.0, 0.0)
    words = tuple((max(first - begin, 0.0), min(last, end) - begin, word) for first, last, word in motion.words
                  if first < end and last > begin)
    return replace(motion, **changes, head_pose=pose, words=words)


def _held(motion: MotionSequence, poses: np.ndarray | None, frame: int) -> MotionSequence:
    """`motion`, its head held as in one of `poses`, where it has none of its own."""
    if motion.head_pose is not None or poses is None:
        return motion
    return replace(motion, head_pose=np.tile(poses[frame], (len(motion), 1, 1)))


def _blend(first: MotionSequence, second: MotionSequence) -> MotionSequence:
    """From the one to the other, of one length; their speeds fade as well as their places."""
    share = (np.arange(len(first)) + 1) / (len(first) + 1)
    share = share * share * (3 - 2 * share)

    def faded(name: str) -> np.ndarray:
        one, other = getattr(first, name), getattr(second, name)
        weight = share.reshape(-1, *[1] * (one.ndim - 1))
        return ((1 - weight) * one + weight * other).astype(np.float32)

    changes = {name: faded(name) for name in _SERIES}
    if first.head_pose is not None:
        changes["head_pose"] = blend_poses(first.head_pose, second.head_pose, share)
    return replace(first, **changes)


def _strung(parts: tuple[MotionSequence, ...]) -> dict[str, np.ndarray | None]:
    """Arrays of motions one after another."""
    out = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _SERIES}
    posed = parts[0].head_pose is not None
    return out | {"head_pose": np.concatenate([part.head_pose for part in parts]) if posed else None}
