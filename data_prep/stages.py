"""Work in stages that survive a killed run.

Each stage is recorded in the manifest with a key made of its options and of the stages it builds on. A
stage whose key is unchanged and whose files are there is not done again; a changed option re-does the
stages that depend on it, and only those.
"""
from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geneface.errors import UserError
from geneface.report import plain
from geneface.types import PreparedPerson, write_atomically

Data = dict[str, Any]


class Manifest:
    """`manifest.json` of a person's folder while it is being made.

    Args:
        folder: the person's folder.

    Raises:
        UserError: the folder holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "manifest.json"
        self.content: Data = {"schema_version": PreparedPerson.SCHEMA_VERSION, "finished": False, "stages": {}}
        self.done_now: list[str] = []  # stages that this run had to do
        if self.path.is_file():
            try:
                content = json.loads(self.path.read_text("utf-8"))
                stages = dict(content["stages"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self.path}: unreadable; delete {folder} and run geneface prepare again") from error
            if content.get("schema_version") == PreparedPerson.SCHEMA_VERSION:
                self.content = {**content, "stages": stages}
        elif folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{folder}: is not empty and not a prepared person; give another folder with -o")

    def save(self) -> None:
        text = json.dumps(plain(self.content), indent=1, allow_nan=False)
        write_atomically(self.path, lambda temporary: temporary.write_text(text, "utf-8"))

    def stage(self, name: str, version: int, options: Data, after: tuple[str, ...], files: tuple[str, ...],
              work: Callable[[], Data]) -> Data:
        """Do a stage, or take what an earlier run left.

        Args:
            name: of the stage.
            version: raised when its code changes what it gives.
            options: everything from outside that its result depends on (JSON values).
            after: stages it builds on, done before.
            files: what it leaves in the folder.
            work: does it, and returns what later stages and the report want to know (JSON values).

        Returns:
            What `work` returned, now or then.
        """
        stages: Data = self.content["stages"]
        basis = {"name": name, "version": version, "options": options, "after": {n: stages[n]["key"] for n in after}}
        key = hashlib.sha256(json.dumps(plain(basis), sort_keys=True).encode()).hexdigest()
        record = stages.get(name)
        if record and record["key"] == key and all((self.folder / file).exists() for file in files):
            return record["data"]
        if self.content["finished"]:
            self.content["finished"] = False
        stages.pop(name, None)
        self.save()
        begin = time.perf_counter()
        data = plain(work())
        stages[name] = {"key": key, "seconds": round(time.perf_counter() - begin, 3), "data": data}
        self.done_now.append(name)
        self.save()
        return data

    @property
    def seconds(self) -> float:
        """Working time of all stages, whichever run did them [s]."""
        return sum(record["seconds"] for record in self.content["stages"].values())
