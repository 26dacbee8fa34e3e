"""The verb export: an avatar for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..progress import say
from .common import AsJson, Device, show
from .portrait import AvatarFile


def add_to(app: typer.Typer) -> None:
    """Offer the verb of this file."""
    app.command()(export)


def export(
    avatar: AvatarFile,
    mesh: Annotated[
        Path, typer.Option(metavar="FILE", help="The head as a textured mesh to write: .obj, .glb, or .ply (coloured).")
    ],
    motion: Annotated[
        Optional[Path], typer.Option(metavar="M.npz", help="Motion with the expression to make. Default: at rest.")
    ] = None,
    frame: Annotated[int, typer.Option(help="Which frame of the motion.")] = 0,
    texture: Annotated[int, typer.Option(min=64, max=8192, help="Side of the texture, in px.")] = 1024,
    voxel: Annotated[float, typer.Option(min=0.5, max=20, help="Distance of vertices, in mm.")] = 2.0,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """An avatar's head for 3D programs, in metres; y is up and the face looks along z, as in glTF."""
    from .. import pipeline

    made = pipeline.export_mesh(avatar, mesh, motion, frame, texture, voxel, device or "auto")
    say("It is a likeness of a person. Say that it is synthetic where you show it.")
    result = {
        "output": mesh, "format": mesh.suffix[1:].lower(), "vertices": len(made.vertices),
        "triangles": len(made.triangles),
    }
    show(result, as_json)
