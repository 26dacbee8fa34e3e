"""Stages: done once, again only where something they depend on changed."""
from __future__ import annotations

import json

import pytest

from data_prep.stages import Manifest
from geneface.assets import file_hash
from geneface.errors import UserError


class Work:
    """Three stages in a row; `done` counts."""

    def __init__(self, folder):
        self.folder, self.done = folder, []

    def run(self, first=1, second=1, fail_at=None):
        manifest = Manifest(self.folder)

        def work(name):
            def do():
                if name == fail_at:
                    raise KeyboardInterrupt
                self.done.append(name)
                (self.folder / name).write_text(name)
                return {"name": name, "options": (first, second)}
            return do

        a = manifest.stage("a", 1, {"first": first}, (), ("a",), work("a"))
        manifest.stage("b", 1, {"second": second}, ("a",), ("b",), work("b"))
        manifest.stage("c", 1, {}, ("a",), ("c",), work("c"))
        assert a["name"] == "a"
        done, self.done = self.done, []
        return done


def test_stages_are_done_once_and_redone_where_options_changed(tmp_path):
    work = Work(tmp_path)
    assert work.run() == ["a", "b", "c"]
    assert work.run() == []
    assert work.run(second=2) == ["b"]
    assert work.run(first=3, second=2) == ["a", "b", "c"]
    (tmp_path / "c").unlink()
    assert work.run(first=3, second=2) == ["c"]


def test_a_killed_run_goes_on(tmp_path):
    work = Work(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        work.run(fail_at="b")
    work.done = []
    assert work.run() == ["b", "c"]


def test_finished_mark_goes_when_work_begins(tmp_path):
    work = Work(tmp_path)
    work.run()
    manifest = Manifest(tmp_path)
    manifest.content["finished"] = True
    manifest.save()
    work.run()
    assert json.loads((tmp_path / "manifest.json").read_text())["finished"] is True
    work.run(second=5)
    assert json.loads((tmp_path / "manifest.json").read_text())["finished"] is False


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        Manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{broken")
    with pytest.raises(UserError, match="unreadable"):
        Manifest(tmp_path)


def test_other_schema_starts_anew(tmp_path):
    work = Work(tmp_path)
    work.run()
    content = json.loads((tmp_path / "manifest.json").read_text()) | {"schema_version": 99}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert work.run() == ["a", "b", "c"]


def test_file_hash(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_hash(tmp_path / "f").startswith("ba7816bf")
