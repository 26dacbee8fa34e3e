"""Stages: done once, again only where something they depend on changed."""
from __future__ import annotations

import json
import threading

import pytest

from data_prep.stages import Manifest, side_by_side, sole_use
from data_prep.streams import ordered_map
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


def test_a_new_version_of_a_stage_is_done_again(tmp_path):
    done = []
    for version in (1, 1, 2, 2):
        Manifest(tmp_path).stage("a", version, {}, (), (), lambda: done.append(version) or {})
    assert done == [1, 2]


def test_files_that_are_not_as_a_stage_left_them_are_made_again(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()

    def work():
        for index in range(4):
            (folder / f"{index}.jpg").write_bytes(b"12345")
        return {"frames": 4}

    def run():
        manifest = Manifest(tmp_path)
        assert manifest.stage("frames", 1, {}, (), ("frames/",), work) == {"frames": 4}
        return manifest.done_now

    (tmp_path / "manifest.json").write_text('{"schema_version": 1, "finished": false, "stages": {}}')
    assert run() == ["frames"] and run() == []
    (folder / "2.jpg").unlink()
    assert run() == ["frames"] and run() == []
    (folder / "3.jpg").write_bytes(b"123")
    assert run() == ["frames"] and run() == []


def test_stages_side_by_side(tmp_path):
    """Both are recorded, and the time that they share counts once."""
    manifest = Manifest(tmp_path)
    meet = threading.Barrier(2, timeout=20)  # each waits for the other: they must be at work at once

    def stage(name):
        return lambda: manifest.stage(name, 1, {}, (), (), lambda: meet.wait() and {} or {"name": name})

    assert side_by_side(stage("a"), stage("b")) == [{"name": "a"}, {"name": "b"}]
    assert sorted(Manifest(tmp_path).content["stages"]) == ["a", "b"]
    for name, began, seconds in (("a", 10, 5), ("b", 12, 6), ("c", 13, 1), ("d", 30, 2)):
        manifest.content["stages"][name] = {"began": began, "seconds": seconds}
    assert manifest.seconds == 10


@pytest.mark.parametrize("faulty", [0, 1])
def test_an_error_side_by_side_is_raised_when_all_have_ended(faulty):
    ended = []

    def fail():
        raise UserError("full")

    works = [lambda: ended.append(1), lambda: ended.append(1)]
    works[faulty] = fail
    with pytest.raises(UserError, match="full"):
        side_by_side(*works)
    assert ended == [1]


def test_stages_that_are_no_longer_asked_for_are_forgotten(tmp_path):
    Work(tmp_path).run()
    manifest = Manifest(tmp_path)
    manifest.stage("a", 1, {"first": 1}, (), ("a",), dict)
    manifest.finish()
    assert list(manifest.content["stages"]) == ["a"] and not manifest.done_now


def test_one_process_at_a_time(tmp_path):
    with sole_use(tmp_path):
        with pytest.raises(UserError, match="another geneface prepare is at work"), sole_use(tmp_path):
            pass
    with sole_use(tmp_path):
        pass


def test_what_was_half_written_goes_and_nothing_else(tmp_path):
    (tmp_path / ".manifest.41.part.json").write_text("{")
    Manifest(tmp_path).save()  # a run that was killed at its first step
    (tmp_path / "stages").mkdir()
    kept = [".film.part", "notes.12.part.txt", "stages/.a.part1.rar", "camera.npz"]
    for name in (*kept, ".camera.99.part.npz", "stages/.landmarks.7.part.npz"):
        (tmp_path / name).write_text("x")
    Manifest(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"manifest.json", *kept}
    foreign = tmp_path / "downloads"
    foreign.mkdir()
    for name in (".camera.99.part.npz", "letter.txt"):
        (foreign / name).write_text("x")
    with pytest.raises(UserError, match="not empty"):
        Manifest(foreign)
    assert len(list(foreign.iterdir())) == 2


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


def test_work_through_threads_keeps_its_order_and_stops_with_its_caller():
    gate, done = threading.Event(), []

    def work(item):
        if item > 1:
            gate.wait(20)
        done.append(item)
        return item

    results = ordered_map(work, range(100), workers=1)
    assert [next(results), next(results)] == [0, 1]
    threading.Timer(0.05, gate.set).start()
    results.close()  # as Ctrl-C in the loop does
    assert done in ([0, 1], [0, 1, 2])  # the third had begun, or not
    assert list(ordered_map(lambda item: -item, range(50))) == [-item for item in range(50)]
