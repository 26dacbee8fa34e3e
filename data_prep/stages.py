"""Work in stages that survive a killed run.

Each stage is recorded in the manifest with a key made of its options and of the stages it builds on. A
stage whose key is unchanged and whose files are as it left them is not done again; a changed option
re-does the stages that depend on it, and only those. Stages that do not build on each other may be done
side by side, in threads.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geneface.errors import UserError
from geneface.report import plain
from geneface.types import PreparedPerson, write_atomically

Data = dict[str, Any]


class Manifest:
    """`manifest.json` of a person's folder while it is being made.

    Args:
        folder: the person's folder; what a killed run left half-written there is removed.

    Raises:
        UserError: the folder holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "manifest.json"
        self.content: Data = {"schema_version": PreparedPerson.SCHEMA_VERSION, "finished": False, "stages": {}}
        self.done_now: list[str] = []  # stages that this run had to do
        self._asked: set[str] = set()
        self._lock = threading.RLock()
        if self.path.is_file():
            try:
                content = json.loads(self.path.read_text("utf-8"))
                stages = dict(content["stages"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self.path}: unreadable; delete {folder} and run geneface prepare again") from error
            if content.get("schema_version") == PreparedPerson.SCHEMA_VERSION:
                self.content = {**content, "stages": stages}
        elif folder.is_dir() and not set(folder.iterdir()) <= set(_half_written(folder)):
            raise UserError(f"{folder}: is not empty and not a prepared person; give another folder with -o")
        for path in _half_written(folder):
            path.unlink()

    def save(self) -> None:
        with self._lock:
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
            files: what it leaves in the folder: files, and folders of pictures ("frames/").
            work: does it, and returns what later stages and the report want to know (JSON values).

        Returns:
            What `work` returned, now or then.
        """
        stages: Data = self.content["stages"]
        with self._lock:
            self._asked.add(name)
            basis = {"name": name, "version": version, "options": options,
                     "after": {n: stages[n]["key"] for n in after}}
            key = hashlib.sha256(json.dumps(plain(basis), sort_keys=True).encode()).hexdigest()
            record = stages.get(name)
            if record and record["key"] == key and record.get("files") == self._sizes(files):
                return record["data"]
            self.content["finished"] = False
            stages.pop(name, None)
            self.save()
        began = time.time()
        data = plain(work())
        with self._lock:
            stages[name] = {"key": key, "began": round(began, 3), "seconds": round(time.time() - began, 3),
                            "files": self._sizes(files), "data": data}
            self.done_now.append(name)
            self.save()
        return data

    def _sizes(self, files: tuple[str, ...]) -> dict[str, list[int]]:
        """How many files each name stands for, and their bytes: what is missing or cut short is found out."""
        return {name: _size(self.folder / name) for name in files}

    def finish(self) -> None:
        """All stages are done: forget those of earlier runs that this one had no use for."""
        self.content["stages"] = {name: self.content["stages"][name] for name in self.content["stages"]
                                  if name in self._asked}

    @property
    def seconds(self) -> float:
        """Time in which stages were at work, whichever run did them; side by side counts once [s]."""
        total, until = 0.0, 0.0
        for record in sorted(self.content["stages"].values(), key=lambda record: record["began"]):
            end = record["began"] + record["seconds"]
            total += max(0.0, end - max(until, record["began"]))
            until = max(until, end)
        return total


def _half_written(folder: Path) -> list[Path]:
    """What `write_atomically` leaves of a file when it is killed."""
    return [path for place in (folder, folder / "stages") for path in place.glob(".*.part*")
            if re.fullmatch(r"\..+\.\d+\.part(\.\w+)?", path.name)]


def _size(path: Path) -> list[int]:
    if path.is_dir():
        sizes = [entry.stat().st_size for entry in os.scandir(path) if entry.is_file()]
        return [len(sizes), sum(sizes)]
    return [1, path.stat().st_size] if path.is_file() else [0, 0]


def side_by_side(first: Callable[[], Any], *others: Callable[[], Any]) -> list[Any]:
    """Do several things at once and return what they give, in order.

    The first is done in the caller's thread, where Ctrl-C stops it: let it be the longest. All have ended when this
    returns or raises.
    """
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        waiting = [pool.submit(other) for other in others]
        return [first(), *(future.result() for future in waiting)]


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for it out of a folder, where its file system knows locks.

    Raises:
        UserError: another process is at work there.
    """
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another geneface prepare is at work there; wait for it to end, or give another "
                            "folder with -o") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)  # which gives the lock back
