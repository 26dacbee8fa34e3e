"""geneface motion track: what somebody does in a video, as a motion file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..progress import say
from .common import AsJson, show

TRACK_KEYS = ("output", "format", "fps", "frames", "seconds")


def add_to(group: typer.Typer) -> None:
    """Offer the verb of this file."""
    group.command()(track)


def track(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Video of one person, of any size, rate and length.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Motion file to write; its ending says the format.")
    ],
    fps: Annotated[Optional[float], typer.Option(help="Frames per second. Default: the video's own.")] = None,
    avatar: Annotated[
        Optional[Path],
        typer.Option(metavar="X.avatar", help="Make it this person's, as render --video does. Default: the driver's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A video of somebody to their motion: expression, gaze and head pose. Of several shots the longest is taken."""
    from .. import pipeline
    from ..formats import format_of

    motion = pipeline.track(video, output, fps, avatar)
    say("It is a measurement of a person: have their consent for what you make of it.")
    result = {"output": output, "format": format_of(output).name, "fps": motion.fps, "frames": len(motion),
              "seconds": motion.seconds}
    show(result, as_json, TRACK_KEYS)
