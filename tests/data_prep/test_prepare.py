"""Preparation as a whole: what it refuses, what it leaves, how it goes on."""
from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.conclude import consent_record
from data_prep.ingest import Scan
from data_prep.preflight import measure
from data_prep.preflight.checks import judge
from data_prep.preflight.examine import stop_if_strict
from data_prep.preflight.looks import Look
from data_prep.preflight.shots import Cut, Take
from data_prep.prepare import prepare
from geneface import media
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.types import PreparedPerson

SMALL = PrepareConfig(size=192, plate_samples=20)


def speech(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 16000)) / 16000
    return (0.3 * np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 3 * time) > 0)).astype(np.float32)


def video(path: Path, frames, audio=None) -> Path:
    frames = list(frames)
    height, width = frames[0].shape[:2]
    with media.VideoWriter(path, width, height, 25, audio, preset="ultrafast") as writer:
        for frame in frames:
            writer.write(frame)
    return path


def clouds(count: int, size: int = 128):
    """A picture without a face that moves."""
    rng = np.random.default_rng(0)
    base = np.kron(rng.uniform(0, 255, (8, 8, 3)), np.ones((size // 8, size // 8, 1))).astype(np.uint8)
    return [np.roll(base, 2 * t, axis=1) for t in range(count)]


@pytest.fixture(scope="module")
def clip(footage, tmp_path_factory) -> Path:
    """2.8 s of a real person."""
    folder = tmp_path_factory.mktemp("clip")
    source = footage / "identities" / "speaker_d_5s.mp4"
    import cv2

    frames = [cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA)
              for frame in media.read_frames(source, 25, 0, 70)]
    return video(folder / "it's a clip.mp4", frames, media.read_audio(source))


def refuses(tmp_path: Path, source: Path, words: str, config: PrepareConfig = SMALL) -> None:
    """One line that says what is wrong and where, and nothing left behind."""
    out = tmp_path / "person"
    with pytest.raises(UserError) as caught:
        prepare(source, out, config)
    message = str(caught.value)
    assert words in message and "\n" not in message and (str(source) in message or "option" in message)
    assert not out.exists()


def test_unreadable_files(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    refuses(tmp_path, empty, "empty")
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(os.urandom(3000))
    refuses(tmp_path, noise, "not a readable video")
    refuses(tmp_path, tmp_path / "missing.mp4", "no such file")
    folder = tmp_path / "folder"
    folder.mkdir()
    refuses(tmp_path, folder, "is a folder")


def test_sound_only(tmp_path):
    media.write_wav(tmp_path / "a.wav", speech(4))
    refuses(tmp_path, tmp_path / "a.wav", "only sound")


def test_picture(tmp_path):
    from PIL import Image

    Image.fromarray(clouds(1)[0]).save(tmp_path / "a.png")
    refuses(tmp_path, tmp_path / "a.png", "still picture")


def test_one_second(tmp_path):
    refuses(tmp_path, video(tmp_path / "a.mp4", clouds(25), speech(1)), "1.0 s long")


def test_tiny_picture(tmp_path):
    refuses(tmp_path, video(tmp_path / "a.mp4", [f[:12, :12] for f in clouds(80)], speech(4)), "too small")


def test_no_sound_where_it_is_insisted_on(tmp_path):
    insist = replace(SMALL, allow_silent=False)
    refuses(tmp_path, video(tmp_path / "a.mp4", clouds(80)), "has no sound", insist)
    refuses(tmp_path, video(tmp_path / "b.mp4", clouds(80), np.zeros(60000, np.float32)), "silent", insist)


def test_no_face(tmp_path):
    refuses(tmp_path, video(tmp_path / "a.mp4", clouds(80), speech(4)), "no face")


def test_bad_option(tmp_path):
    refuses(tmp_path, tmp_path / "a.mp4", "size: must lie between", PrepareConfig(size=7))


def test_output_is_a_file_or_a_foreign_folder(tmp_path):
    source = video(tmp_path / "a.mp4", clouds(80), speech(4))
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty"):
        prepare(source, out, SMALL)
    assert [p.name for p in out.iterdir()] == ["letter.txt"]
    with pytest.raises(UserError, match="is a file"):
        prepare(source, out / "letter.txt", SMALL)


def test_static_video_of_a_face(tmp_path, clip):
    frame = next(media.read_frames(clip))
    refuses(tmp_path, video(tmp_path / "a.mp4", [frame] * 70, speech(3)), "nothing moves")


def test_two_faces(tmp_path, clip):
    frames = [np.concatenate([frame, frame[:, ::-1]], 1) for frame in media.read_frames(clip)]
    refuses(tmp_path, video(tmp_path / "a.mp4", frames, speech(3)), "two faces")


def test_face_in_a_few_frames(tmp_path, clip):
    frames = [frame if t < 12 else np.roll(clouds(1, 256)[0], 3 * t, 1)
              for t, frame in enumerate(media.read_frames(clip))]
    refuses(tmp_path, video(tmp_path / "a.mp4", frames, speech(3)), "longest shot")


def test_disk_full(tmp_path, clip, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data_prep.streams.Path.write_bytes", full)
    out = tmp_path / "person"
    with pytest.raises(UserError, match="no room left"):
        prepare(clip, out, SMALL)
    assert not out.exists()


def test_no_room_is_said_before_work_begins(tmp_path, monkeypatch):
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(UserError, match="MB left"):
        measure.check_room(tmp_path / "not" / "yet", 1000, 512)


@pytest.fixture(scope="module")
def prepared(clip, tmp_path_factory) -> PreparedPerson:
    return prepare(clip, tmp_path_factory.mktemp("people") / "somebody", SMALL, "for tests only")


def test_person_is_complete(prepared):
    person = PreparedPerson.open(prepared.path)
    assert len(person) == 70 and person.size == (192, 192) and person.fps == 25
    assert len(person.train_frames) == 63 and person.held_out_frames == range(63, 70)
    assert person.frame(69).shape == person.mask(69).shape == person.background.shape == (192, 192, 3)
    assert len(person.camera) == len(person.face) == 70
    assert abs(len(person.speech) - 140) <= 2
    assert len(media.read_audio(person.path / "audio.wav")) == 70 * 640
    assert person.manifest["consent"]["granted"] and person.manifest["consent"]["text"] == "for tests only"
    assert not [p for p in person.path.rglob("*.part*")]


def test_masks_of_a_real_person(prepared):
    face = prepared.face
    for index in (0, 35, 69):
        mask = prepared.mask(index).astype(int)
        assert (mask.sum(-1) == 255).all()
        nose = face.landmarks[index, 1].astype(int)
        assert mask[nose[1], nose[0], 0] == 255
        assert mask[2, 2, 2] > 240 and mask[-2, 96, 1] > 240
        chin = face.landmarks[index, 152]
        torso = prepared.torso(index)
        assert torso.shape == (192, 192, 4) and torso[-2, 96, 3] > 240
        # The neck goes on behind the chin, and looks like the neck.
        behind, below = torso[int(chin[1]) - 3, int(chin[0])].astype(int), torso[int(chin[1]) + 6, int(chin[0])]
        assert behind[3] > 240 and np.abs(behind - below).max() < 60 and not torso[: int(nose[1]), :, 3].any()
        assert mask[int(chin[1]) - 4, int(chin[0]), 0] > 200 and mask[min(191, int(chin[1]) + 6), int(chin[0]), 1] > 200


def test_result_has_the_promised_keys(prepared):
    result = prepared.manifest["result"]
    assert {"frames", "fps", "seconds", "size", "frames_per_s", "reprojection_px", "jitter_deg", "audio_offset_frames",
            "cuts", "verdicts", "report"} <= set(result)
    assert result["frames"] == 70 and result["cuts"] == [] and 0 < result["reprojection_px"] < 1.5
    assert set(result["verdicts"].values()) <= {"ok", "warn", "fail"}
    report = Path(result["report"])
    assert report.is_file() and "for tests only" in report.read_text("utf-8")
    assert json.loads(report.with_suffix(".json").read_text("utf-8"))["frames"] == 70


def test_running_again_changes_nothing(clip, prepared):
    def state():
        return {str(p): p.stat().st_mtime_ns for p in prepared.path.rglob("*")
                if "report" not in p.name and p.name != "manifest.json"}

    before = state()
    again = prepare(clip, prepared.path, SMALL)
    assert state() == before
    assert again.manifest["consent"]["text"] == "for tests only"
    assert again.manifest["hashes"] == prepared.manifest["hashes"]


def test_consent_holds_for_the_videos_it_was_given_for():
    first = consent_record({}, ["a", "b"], "I agree")
    assert first["granted"] and first["text"] == "I agree" and first["date"]
    left = {"consent": first, "clips": [{"source": {"sha256": name}} for name in "ab"]}
    assert consent_record(left, ["b"], None) == first
    for videos, given in ((["a", "c"], None), (["c"], None), (["a"], "")):
        assert consent_record(left, videos, given) == {"text": "", "date": "", "granted": False}
    assert consent_record(left, ["c"], "so do I")["text"] == "so do I"


def test_a_refused_video_leaves_an_empty_folder_behind_a_link_as_it_was(tmp_path):
    video, folder, link = tmp_path / "a.mp4", tmp_path / "empty", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    with media.VideoWriter(video, 320, 240, 25, preset="ultrafast") as writer:
        for _ in range(100):
            writer.write(np.full((240, 320, 3), 90, np.uint8))
    with pytest.raises(UserError, match="no face|does not change|still"):
        prepare(video, link, SMALL)
    assert link.is_symlink() and folder.is_dir() and not any(folder.iterdir())


def test_a_stopped_run_goes_on_and_gives_the_same(clip, prepared, tmp_path, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    out = tmp_path / "person"
    with monkeypatch.context() as patch:
        patch.setattr("data_prep.prepare.fit_track", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(clip, out, SMALL)
    with pytest.raises(UserError, match="not finished"):
        PreparedPerson.open(out)
    with monkeypatch.context() as patch:
        patch.setattr("data_prep.prepare.scan", stop)  # what is done is not done again
        patch.setattr("data_prep.prepare.cut_frames", stop)
        patch.setattr("data_prep.prepare.detect_in_stretches", stop)
        person = prepare(clip, out, SMALL)
    assert person.manifest["hashes"]["masks"] == prepared.manifest["hashes"]["masks"]
    assert np.array_equal(person.camera.head_to_camera, prepared.camera.head_to_camera)


def test_strict_stops_at_a_warning(tmp_path, clip):
    refuses(tmp_path, clip, "length: 2.8 s", replace(SMALL, strict=True))


def scan_of(found, frames=100, movement=50.0, **seen) -> Scan:
    looks = tuple(Look(i, face=(40.0, 30.0, 80.0, 90.0) if found(i) else None, sharpness=8.0, brightness=120.0, **seen)
                  for i in range(0, frames, 5))
    return Scan(frames, 200, 150, (Cut(60, True),), movement, ((7, 12),), looks)


def test_scan_survives_the_manifest():
    scan = scan_of(lambda i: i % 10 == 0, camera=(1.5, -2.0))
    assert Scan.from_json(json.loads(json.dumps(scan.to_json()))) == scan
    assert scan.usable().sum() == 50 and len(scan.usable()) == 100
    assert [look.frame for look in scan.within(10, 26)] == [10, 15, 20, 25]
    assert scan.standstill(Take(0, 10, (), ()), 25) == pytest.approx(3 / 25)
    assert scan.standstill(Take(10, 60, (), ()), 25) == pytest.approx(9 / 25)


def test_strict_keeps_work_that_a_run_without_can_use(clip, tmp_path, monkeypatch):
    """Warnings that only the finished stages give stop a strict run, but cost no work."""
    with monkeypatch.context() as patch:
        patch.setattr("data_prep.preflight.examine.stop_if_strict", lambda *_: None)  # what the short clip is warned of before
        patch.setattr("data_prep.prepare.stop_if_strict", lambda video, found, config: stop_if_strict(
            video, [v for v in found if v.check == "still background"] + [judge("tracking", 9.0)], config))
        with pytest.raises(UserError, match="tracking: 9.00 px"):
            prepare(clip, tmp_path / "person", replace(SMALL, strict=True))
        with pytest.raises(UserError, match="not finished"):
            PreparedPerson.open(tmp_path / "person")
        patch.setattr("data_prep.prepare.detect_in_stretches", None)
        patch.setattr("data_prep.prepare.fit_track", None)
        assert len(prepare(clip, tmp_path / "person", SMALL)) == 70
