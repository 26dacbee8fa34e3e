"""The verb export: motion, or an avatar's head, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..errors import UserError
from ..progress import say
from .common import AsJson, Device, refuse_overwriting, show

MOTION_KEYS = ("output", "format", "fps", "frames", "arkit_residual")


def add_to(app: typer.Typer) -> None:
    """Offer the verb of this file."""
    app.command()(export)


def export(
    source: Annotated[
        Path, typer.Argument(metavar="M.npz|X.avatar", help="Motion file of any format that can be read; or an avatar.")
    ],
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", metavar="FILE|DIR",
                     help="File to write, its ending says in which format; or a folder, with --format."),
    ] = None,
    format: Annotated[
        Optional[str], typer.Option("--format", metavar="NAME", help="Format, where the output's name does not say it.")
    ] = None,
    fps: Annotated[
        Optional[float],
        typer.Option(help="Frames per second of the file, 29.97 for 30000/1001. Default: the motion's."),
    ] = None,
    head: Annotated[
        Optional[Path],
        typer.Option(metavar="HEAD.glb",
                     help="For glb and gltf: animate this head, with ARKit's morph targets, not ours."),
    ] = None,
    mesh: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="The avatar's head as a textured mesh: .obj, .glb, or .ply (coloured)."),
    ] = None,
    motion: Annotated[
        Optional[Path], typer.Option(metavar="M.npz", help="For --mesh: motion with the expression. Default: at rest.")
    ] = None,
    frame: Annotated[int, typer.Option(help="For --mesh: which frame of the motion.")] = 0,
    texture: Annotated[int, typer.Option(min=64, max=8192, help="For --mesh: side of the texture, in px.")] = 1024,
    voxel: Annotated[float, typer.Option(min=0.5, max=20, help="For --mesh: distance of vertices, in mm.")] = 2.0,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Motion to a file for other programs; or an avatar's head as a mesh.

    By the ending of -o: .npz .json .csv (Live Link Face) .glb .gltf .vrma .bvh .usda .usdc .usdz .usd .tsv .xml (Rhubarb
    mouth cues) .srt .vtt. By --format: obj, ply, rhubarb-json, visemes, srt-words, vtt-words, vrma-perfect-sync.

    Meshes are in metres; y is up and the face looks along z, as in glTF.
    """
    from .. import pipeline

    avatar = source.suffix.lower() == ".avatar"
    if avatar != (mesh is not None):
        raise UserError(f"{source}: {'an avatar gives a mesh; say which with --mesh FILE' if avatar else 'has no mesh'}"
                        + ("" if avatar else "; --mesh is for an .avatar, -o for a motion"))
    if not avatar:
        if output is None:
            raise UserError("missing option '--output' / '-o': the file to write, as in -o talk.csv")
        refuse_overwriting(output, source, head)
        result = pipeline.export(source, output, format, fps, head)
        say("It is motion made or measured by a program. Say that it is synthetic where you show it on a likeness.")
        show(result, as_json, MOTION_KEYS)
        return
    if output is not None:
        raise UserError(f"--output {output}: an avatar's mesh goes to --mesh FILE; leave -o out")
    made = pipeline.export_mesh(source, mesh, motion, frame, texture, voxel, device or "auto")
    say("It is a likeness of a person. Say that it is synthetic where you show it.")
    result = {
        "output": mesh, "format": mesh.suffix[1:].lower(), "vertices": len(made.vertices),
        "triangles": len(made.triangles),
    }
    show(result, as_json)
