"""The group of verbs that work on motion files: `geneface motion ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import motion_edit, motion_track, motion_view
from .common import AsJson, show

MotionFile = Annotated[
    Path, typer.Argument(metavar="M", help="Motion file: .npz, or any other format that can be read.")]

group = typer.Typer(no_args_is_help=True, help="Motion files: look at them, change them, make them from a video.")


def add_to(app: typer.Typer) -> None:
    """Offer the group."""
    motion_edit.add_to(group)
    app.add_typer(group, name="motion")


@group.command()
def info(motion: MotionFile, as_json: AsJson = False) -> None:
    """What a motion file holds, and what was done to it."""
    import numpy as np

    from ..face.arkit import ARKIT_NAMES
    from ..formats import read_motion

    take = read_motion(motion)
    strongest = np.argsort(-np.ptp(take.expression, axis=0))[:5] if len(take) else ()
    result = {
        "frames": len(take), "fps": take.fps, "seconds": take.seconds, "source": take.source,
        "head_pose": take.head_pose is not None, "words": len(take.words), "history": list(take.history),
        "moves_most": {ARKIT_NAMES[k]: float(np.ptp(take.expression[:, k])) for k in strongest},
    }
    show(result, as_json)


motion_track.add_to(group)
motion_view.add_to(group)
