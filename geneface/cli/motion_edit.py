"""Changing motion files: `geneface motion edit` and `geneface motion join`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from ..errors import UserError
from ..motion.language import EDITS
from .common import AsJson, refuse_overwriting, show

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Motion file to write, of any format.")]
Source = Annotated[Path, typer.Argument(metavar="M", help="Motion file: .npz, or any other format that can be read.")]

_ORDER = "geneface.edits"


class _InOrder(TyperCommand):
    """Notes the edits of the command line in the order given, which parsed options no longer tell."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ORDER] = lines = []
        words = iter(args)
        for word in words:
            option, equals, value = word.partition("=")
            edit = EDITS.get(option[2:]) if option.startswith("--") else None
            if edit is not None:
                lines.append(f"{edit.name} {value if equals else next(words, '')}" if edit.values else edit.name)
        return super().parse_args(ctx, args)


def add_to(group: typer.Typer) -> None:
    """Offer the verbs of this file."""
    group.command(cls=_InOrder)(edit)
    group.command()(join)


def edit(ctx: typer.Context, motion: Source, output: Output, as_json: AsJson = False, **edits: Any) -> None:
    """Change a motion: edits are made in the order given, any of them more than once, and noted in its history.

    For example: geneface motion edit talk.npz -o happy.npz --mouth 1.2 --emotion happy:0.5 --smooth 0.04
    """
    from ..formats import read_motion
    from ..motion.edits import apply

    lines = ctx.meta[_ORDER]
    if not lines:
        raise UserError("nothing to change; give an edit, as --mouth 1.2 (geneface export only converts)")
    _write(apply(read_motion(motion), *lines), (motion,), output, as_json)


def join(
    motions: Annotated[list[Path], typer.Argument(metavar="M...", help="Motion files, in order.")],
    output: Output,
    crossfade: Annotated[float, typer.Option(metavar="SECONDS", help="How long one fades into the next.")] = 0.2,
    as_json: AsJson = False,
) -> None:
    """Motions one after another, at the first one's frame rate.

    Where only some have head poses, the others' heads are held as at the joint.
    """
    from ..formats import read_motion
    from ..motion.edits import apply

    if len(motions) < 2:
        raise UserError("give two motions or more to join")
    first, *others = motions
    _write(apply(read_motion(first), *(f"join {other}:{crossfade:g}" for other in others)), motions, output, as_json)


def _write(motion: Any, sources: Any, output: Path, as_json: bool) -> None:
    from ..formats import write_motion

    refuse_overwriting(output, *sources)
    result = write_motion(motion, output)
    show({"output": output} | result | {"seconds": motion.seconds, "history": list(motion.history)}, as_json)


def _options() -> list[inspect.Parameter]:
    """One option for every edit."""
    out = []
    for name, change in EDITS.items():
        flag = bool if not change.values else Optional[list[str]]
        option = typer.Option(f"--{name}", metavar=change.values or None, help=change.help, rich_help_panel="Edits")
        out.append(inspect.Parameter(name.replace("-", "_"), inspect.Parameter.KEYWORD_ONLY,
                                     default=False if flag is bool else None, annotation=Annotated[flag, option]))
    return out


# typer makes the options of a function's signature.
_named = [p for p in inspect.signature(edit, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
edit.__signature__ = inspect.Signature([*_named, *_options()])
