"""Options that several verbs have, and how results are shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..errors import UserError

AsJson = Annotated[bool, typer.Option("--json", help="Last line of standard output: one JSON object with the results.")]
ConfigFile = Annotated[
    Optional[Path],
    typer.Option("--config", metavar="FILE", help="YAML file of options (see configs/ for all of them)."),
]
Settings = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="One option of the configuration; may be repeated."),
]

Device = Annotated[
    Optional[str],
    typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... Default: the GPU where one is usable."),
]

Edits = Annotated[
    Optional[list[str]],
    typer.Option(
        "--edit",
        metavar="'EDIT VALUE'",
        help="Change the motion, as --edit 'mouth 1.2'; may be repeated. Edits: geneface motion edit --help.",
    ),
]


def refuse_overwriting(output: Path, *sources: Path | None) -> None:
    """Raises UserError: `output` is one of the files that are read; what it holds would be lost."""
    if output.resolve() in (source.resolve() for source in sources if source is not None):
        raise UserError(f"--output {output}: is what is read; write to another file")


def show(result: dict[str, Any], as_json: bool, keys: tuple[str, ...] = ()) -> None:
    """Print the results: for people line by line, or as one line of JSON.

    Args:
        keys: keys that are always there, null where there is nothing to measure.
    """
    from ..report import plain, readable

    result = {key: None for key in keys} | plain(result)
    if as_json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
        sys.stdout.flush()
        return
    for key, value in _flat(result):
        print(f"{key:<28} {readable(value)}")


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, item in enumerate(value):
                rows += _flat(item, f"{prefix}{key}.{index}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
