"""The same job by processes and over a cluster: every clip exactly once, whoever dies meanwhile."""
from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from data_prep.corpora import prepare, workers
from geneface.config import CorpusConfig
from geneface.corpus import MotionCorpus
from geneface.errors import UserError

FILES = 4


def test_results_in_this_process():
    assert list(workers.run_tasks(pow, [(2, 3), (2, 4)], workers=1)) == [8, 16]
    assert list(workers.run_tasks(pow, [], workers=2)) == []
    with pytest.raises(ZeroDivisionError):
        list(workers.run_tasks(divmod, [(1, 0)], workers=1))


def test_a_tasks_own_error_ends_the_run():
    with pytest.raises(ZeroDivisionError):
        list(workers.run_tasks(divmod, [(1, 0), (1, 1)], workers=2))


def test_without_ray(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'geneface\[cluster\]'"):
        list(workers.run_tasks(pow, [(2, 3)], cluster="auto"))


def test_no_cluster_there():
    pytest.importorskip("ray")
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"):
        with pytest.raises(UserError, match=f"^{address}: no Ray cluster can be reached there"):
            list(workers.run_tasks(pow, [(2, 3)], cluster=address))


def kill_one(clips: Path, found: list[int]) -> None:
    """Kill the first process that is seen working on a file once another file is done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for note in clips.rglob("*.busy") if any(clips.rglob("*.npz")) else ():
            try:
                pid = int(note.read_text("utf-8").split()[0])
            except (OSError, IndexError):
                continue
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
                return
        time.sleep(0.02)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process at once")
@pytest.mark.parametrize("cluster", ["", "local"])
def test_every_clip_once_though_a_worker_is_killed(cluster, footage, tmp_path):
    from geneface import assets

    if cluster:
        pytest.importorskip("ray")
    try:
        assets.path("whisper-base"), assets.path("face-landmarker")
    except UserError as error:
        pytest.skip(f"model files cannot be had here: {error}")
    folder, out = tmp_path / "s1", tmp_path / "out"
    folder.mkdir()
    for file in sorted((footage / "grid" / "s1").glob("*.mp4"))[:FILES]:
        shutil.copy(file, folder)
    (folder / "empty.mp4").touch()
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(out / "clips", killed), daemon=True)
    killer.start()
    config = CorpusConfig(people="file", renderings=1, shard_clips=2, workers=2, cluster=cluster, layout="grid")
    result = prepare.prepare_corpus(folder, out, config)
    killer.join()
    assert len(killed) == 1
    taken = MotionCorpus(out).names
    dropped = json.loads((out / "dropped.json").read_text("utf-8"))
    assert dropped == {"empty": "unreadable"} and result["files"] == FILES + 1
    assert sorted([*taken, *dropped]) == sorted(file.stem for file in folder.iterdir())
    shards = [path.name for path in (out / "shards").iterdir()]
    assert len(shards) == 3 and not any(name.startswith(".") for name in shards)
    assert not list((out / "clips").rglob("*.busy"))
