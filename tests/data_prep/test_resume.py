"""A run that was killed goes on; a changed option re-does what depends on it and nothing else."""
from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from data_prep.preflight.examine import open_source
from data_prep.prepare import _Preparation, prepare
from data_prep.stages import Manifest, sole_use
from geneface import media
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.types import PreparedPerson

ROOT = Path(__file__).parents[2]
SMALL = PrepareConfig(size=128, plate_samples=10)
SETTINGS = ("--set", "size=128", "--set", "plate_samples=10")


@pytest.fixture(scope="module")
def clip(footage, tmp_path_factory) -> Path:
    """2.8 s of a real person, 160 px."""
    source = footage / "identities" / "speaker_d_5s.mp4"
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    with media.VideoWriter(path, 160, 160, 25, media.read_audio(source)[:70 * 640], preset="ultrafast") as writer:
        for frame in media.read_frames(source, 25, 0, 70):
            writer.write(cv2.resize(frame, (160, 160), interpolation=cv2.INTER_AREA))
    return path


@pytest.fixture(scope="module")
def unbroken(clip, tmp_path_factory) -> PreparedPerson:
    return prepare(clip, tmp_path_factory.mktemp("people") / "unbroken", SMALL)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those that tell times."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name not in ("manifest.json", "report.html", "report.json")}


def test_killed_again_and_again_it_goes_on_and_gives_the_same(clip, unbroken, tmp_path):
    """SIGKILL while frames, landmarks and masks are being made, wherever each run happens to be."""
    out = tmp_path / "person"
    killed = 0
    for sight in ("frames/000030.jpg", "background.png", "masks/000020.png"):
        run = subprocess.Popen([sys.executable, "-m", "geneface", "prepare", str(clip), "-o", str(out), *SETTINGS],
                               cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 100
        while run.poll() is None and not (out / sight).exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        run.kill()
        killed += run.wait() == -signal.SIGKILL
        if killed == 1:
            with pytest.raises(UserError):
                PreparedPerson.open(out)
    assert killed
    (out / ".face.1234.part.npz").write_bytes(b"half of what was to be face.npz")
    person = prepare(clip, out, SMALL)
    assert contents(out) == contents(unbroken.path)
    assert person.manifest["hashes"] == unbroken.manifest["hashes"]
    assert not json.loads((out / "manifest.json").read_text())["result"].keys() ^ unbroken.manifest["result"].keys()


def redone(video: Path, person: Path, monkeypatch, config: PrepareConfig) -> set[str]:
    """The stages that a run would do; their work is not done, what they returned before is taken."""
    kept = {name: record["data"] for name, record in Manifest(person).content["stages"].items()}
    real = Manifest.stage

    def stage(self, name, version, options, after, files, work):
        return real(self, name, version, options, after, files, lambda: kept[name])

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "stage", stage)
        run = _Preparation([open_source(video, config)], person, config)
        run.work()
    return set(run.manifest.done_now)


PICTURES = {"frames", "landmarks", "track", "background", "masks", "torso", "sync"}


@pytest.mark.parametrize("options,expected", [
    ({}, set()),
    ({"size": 136}, PICTURES),
    ({"jpeg_quality": 90}, PICTURES),
    ({"plate_samples": 12}, {"background", "masks", "torso"}),
    ({"photometric": True}, {"track", "masks", "torso", "sync"}),
    ({"correct_sync": False}, {"sync"}),  # nothing was moved, so the sound stays as it was
    ({"held_out": 5}, set()),
    ({"min_seconds": 2.0}, set()),
    ({"allow_silent": False}, set()),
    ({"fps": 24.0}, {"scan", "sound", "speech"} | PICTURES),
], ids=lambda value: ",".join(value) or "nothing")
def test_a_changed_option_redoes_what_depends_on_it(clip, unbroken, tmp_path, monkeypatch, options, expected):
    person = tmp_path / "person"
    shutil.copytree(unbroken.path, person)
    assert redone(clip, person, monkeypatch, replace(SMALL, **options)) == expected


def test_another_video_under_the_same_name_redoes_everything(clip, unbroken, tmp_path, monkeypatch):
    person, video = tmp_path / "person", tmp_path / "a.mp4"
    shutil.copytree(unbroken.path, person)
    shutil.copy(clip, video)
    assert redone(video, person, monkeypatch, SMALL) == set()  # the same bytes elsewhere
    video.write_bytes(clip.read_bytes() + b"\0" * 8)
    assert redone(video, person, monkeypatch, SMALL) == set(Manifest(person).content["stages"])


def test_a_folder_in_use_is_left_alone(clip, unbroken):
    before = contents(unbroken.path)
    with sole_use(unbroken.path):
        with pytest.raises(UserError, match="another geneface prepare is at work"):
            prepare(clip, unbroken.path, replace(SMALL, size=140))
    assert contents(unbroken.path) == before and PreparedPerson.open(unbroken.path)


def test_a_picture_that_was_cut_short_is_made_again(clip, unbroken, tmp_path):
    person = tmp_path / "person"
    shutil.copytree(unbroken.path, person)
    (person / "masks" / "000033.png").write_bytes(b"\x89PNG")
    (person / "camera.npz").unlink()
    prepare(clip, person, SMALL)
    assert contents(person) == contents(unbroken.path)
