"""The verbs about this machine: doctor, assets and bench."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..errors import UserError
from .common import AsJson, Device, show


class Action(str, Enum):
    """What to do with the model files."""

    list = "list"
    fetch = "fetch"
    verify = "verify"


def add_to(app: typer.Typer) -> None:
    """Offer the verbs of this file."""
    app.command()(doctor)
    app.command("assets")(assets)
    app.command()(bench)


def doctor(as_json: AsJson = False) -> None:
    """What works here, what does not, why, and the mend."""
    from ..doctor import examine

    result = examine()
    if as_json:
        show(result, True)
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for key in ("geneface", "python", "platform", "disk_free_gb"):
        console.print(f"{key:<18}", str(result[key]), markup=False)
    for key in ("kernels", "cuda", "assets", "optional"):
        for name, value in result[key].items():
            shown = ("yes" if value else "no") if isinstance(value, bool) else "-" if value is None else str(value)
            console.print(f"{key + '.' + name:<32}", shown, markup=False)
    for problem in result["problems"]:
        kind = "problem" if problem["needed"] else "note"
        console.print(f"\n{kind}: {problem['what']}\n{'mend':>{len(kind)}}: {problem['mend']}", markup=False)
    console.print("\nAll that is needed works." if result["ok"] else "\nSomething that is needed does not work.")


def assets(
    action: Annotated[Action, typer.Argument(help="list, fetch or verify.")] = Action.list,
    names: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[NAME]...", help="Which; by default all, to fetch: all that is used here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Model files: what for, licence, where cached; fetch them ahead, verify them again."""
    from .. import assets as room
    from ..progress import say

    try:
        chosen = [room.find(name) for name in names or room.MANIFEST]
        if action is Action.fetch and not names:
            chosen = [asset for asset in chosen if asset.usable]
    except ValueError as error:
        raise UserError(str(error)) from error
    if action is Action.fetch:
        for asset in chosen:
            room.fetch(asset.name)
    rows = [room.status(asset, thorough=action is Action.verify) for asset in chosen]
    result = {
        "cache": str(room.cache_folder()),
        "assets": [
            {
                "name": row.asset.name,
                "state": row.state,
                "size_mb": row.asset.size / 1e6,
                "licence": row.asset.licence,
                "purpose": row.asset.purpose,
                "extra": row.asset.extra or None,
                "required": row.asset.required,
                "sha256": row.asset.sha256,
                "path": None if row.path is None else str(row.path),
                "sources": [" + ".join(map(str, parts)) for parts in row.asset.sources],
            }
            for row in rows
        ],
    }
    if as_json:
        show(result, True)
    else:
        _table(result)
    damaged = [row.asset.name for row in rows if row.state == "damaged"]
    if damaged:
        raise UserError(f"damaged: {', '.join(damaged)}; run geneface assets fetch {' '.join(damaged)}")
    missing = [row.asset.name for row in rows if row.state == "missing" and row.asset.required and row.asset.usable]
    if missing and action is Action.verify:
        say(f"not here yet: {', '.join(missing)}; they are fetched when first needed, or by geneface assets fetch")


def bench(
    avatar: Annotated[
        Optional[Path], typer.Option(metavar="X.avatar", help="Time frames of this avatar, too.")
    ] = None,
    size: Annotated[int, typer.Option(help="Longer side of these frames, in px. 0: the avatar's own.")] = 512,
    threads: Annotated[int, typer.Option(help="Threads of the CPU. 0: as many as PyTorch takes.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of a minute or two; less sure.")] = False,
    variants: Annotated[
        bool, typer.Option("--variants", help="All kernels for CPUs that run here, not only the fastest.")
    ] = False,
    only: Annotated[Optional[list[str]], typer.Option(metavar="OP", help="This op; may be repeated.")] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """How fast the kernels, a training step and frames are, beside what this machine can do at best."""
    if threads < 0:
        raise UserError(f"--threads {threads}: must be 0 or more")
    if size < 0:
        raise UserError(f"--size {size}: must be 0 or more")
    from ..bench import bench as measure
    from ..bench.run import QUICK, Effort

    result = measure(avatar, size, threads, QUICK if quick else Effort(), variants, only or (), device or "auto")
    if as_json:
        show(result, True)
        return
    from ..bench.table import print_table

    print_table(result)


def _table(result: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "state", "MB", "for", "licence", "purpose"):
        table.add_column(title, justify="right" if title == "MB" else "left", overflow="fold")
    for row in result["assets"]:
        table.add_row(
            row["name"], row["state"], f"{row['size_mb']:.1f}", row["extra"] or "base", row["licence"], row["purpose"]
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(f"cache: {result['cache']}", soft_wrap=True, markup=False)
