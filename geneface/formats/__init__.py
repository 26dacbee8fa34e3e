"""Motion files, ours and those of other programs: one file a format, with its writer and its reader.

A format's module has `write(motion, path, options)`, `read(path)`, or both, and is imported when it is used.
"""
from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..types import MotionSequence


@dataclass(frozen=True)
class Format:
    """A kind of motion file.

    Attributes:
        name: as `--format` takes it.
        endings: of its files; the first format with an ending is meant by it. Empty for a folder.
        title: for people.
        module: in this package.
        writes, reads: which of both it can.
        untimed: its files may say no frame rate: `read(path, fps)`.
        spoken: it is written of what is said, and needs the motion's words.
    """

    name: str
    endings: tuple[str, ...]
    title: str
    module: str
    writes: bool = True
    reads: bool = True
    untimed: bool = False
    spoken: bool = False


@dataclass(frozen=True)
class WriteOptions:
    """How a motion is written.

    Attributes:
        format: name of the format; None for the one that the file's ending means.
        fps: frames per second of the file; None for the motion's own.
        head: glb and gltf: a head of one's own with morph targets named as ARKit's, to animate in place of ours.
    """

    format: str | None = None
    fps: float | None = None
    head: Path | None = None


FORMATS: tuple[Format, ...] = (
    Format("npz", (".npz",), "motion of this package", "npz", untimed=True),
    Format("livelink", (".csv",), "Live Link Face", "livelink"),
    Format("json", (".json",), "JSON", "jsonfile"),
    Format("bvh", (".bvh",), "BVH", "bvh"),
    Format("rhubarb-tsv", (".tsv",), "Rhubarb mouth cues", "cues", reads=False),
    Format("rhubarb-xml", (".xml",), "Rhubarb mouth cues", "cues", reads=False),
    Format("rhubarb-json", (), "Rhubarb mouth cues", "cues", reads=False),
    Format("visemes", (), "Oculus visemes", "cues", reads=False),
    Format("srt", (".srt",), "SubRip subtitles", "subtitles", reads=False, spoken=True),
    Format("vtt", (".vtt",), "WebVTT subtitles", "subtitles", reads=False, spoken=True),
    Format("srt-words", (), "SubRip subtitles, word by word", "subtitles", reads=False, spoken=True),
    Format("vtt-words", (), "WebVTT subtitles, word by word", "subtitles", reads=False, spoken=True),
    Format("usd", (".usda", ".usdc", ".usdz", ".usd"), "USD", "usd"),
    Format("obj", (), "OBJ meshes in a folder", "meshes", reads=False),
    Format("ply", (), "PLY meshes in a folder", "meshes", reads=False),
    Format("landmarks", (".npy",), "landmarks", "landmarks", writes=False, untimed=True),
    Format("glb", (".glb",), "glTF 2.0", "gltf"),
    Format("gltf", (".gltf",), "glTF 2.0 as text", "gltf"),
    Format("vrma", (".vrma",), "VRM animation", "vrma"),
    Format("vrma-perfect-sync", (".vrma",), "VRM animation of ARKit's expressions", "vrma"),
)


def format_of(path: Path, name: str | None = None) -> Format:
    """The format called `name`, or else meant by the ending of `path`. Raises UserError: there is none."""
    if name is not None:
        found = next((format for format in FORMATS if format.name == name), None)
        if found is None:
            names = [format.name for format in FORMATS]
            nearest = difflib.get_close_matches(name, names, n=1)
            raise UserError(f"--format {name}: no such format; "
                            + (f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(names)}"))
        meant = next((format for format in FORMATS if path.suffix.lower() in format.endings), None)
        if found.endings and meant is not None and meant.module != found.module:
            raise UserError(f"{path}: is named as {meant.title}, and --format {name} is {found.title}; leave --format out, "
                            f"or end the name in {found.endings[0]}")
        return found
    found = next((format for format in FORMATS if path.suffix.lower() in format.endings), None)
    if found is None and path.suffix.lower() in (".obj", ".ply"):
        raise UserError(f"{path}: meshes of a motion fill a folder; give -o DIR --format {path.suffix[1:].lower()}")
    if found is None:
        endings = [ending for format in FORMATS for ending in format.endings]
        raise UserError(f"{path}: no motion file by its name; known are {', '.join(dict.fromkeys(endings))}")
    return found


def written_endings() -> tuple[str, ...]:
    """Endings of the motion files that can be written."""
    return tuple(dict.fromkeys(ending for format in FORMATS if format.writes for ending in format.endings))


def read_motion(path: str | Path, fps: float | None = None) -> MotionSequence:
    """Motion from a file of any format that can be read.

    Args:
        fps: frames per second of a file that does not say it.

    Raises:
        UserError: no such file, a format that cannot be read, or contents that are damaged or hostile.
    """
    path = Path(path)
    format = format_of(path)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not format.reads:
        endings = dict.fromkeys(ending for other in FORMATS if other.reads for ending in other.endings)
        raise UserError(f"{path}: {format.title} can only be written; give one of {', '.join(endings)}")
    motion = _module(format).read(path, *([fps] if format.untimed else []))
    return motion if format.name == "npz" else motion.after(f"read {path.name} ({format.title})")


def write_motion(motion: MotionSequence, path: str | Path, options: WriteOptions = WriteOptions()) -> dict[str, Any]:
    """Write a motion, resampled to `options.fps`, in the format that `options` or the ending of `path` names.

    Returns:
        `format` (its name), `fps`, `frames`, and what the format adds.

    Raises:
        UserError: no such format, nothing to write, or it cannot be written.
    """
    from ..media.writing import writing
    from ..motion.resample import frame_rate, resample

    path = Path(path)
    format = format_of(path, options.format)
    if not format.writes:
        raise UserError(f"{path}: {format.title} can only be read; export to another format")
    if not len(motion):
        raise UserError(f"{path}: the motion has no frames; there is nothing to write")
    if options.head is not None and format.module != "gltf":
        raise UserError(f"--head {options.head}: {format.title} has no head to animate; write .glb or .gltf")
    if options.fps is not None:
        motion = resample(motion, frame_rate(options.fps))
    with writing(path):
        added = _module(format).write(motion, path, options)
    return {"format": format.name, "fps": motion.fps, "frames": len(motion)} | (added or {})


def _module(format: Format):
    return importlib.import_module(f".{format.module}", __name__)
