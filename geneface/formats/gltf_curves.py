"""Animation curves of glTF 2.0 (section 3.11 and appendix C of its specification): frames out, keyframes in."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..guard import MAX_FRAMES, check_fps, check_frames
from .glb import MAX_VALUES, Damaged, Document

Channel = dict[str, Any]


class Animation:
    """An animation of a document in the making: all its curves have a keyframe at each frame, straight between them."""

    def __init__(self, document: Document, name: str, frames: int, fps: float, extras: dict[str, Any]) -> None:
        self._document = document
        self._times = document.add((np.arange(frames) / fps).astype(np.float32), bounds=True)
        self._content = {"name": name, "channels": [], "samplers": [], "extras": {"fps": fps} | extras}
        document.append("animations", self._content)

    def add(self, node: int, path: str, values: np.ndarray) -> None:
        """Let `path` ("weights", "rotation", "translation") of a node have the `values` [T,n]; rotations x, y, z, w."""
        values = np.ascontiguousarray(values, np.float32)
        output = self._document.add(values.reshape(-1) if path == "weights" else values)
        self._content["samplers"].append({"input": self._times, "output": output, "interpolation": "LINEAR"})
        sampler = len(self._content["samplers"]) - 1
        self._content["channels"].append({"sampler": sampler, "target": {"node": node, "path": path}})


def channels_of(animation: dict[str, Any]) -> dict[tuple[Any, Any], Channel]:
    """(node, path) -> the channel that moves it."""
    return {(one["target"].get("node"), one["target"].get("path")): one for one in animation["channels"]}


def frame_times(
    document: Document, animation: dict[str, Any], channels: list[Channel], path: Path
) -> tuple[np.ndarray, float]:
    """Times [T] [s] of the frames of these channels, and their rate.

    The rate is `extras.fps` of the animation as this package writes it, else that of keyframes at even distances, else
    30 frames per second.

    Raises:
        Damaged, UserError: times that do not rise, or a rate or number of frames beyond bounds.
    """
    keys = [_times(document, animation["samplers"][channel["sampler"]]) for channel in channels]
    begin, end = min(times[0] for times in keys), max(times[-1] for times in keys)
    extras = animation.get("extras")
    fps = extras.get("fps") if isinstance(extras, dict) else None
    if isinstance(fps, bool) or not isinstance(fps, (int, float)):
        fps = _rate(max(keys, key=len))
    fps = check_fps(fps, path)
    frames = (end - begin) * fps
    check_frames(round(min(frames, 2 * MAX_FRAMES)) + 1, path)
    at = begin + np.arange(round(frames) + 1) / fps
    most = max(keys, key=len)
    # Files hold times in single precision: after an hour, a frame's keyframe is a few thousandths of a frame off.
    same = len(most) == len(at) and np.abs(most - at).max() < 0.1 / fps
    return most if same else at, fps


def sample(document: Document, animation: dict[str, Any], channel: Channel, at: np.ndarray, width: int) -> np.ndarray:
    """[T,width] values of a channel at the times `at` [T]; rotations are unit quaternions x, y, z, w.

    Raises:
        Damaged: keyframes that do not fit each other.
    """
    sampler = animation["samplers"][channel["sampler"]]
    rotation = channel["target"]["path"] == "rotation"
    kind = sampler.get("interpolation", "LINEAR")
    times, values = _times(document, sampler), document.read(sampler["output"])
    parts = 3 if kind == "CUBICSPLINE" else 1
    if values.size != len(times) * parts * width:
        raise Damaged(f"a curve has {values.size} values for {len(times)} keyframes of {parts * width}")
    if len(at) * width > MAX_VALUES:
        raise Damaged(f"a curve of {width} values would have {len(at)} frames")
    values = values.reshape(len(times), parts, width)
    at = np.clip(at, times[0], times[-1])
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, max(len(times) - 2, 0))
    right = np.minimum(left + 1, len(times) - 1)
    span = (times[right] - times[left])[:, None]
    t = np.where(span > 0, (at - times[left])[:, None] / np.where(span > 0, span, 1), 0)
    if kind == "STEP":
        out = np.where(t < 1, values[left, 0], values[right, 0])
    elif kind == "CUBICSPLINE":
        arriving, here, leaving = values.transpose(1, 0, 2)
        out = ((2 * t**3 - 3 * t**2 + 1) * here[left] + span * (t**3 - 2 * t**2 + t) * leaving[left]
               + (3 * t**2 - 2 * t**3) * here[right] + span * (t**3 - t**2) * arriving[right])
    elif kind == "LINEAR":
        first, last = values[left, 0], values[right, 0]
        out = _slerp(first, last, t) if rotation else first + t * (last - first)
    else:
        raise Damaged(f"interpolation {kind!r} is not of glTF 2.0")
    return _unit(out) if rotation else out


def _times(document: Document, sampler: dict[str, Any]) -> np.ndarray:
    times = document.read(sampler["input"])
    if times.ndim != 1 or not len(times) or times[0] < 0 or (np.diff(times) <= 0).any():
        raise Damaged("the times of an animation do not rise")
    return times


def _rate(times: np.ndarray) -> float:
    steps = np.diff(times)
    if not len(steps) or np.ptp(steps) > 0.05 * steps.mean():
        return 30.0
    from ..motion.resample import frame_rate

    fps = (len(times) - 1) / (times[-1] - times[0])
    whole = round(fps)
    return float(whole) if abs(fps - whole) < 5e-4 * whole else frame_rate(round(fps, 3))


def _unit(quaternions: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(quaternions, axis=-1, keepdims=True)
    if (length < 1e-6).any():
        raise Damaged("a rotation is no unit quaternion")
    return quaternions / length


def _slerp(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Along the shorter arc (appendix C.3 of the specification)."""
    first, last = _unit(first), _unit(last)
    cosine = (first * last).sum(1, keepdims=True)
    last, cosine = np.where(cosine < 0, -last, last), np.clip(np.abs(cosine), 0, 1)
    angle = np.arccos(cosine)
    sine = np.where(angle < 1e-6, 1, np.sin(angle))
    arc = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / sine
    return np.where(angle < 1e-6, first + t * (last - first), arc)
