"""Motion as plain JSON, for scripts and web pages; and the JSON in which others export blendshapes.

What is written is described by docs/motion.schema.json. It keeps everything that the package's own npz keeps: weights
to 6 decimals, angles [rad] and matrices to 9, landmarks to 0.1 micrometres.

Read are also:
    NVIDIA Audio2Face   {"exportFps", "facsNames": [P], "weightMat": [T][P]}
    LAM Audio2Expression {"names": [P], "metadata": {"fps"}, "frames": [{"weights": [P]}, ...]}
    the least of all    {"fps", "names": [P], "weights": [T][P]}
Their names may be spelled as ARKit's are anywhere; others than the 52 are left out, missing ones are 0.
"""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, one_line
from ..face.arkit import ARKIT_NAMES, spelled
from ..face.basis import load_basis
from ..face.motion import motion_from_weights
from ..guard import (
    MAX_JSON_BYTES, array, check_fps, check_frames, check_poses, check_weights, parse_json, read_text,
)
from ..types import CANONICAL_LANDMARKS, MotionSequence, write_atomically
from . import WriteOptions

SCHEMA = "geneface.motion"
VERSION = 1
_SAME_M = 1e-6  # landmarks nearer to those of the weights than this are not written


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write everything that `motion` holds; landmarks only where they are not those of the weights."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "fps": motion.fps,
        "frames": len(motion),
        "source": motion.source,
        "history": list(motion.history),
        "words": [{"start": start, "end": end, "word": word} for start, end, word in motion.words],
        "names": list(ARKIT_NAMES),
        "weights": _rounded(motion.expression, 6),
        "blink": _rounded(motion.blink, 6),
        "gaze": _rounded(motion.gaze, 9),
        "head_pose": None if motion.head_pose is None else _rounded(motion.head_pose, 9),
    }
    usual = load_basis().landmarks68(motion.expression)
    if len(motion) and np.abs(usual - motion.landmarks).max() > _SAME_M:
        content["landmarks"] = _rounded(motion.landmarks, 7)
    lines = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items())
    write_atomically(path, lambda temporary: temporary.write_text(f"{{\n{lines}\n}}\n", "utf-8"))


def read(path: Path) -> MotionSequence:
    """Read what `write` wrote, or another program's JSON of blendshapes.

    Raises:
        UserError: no JSON, no motion, of a later version, or damaged.
    """
    content = parse_json(read_text(path, MAX_JSON_BYTES), path)
    if content.get("schema") == SCHEMA:
        return _read_own(content, path)
    if "mouthCues" in content:
        raise UserError(f"{path}: mouth cues say too little to make a motion; give the motion they were made from")
    fps, names, weights = _read_other(content, path)
    return motion_from_weights(_arranged(names, weights, path), fps, f"JSON: {path.name}")


def _read_own(content: dict[str, Any], path: Path) -> MotionSequence:
    if content.get("version") != VERSION:
        raise UserError(f"{path}: version {one_line(content.get('version'), 20)} of {SCHEMA}, this program reads "
                        f"{VERSION}; install a newer one")
    frames = content.get("frames")
    if not isinstance(frames, int):
        raise UserError(f"{path}: frames: expected their number; the file is damaged")
    check_frames(frames, path)
    weights = array(content.get("weights"), "weights", (frames, None), path)
    pose = content.get("head_pose")
    motion = motion_from_weights(
        _arranged(content.get("names"), weights, path), check_fps(content.get("fps"), path),
        str(content.get("source", "")),
        head_pose=None if pose is None else check_poses(array(pose, "head_pose", (frames, 4, 4), path), path),
        gaze=array(content.get("gaze"), "gaze", (frames, 2), path),
        blink=array(content.get("blink"), "blink", (frames,), path),
    )
    landmarks = content.get("landmarks")
    if landmarks is not None:
        motion = replace(motion, landmarks=array(
            landmarks, "landmarks", (frames, CANONICAL_LANDMARKS, 3), path).astype(np.float32))
    try:
        words = tuple((word["start"], word["end"], word["word"]) for word in content.get("words", ()))
        return replace(motion, words=words, history=tuple(content.get("history", ())))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: words or history are damaged ({one_line(error)}); mend or delete them") from error


def _read_other(content: dict[str, Any], path: Path) -> tuple[float, Any, np.ndarray]:
    """Frame rate, names [P] and weights [T,P] of another program."""
    if "weightMat" in content:
        weights = array(_held(content["weightMat"]), "weightMat", (None, None), path)
        return check_fps(content.get("exportFps"), path), content.get("facsNames"), weights
    if isinstance(content.get("frames"), list) and isinstance(content.get("metadata"), dict):
        rows = [frame.get("weights") if isinstance(frame, dict) else None for frame in content["frames"]]
        weights = array(rows, "frames", (None, None), path)
        return check_fps(content["metadata"].get("fps"), path), content.get("names"), weights
    if "weights" in content:
        weights = array(content["weights"], "weights", (None, None), path)
        return check_fps(content.get("fps"), path), content.get("names"), weights
    raise UserError(f"{path}: holds no weights; a motion has fps, names and weights (see docs/motion.md)")


def _held(rows: Any) -> Any:
    """`rows` with those that Audio2Face leaves empty, where it had nothing to say, as the row before."""
    if not isinstance(rows, list):
        return rows
    out: list[Any] = []
    for row in rows:
        out.append(out[-1] if row is None and out else row)
    return out


def _arranged(names: Any, weights: np.ndarray, path: Path) -> np.ndarray:
    """[T,52] weights in our order of columns `weights` [T,P] called `names`."""
    check_frames(len(weights), path)
    count = weights.shape[1]
    if not (isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names)):
        raise UserError(f"{path}: expected a name for each of the {count} weights of a frame; the file is damaged")
    places = [spelled(name) for name in names]
    known = [place for place in places if place is not None]
    if not known:
        raise UserError(f"{path}: no weight named as one of ARKit's 52 shapes (eyeBlinkLeft, jawOpen, ...)")
    if len(set(known)) < len(known):
        raise UserError(f"{path}: two weights of one name; each shape may stand once")
    out = np.zeros((len(weights), len(ARKIT_NAMES)))
    columns = [column for column, place in enumerate(places) if place is not None]
    out[:, known] = check_weights(weights[:, columns], path)
    return out


def _rounded(values: np.ndarray, decimals: int) -> list:
    return (np.round(values.astype(np.float64), decimals) + 0.0).tolist()


def _lines(value: Any) -> str:
    """JSON of a value, a line for each of its rows, so that people and version control can follow it."""
    if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
        return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)
