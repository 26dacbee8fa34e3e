"""Several clips of one person, one after another."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data_prep import ingest
from data_prep.footage import Footage, clip_labels, require_different
from data_prep.ingest import Scan
from data_prep.layers.alike import plates_apart, thumbnail
from data_prep.preflight.examine import Examination, Source, open_source, place_crops
from data_prep.preflight.looks import Look
from data_prep.preflight.shots import Take
from data_prep.prepare import _Preparation, check, prepare
from geneface import media
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import Crop
from geneface.metrics.original import PREPARED_FRAMES, SOURCE_VIDEO, original_frames
from geneface.types import PreparedPerson

THIRTY = PrepareConfig(fps=30.0)  # 533.3 samples a frame: they do not divide


def footage_of(*takes: Take, sounds=None) -> Footage:
    sources = [Source(Path(f"/films/{index}/talk.mp4"), SimpleNamespace(), SimpleNamespace()) for index in range(len(takes))]
    sounds = sounds or [np.zeros(0, np.float32)] * len(takes)
    seen = [Examination(None, take, Crop(0, 0, 9, 9, 9), None, sound, []) for take, sound in zip(takes, sounds)]
    return Footage.of(sources, [str(index) for index in range(len(takes))], seen)


def test_clips_stand_one_after_another():
    together = footage_of(Take(5, 105, (40,), (105,)), Take(0, 7, (), ()), Take(50, 90, (1, 39), (50,)))
    assert len(together) == 147 and [clip.frames for clip in together.clips] == [slice(0, 100), slice(100, 107),
                                                                               slice(107, 147)]
    assert together.jumps == (40, 100, 107, 108, 146)
    assert footage_of(Take(5, 105, (40,), ())).jumps == (40,)


def test_frames_are_spread_over_every_clip():
    assert footage_of(Take(3, 103, (), ())).spread(80) == sorted({int(i) for i in np.linspace(0, 99, 80)})
    chosen = np.array(footage_of(Take(0, 1000, (), ()), Take(0, 30, (), ()), Take(0, 5, (), ())).spread(80))
    assert (chosen < 1000).sum() == 77 and list(chosen[chosen >= 1030]) == [1030, 1031, 1032, 1033, 1034]
    assert ((chosen >= 1000) & (chosen < 1030)).sum() == 8 and chosen.max() == 1034


def test_sound_keeps_to_its_frames_to_the_last_sample():
    """Three clips of odd lengths whose sample values tell their time: at every frame of each the sound is its own."""
    rate, counts = 16000, (31, 47, 64)
    sounds = [np.arange(120 * rate // 30, dtype=np.float32) + 100000 * (k + 1) for k in range(3)]
    together = footage_of(*(Take(7, 7 + count, (), ()) for count in counts), sounds=sounds)
    whole = together.sound(THIRTY, [0.0, 2.0, -3.0])
    assert len(whole) == round(sum(counts) / 30 * rate)
    for k, (clip, shift) in enumerate(zip(together.clips, (0, 2, -3))):
        for frame in (0, 1, counts[k] - 1):
            at = round((clip.first + frame) / 30 * rate)
            expected = 100000 * (k + 1) + (7 + frame + shift) / 30 * rate
            assert abs(float(whole[at]) - expected) <= 2
    assert (whole != 0).all()


def test_a_video_is_given_once():
    sources = [Source(Path(name), None, None) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(UserError, match="b.mp4: holds the same as a.mp4"):
        require_different(sources, ["same", "same"])
    require_different(sources, ["one", "other"])
    assert clip_labels(sources) == ["a.mp4", "b.mp4"]
    assert clip_labels([Source(Path(name), None, None) for name in ("x/a.mp4", "y/a.mp4")]) == ["x/a.mp4", "y/a.mp4"]


def scan_of(left: float, camera=None, width: int = 1280) -> Scan:
    looks = tuple(Look(i, face=(left, 200.0, left + 150, 400.0), camera=(camera[0] * i, camera[1] * i) if camera else None)
                  for i in range(0, 100, 5))
    return Scan(100, width, 720, (), 50.0, (), looks)


def test_clips_of_one_camera_share_a_crop_where_it_fits_them_all():
    take = Take(0, 100, (), ())

    def crops(*scans):
        return place_crops(scans, [take] * len(scans), 25.0)

    near = crops(scan_of(500), scan_of(540))
    assert near[0] == near[1] and near[0].x < 440 and near[0].x + near[0].side > 760
    far = crops(scan_of(200), scan_of(900))
    assert far[0].x + 300 < far[1].x and far == [*crops(scan_of(200)), *crops(scan_of(900))]
    assert crops(scan_of(500), scan_of(540, width=1000))[0] == crops(scan_of(500))[0]
    followed = crops(scan_of(500), scan_of(540, camera=(3.0, 0.0)))
    assert followed[1].path and not followed[0].path


def wall(light: float = 1.0, move: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(0).uniform(60, 180, (24, 24, 3)).astype(np.uint8)
    return np.clip(np.roll(cv2.resize(coarse, (192, 192)), move, 1) * light, 0, 255).astype(np.uint8)


def test_backgrounds_are_compared_where_they_were_seen():
    alpha = np.full((192, 192), 255, np.uint8)
    alpha[60:, 60:130] = 0  # somebody

    def apart(*pictures):
        clips = [slice(8 * k, 8 * k + 8) for k in range(len(pictures))]
        rng = np.random.default_rng(1)
        samples = {}
        for index in range(8 * len(pictures)):
            frame = pictures[index // 8].copy()
            frame[60:, 60:130] = rng.uniform(0, 255, 3)
            samples[index] = thumbnail(frame), thumbnail(alpha)
        return plates_apart(samples, clips)

    assert apart(wall()) == 0
    assert apart(wall(), wall()) < 1
    assert 8 < apart(wall(), wall(), wall(1.1)) < 15
    assert apart(wall(), wall(move=40)) > 20


# Real clips

SMALL = PrepareConfig(size=128, plate_samples=16)


@pytest.fixture(scope="module")
def halves(footage, tmp_path_factory) -> list[Path]:
    """The first and the second half of 5 s of a real person, 160 px."""
    return [part(footage / "identities" / "speaker_d_5s.mp4", tmp_path_factory.mktemp("clips") / name, first)
            for name, first in (("a.mp4", 0), ("b.mp4", 60))]


def part(source: Path, target: Path, first: int) -> Path:
    sound = media.read_audio(source)[first * 640:(first + 64) * 640]
    with media.VideoWriter(target, 160, 160, 25, sound, preset="ultrafast") as writer:
        for frame in media.read_frames(source, 25, first, first + 64):
            writer.write(cv2.resize(frame, (160, 160), interpolation=cv2.INTER_AREA))
    return target


@pytest.fixture(scope="module")
def person(halves, tmp_path_factory) -> PreparedPerson:
    return prepare(halves, tmp_path_factory.mktemp("people") / "both", SMALL)


def test_two_clips_make_one_person(halves, person):
    assert len(person) == len(person.camera) == len(person.face) == 128 and person.manifest["jumps"] == [64]
    assert person.source == "a.mp4, b.mp4"
    assert [(clip["source"]["name"], clip["first_frame"], clip["frames"]) for clip in person.clips] == [
        ("a.mp4", 0, 64), ("b.mp4", 64, 64)]
    assert person.train_frames == range(116) and person.held_out_frames == range(116, 128)
    assert person.manifest["result"]["reprojection_px"] < 1
    verdicts = person.manifest["result"]["verdicts"]
    assert verdicts["same background"] == verdicts["a.mp4: cuts"] == verdicts["b.mp4: cuts"] == "ok"
    assert (person.mask(100).astype(int).sum(-1) == 255).all()
    sound = media.read_audio(person.path / "audio.wav")
    assert len(sound) == 128 * 640
    shifts = person.manifest["stages"]["sync"]["data"]["shifts"]
    assert shifts == [pytest.approx(2.8, abs=0.4)] * 2  # this recording's lips come so much before its sound
    for index, (video, shift) in enumerate(zip(halves, shifts)):
        own = media.read_audio(video)[:64 * 640][round(shift * 640):]
        assert np.abs(sound[index * 64 * 640:][:len(own)] - own).max() < 1e-3


def test_each_frame_is_compared_with_its_own_video(halves, person, tmp_path):
    reference, pictures = original_frames(person, range(62, 67))
    assert reference == SOURCE_VIDEO
    for index, picture in zip(range(62, 67), pictures):
        small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA).astype(int)
        error = {other: float(np.abs(small - person.frame(other)).mean()) for other in range(60, 70)}
        assert min(error, key=error.get) == index and error[index] < 2
    for clip in person.clips[1:]:
        clip["source"] |= {"path": "", "name": "gone.mp4"}
    try:
        assert original_frames(person, range(62, 67))[0] == PREPARED_FRAMES
        assert original_frames(person, range(62, 67), halves[1])[0] == SOURCE_VIDEO
        assert original_frames(person, range(0, 60))[0] == SOURCE_VIDEO
    finally:
        person.clips[1]["source"] |= {"path": str(halves[1]), "name": "b.mp4"}


def test_a_clip_more_is_looked_through_alone(halves, tmp_path, monkeypatch):
    """What is known of the others is kept."""
    looked = []

    def look(video, fps):
        looked.append(video)
        return real(video, fps)

    real = ingest.scan
    monkeypatch.setattr("data_prep.prepare.scan", look)
    sources = [open_source(video, SMALL) for video in halves]
    for count in (1, 2, 2):
        whole = _Preparation(sources[:count], tmp_path, SMALL)._look_through()
        assert len(whole) == 64 * count
    assert looked == halves


def test_running_several_clips_again_changes_nothing(halves, person, monkeypatch):
    monkeypatch.setattr("data_prep.prepare.scan", None)
    monkeypatch.setattr("data_prep.prepare.cut_frames", None)
    again = prepare(halves, person.path, SMALL)
    assert again.manifest["hashes"] == person.manifest["hashes"] and again.clips == person.clips


def test_clips_of_different_places_are_refused(halves, footage, tmp_path):
    other = part(footage / "identities" / "speaker_e_8s.mp4", tmp_path / "c.mp4", 0)
    with pytest.raises(UserError, match=r"clips \(a.mp4, c.mp4\) show different backgrounds"):
        prepare([halves[0], other], tmp_path / "person", SMALL)
    assert not (tmp_path / "person").exists()
    with pytest.raises(UserError, match="holds the same as"):
        prepare([halves[0], halves[0]], tmp_path / "person", SMALL)
    names = [verdict.check for verdict in check([halves[0], other], SMALL)]
    assert "a.mp4: sharpness" in names and "c.mp4: sharpness" in names and len(set(names)) == len(names)
    with pytest.raises(ValueError, match="videos"):
        prepare([], tmp_path / "person")
