"""geneface motion view: a motion, or how two differ, as a page or a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..progress import say
from .common import AsJson, show


def add_to(group: typer.Typer) -> None:
    """Offer the verb of this file."""
    group.command()(view)


def view(
    motion: Annotated[Path, typer.Argument(metavar="M", help="Motion file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Page (.html) or film (.mp4, .mov, .mkv) to write.")
    ],
    other: Annotated[Optional[Path], typer.Argument(metavar="[N]", help="Another one, to see how they differ.")] = None,
    audio: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Its sound: any sound or video file.")] = None,
    as_json: AsJson = False,
) -> None:
    """A motion on a generic head beside its curves and sound, no avatar needed; of two motions, what differs."""
    from ..view import write_view

    result = write_view(motion, other, output, audio)
    say("The head is synthetic. Say so where you show it.")
    show(result, as_json)
