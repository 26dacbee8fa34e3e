"""OBJ and PLY sequences: a folder with one mesh a frame, 000000.obj, 000001.obj, ..., and sequence.json beside them.

The meshes are of the head (see `headmesh`) at rest in space, in metres, y up: the expression moves them and the head's
own motion does not. That is in sequence.json, a matrix a frame, for programs that want to pose the head. Vertices and
triangles have the same order in every frame. OBJ has texture coordinates and a group a part, without materials; PLY
(binary) has colours at its vertices, of which those between two parts are there twice.
"""
from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face.pose import head_positions, head_rotations
from ..face.surface import vertex_normals
from ..media.writing import SYNTHETIC_COMMENT
from ..progress import track
from ..types import MotionSequence
from . import WriteOptions
from .headmesh import MATERIALS, HeadModel, load_head

ABOUT = "sequence.json"
_FRAME = re.compile(r"\d{6,}\.(obj|ply)")
_TYPE = "geneface.MeshSequence"


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> dict[str, int]:
    """Write a folder `path` of meshes. One that an earlier run wrote is replaced.

    Returns:
        vertices and triangles of each mesh.

    Raises:
        UserError: `path` is a file or a folder with other things in it, or cannot be written.
    """
    check_folder(path)
    head = load_head()
    ending, encode, vertices = ("ply", *_ply(head)) if options.format == "ply" else ("obj", *_obj(head))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    about = _about(motion, ending, head)
    try:
        temporary.mkdir(parents=True)
        for frame, points in enumerate(track(_frames(motion, head), f"writing {ending}", len(motion))):
            (temporary / f"{frame:06d}.{ending}").write_bytes(encode(points))
        (temporary / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        if path.exists():
            check_folder(path)
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {"vertices": vertices, "triangles": len(head.triangles)}


def check_folder(path: Path) -> None:
    """Raise UserError where `path` is a file, or a folder with other things in it than `write` wrote."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give a new folder for the meshes")
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if names and not (ABOUT in names and all(_FRAME.fullmatch(name) for name in names - {ABOUT}) and _is_ours(path)):
        raise UserError(f"{path}: is a folder with other things in it; give a new one for the meshes")


def _is_ours(path: Path) -> bool:
    """Whether a folder's sequence.json says that `write` wrote it."""
    try:
        content = json.loads((path / ABOUT).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("type") == _TYPE


def _about(motion: MotionSequence, ending: str, head: HeadModel) -> dict:
    """What sequence.json says."""
    matrices = np.tile(np.eye(4), (len(motion), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = head_rotations(motion), head_positions(motion)
    return {
        "type": _TYPE, "format": ending, "fps": motion.fps, "frames": len(motion), "first": f"000000.{ending}",
        "units": "metres", "axes": "y up, face along z, the person's left at positive x",
        "source": motion.source, "history": list(motion.history), "comment": SYNTHETIC_COMMENT,
        "parts": {part.name: [round(value, 3) for value in MATERIALS[part.material].colour] for part in head.parts},
        "head_to_world": [[round(value, 7) for value in matrix] for matrix in matrices.reshape(-1, 16).tolist()],
    }


def _frames(motion: MotionSequence, head: HeadModel) -> Iterator[np.ndarray]:
    """[N,3] vertices of each frame, made some at a time."""
    weights = iter(motion.expression)
    while block := list(islice(weights, 32)):
        yield from head.shapes(np.stack(block))


def _obj(head: HeadModel) -> tuple[Callable[[np.ndarray], bytes], int]:
    """What encodes the vertices [N,3] of a frame, and N."""
    count = len(head.vertices)
    corners = head.triangles + 1
    flat_uv = (head.uv * [1, -1] + [0, 1]).ravel().tolist()
    texture = ("vt %.6f %.6f\n" * count) % tuple(flat_uv)
    faces = "".join(
        f"g {part.name}\n" + ("f %d/%d/%d %d/%d/%d %d/%d/%d\n" * len(corners[part.triangles]))
        % tuple(np.repeat(corners[part.triangles].ravel(), 3).tolist()) for part in head.parts
    )
    head_line = f"# {SYNTHETIC_COMMENT}\n# metres, y up, face along z\no head\n"
    points, normals, shared = "v %.6f %.6f %.6f\n" * count, "vn %.3f %.3f %.3f\n" * count, texture + faces

    def encode(vertices: np.ndarray) -> bytes:
        shading = vertex_normals(vertices, head.triangles)
        return "".join([
            head_line, points % tuple(vertices.ravel().tolist()), normals % tuple(shading.ravel().tolist()), shared
        ]).encode("ascii")

    return encode, count


def _ply(head: HeadModel) -> tuple[Callable[[np.ndarray], bytes], int]:
    """What encodes the vertices [N,3] of a frame, and how many a mesh has."""
    source, triangles, colours = one_colour_a_vertex(head)
    kinds = ["<f4"] * 6 + ["u1"] * 3
    names = ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"]
    table = np.zeros(len(source), list(zip(names, kinds)))
    for name, values in zip(names[6:], colours.T):
        table[name] = values
    faces = np.zeros(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, triangles
    shared = faces.tobytes()
    properties = [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in zip(names, kinds)]
    header = "\n".join([
        "ply", "format binary_little_endian 1.0", f"comment {SYNTHETIC_COMMENT}",
        "comment metres, y up, face along z", f"element vertex {len(source)}", *properties,
        f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header", "",
    ]).encode("ascii")

    def encode(vertices: np.ndarray) -> bytes:
        shading = vertex_normals(vertices, head.triangles)
        for name, values in zip(names[:6], np.concatenate([vertices, shading], axis=1)[source].T):
            table[name] = values
        return header + table.tobytes() + shared

    return encode, len(source)


def one_colour_a_vertex(head: HeadModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices between parts once for each of them.

    Returns:
        Which of the head's vertices each of the M is [M], the head's own first; triangles [F,3]; colours [M,3] uint8.
    """
    material = np.concatenate([np.full(part.triangles.stop - part.triangles.start, number)
                               for number, part in enumerate(head.parts)])
    pairs, corner = np.unique(np.stack([head.triangles.ravel(), np.repeat(material, 3)]), axis=1, return_inverse=True)
    vertex, part = pairs
    first = np.diff(vertex, prepend=-1) > 0
    place = np.where(first, vertex, len(head.vertices) + np.cumsum(~first) - 1)
    source = np.concatenate([np.arange(len(head.vertices)), vertex[~first]])
    palette = np.array([MATERIALS[part.material].colour for part in head.parts])
    colours = np.zeros((len(source), 3), np.uint8)
    colours[place] = np.round(255 * palette[part])
    return source, place[corner.reshape(-1)].reshape(-1, 3).astype(np.int32), colours
