"""USD files: text (.usda, and .usd as text) written without USD's library, .usdc and .usdz with it (usd-core).

What a file holds stands in `usda`. Files are read with the library: the SkelAnimation that has the most of ARKit's
blend shapes, of the file itself. Layers that it refers to are not opened.
"""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..extras import need
from ..face.arkit import ARKIT_NAMES, spelled
from ..face.motion import motion_from_weights
from ..face.pose import gaze_of_turn, poses
from ..guard import check_fps, check_frames, read_bytes
from ..types import MotionSequence, write_atomically
from . import WriteOptions
from .apart import read_apart
from .headmesh import load_head
from .usda import JOINTS, usda

MAX_USD_BYTES, MAX_NESTING = 1 << 28, 500


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write the head and its motion; see `usda`.

    Raises:
        UserError: .usdc or .usdz without usd-core, or it cannot be written.
    """
    ending = path.suffix.lower()
    if ending in (".usdc", ".usdz"):
        need("usd", f"{path}: writing {ending}")
    text = usda(motion, load_head())

    def save(temporary: Path) -> None:
        if ending not in (".usdc", ".usdz"):
            Path(temporary).write_text(text, "utf-8")
            return
        from pxr import Sdf, UsdUtils

        layer = Sdf.Layer.CreateAnonymous(".usda")
        layer.ImportFromString(text)
        if ending == ".usdc":
            layer.Export(str(temporary))
            return
        inner = Path(temporary).with_suffix(".usdc")
        try:
            layer.Export(str(inner))
            UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(inner)), str(temporary), "head.usdc")
        finally:
            inner.unlink(missing_ok=True)

    write_atomically(path, save)


def read(path: Path) -> MotionSequence:
    """Weights of a file; from our own files also head pose, gaze, source and history.

    Read in a process of its own: the library aborts on some damaged packages.

    Raises:
        UserError: usd-core is missing; no USD file, or none with a SkelAnimation of ARKit's blend shapes; damaged.
    """
    need("usd", f"{path}: reading USD")
    return read_apart(__name__, path)


def read_here(path: Path) -> MotionSequence:
    """`read` in this process."""
    from pxr import Sdf, Tf

    _check_nesting(read_bytes(path, MAX_USD_BYTES), path)
    try:
        layer = Sdf.Layer.OpenAsAnonymous(str(path))
        if layer is None:
            raise UserError(f"{path}: is no readable USD file; write it again")
        return _motion(layer, path)
    except (Tf.ErrorException, UnicodeDecodeError):  # what the first says may itself be no text
        raise UserError(f"{path}: is no readable USD file; write it again") from None


def _check_nesting(content: bytes, path: Path) -> None:
    """Raise UserError where brackets of a text, or of a package's texts, are so deep in each other that the library,
    which calls itself for each, would run out of stack."""
    if content.startswith(b"PXR-USDC"):
        return
    step = np.zeros(256, np.int8)
    step[[*b"([{"]], step[[*b")]}"]] = 1, -1
    depth = 0
    for start in range(0, len(content), 1 << 20):
        depths = depth + np.cumsum(step[np.frombuffer(content[start:start + (1 << 20)], np.uint8)], dtype=np.int64)
        if not content.startswith(b"PK"):
            depth = int(depths[-1])
        if depths.max() > MAX_NESTING:
            raise UserError(f"{path}: brackets more than {MAX_NESTING} deep; this is no motion")


def _motion(layer: Any, path: Path) -> MotionSequence:
    best, columns = _animation(layer, path)
    weights_path = best.path.AppendProperty("blendShapeWeights")
    times = _times(layer, weights_path, path)
    weights = np.zeros((len(times), len(ARKIT_NAMES)))
    values = _values(layer, weights_path, times, (len(columns),), path)
    for column, place in enumerate(columns):
        if place is not None:
            weights[:, place] = values[:, column]
    rate = _number(layer.timeCodesPerSecond, path)
    fps = check_fps(rate / float(np.median(np.diff(times))) if len(times) > 1 else rate, path)
    about = dict(layer.customLayerData).get("geneface")
    if not isinstance(about, dict):
        return motion_from_weights(weights, fps, f"USD: {path.name}")
    turns = _values(layer, best.path.AppendProperty("rotations"), times, (len(JOINTS), 4), path)
    places = _values(layer, best.path.AppendProperty("translations"), times, (len(JOINTS), 3), path)[:, 0]
    return _own(weights, fps, turns, places, about)


def _own(weights: np.ndarray, fps: float, turns: np.ndarray, places: np.ndarray, about: dict) -> MotionSequence:
    """The motion of a file that `write` wrote: turns [T,3,4] (real part last) and places [T,3] of head and eyes."""
    from dataclasses import replace

    from scipy.spatial.transform import Rotation

    gaze = gaze_of_turn(Rotation.from_quat(turns[:, 1]))
    head = Rotation.from_quat(turns[:, 0])
    still = head.magnitude().max() < 1e-6 and np.abs(places).max() < 1e-6
    motion = motion_from_weights(
        weights, fps, str(about.get("source", "")), None if still else poses(head.as_matrix(), places), gaze)
    return replace(motion, history=tuple(str(step) for step in about.get("history", ())))


def _animation(layer: Any, path: Path) -> tuple[Any, list[int | None]]:
    """The SkelAnimation's spec and the places among ARKit's of its blend shapes, None for others."""
    found = []

    def visit(place: Any) -> None:
        prim = layer.GetPrimAtPath(place) if place.IsPrimPath() else None
        if prim is not None and prim.typeName == "SkelAnimation":
            names = prim.attributes.get("blendShapes")
            places = [spelled(str(name).rsplit(":", 1)[-1]) for name in (names.default if names else None) or ()]
            found.append((sum(place is not None for place in places), prim, places))

    layer.Traverse(layer.pseudoRoot.path, visit)
    count, best, places = max(found, key=lambda entry: entry[0], default=(0, None, []))
    if not count:
        refers = "; it refers to other files, flatten it (usdcat --flatten)"
        raise UserError(f"{path}: no SkelAnimation with blend shapes named as ARKit's (jawOpen, ...)"
                        + (refers if layer.GetCompositionAssetDependencies() else ""))
    return best, places


def _times(layer: Any, place: Any, path: Path) -> np.ndarray:
    """[T] evenly spaced time codes of the frames of an attribute."""
    times = np.array(layer.ListTimeSamplesForPath(place), np.float64)
    if len(times) < 2:
        return times if len(times) else np.zeros(1)
    if not np.isfinite(times).all():
        raise UserError(f"{path}: a time that is no number; write the file again")
    step = float(np.median(np.diff(times)))
    count = (times[-1] - times[0]) / step
    check_frames(int(min(count, 1e18)) + 1, path)
    return times[0] + step * np.arange(round(count) + 1)


def _values(layer: Any, place: Any, times: np.ndarray, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """[T,...] of an attribute, between its samples on a straight line."""
    at = layer.ListTimeSamplesForPath(place)
    attribute = layer.GetAttributeAtPath(place)
    default = attribute.default if attribute else None
    raw = [layer.QueryTimeSample(place, time) for time in at] if at else [default]
    try:
        if len(shape) == 2 and shape[1] == 4:
            raw = [[(*value.imaginary, value.real) for value in row] for row in raw]
        rows = np.array(raw, np.float64).reshape(len(raw), *shape)
    except (TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: {place} has other values than its names; the file is damaged") from None
    if not np.isfinite(rows).all():
        raise UserError(f"{path}: {place} holds NaN or infinite values; mend or delete them")
    if len(rows) == 1:
        return np.repeat(rows, len(times), axis=0)
    flat = rows.reshape(len(rows), -1)
    return np.stack([np.interp(times, at, column) for column in flat.T], axis=1).reshape(len(times), *shape)


def _number(value: float, path: Path) -> float:
    if not math.isfinite(value):
        raise UserError(f"{path}: {value} time codes per second; write the file again")
    return value
