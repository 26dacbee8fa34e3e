"""Corpus preparation: which clips are taken, how they are cut and rendered, what is kept."""
from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.corpora import clips, people, prepare, renderings, shard, timing
from data_prep.corpora.clips import Dropped, Recording
from data_prep.corpora.layouts import Source
from data_prep.corpora.transcripts import Transcript
from data_prep.tracking.landmarks import Detections
from geneface.config import CorpusConfig
from geneface.corpus import MotionCorpus, read_shard_header, read_split
from geneface.errors import UserError

RATE = 16000
CONFIG = CorpusConfig()


def detections(frames: int, valid: float = 1.0, width: float = 180.0, second: float = 0.0) -> Detections:
    found = np.arange(frames) < round(valid * frames)
    landmarks = np.random.default_rng(0).uniform(20, 20 + width, (478, 2)).astype(np.float32)
    faces = found.astype(np.int32) + (np.arange(frames) < round(second * frames))
    return Detections(np.tile(landmarks, (frames, 1, 1)), np.zeros((frames, 52), np.float32), found, faces)


def tone(frames: int, seed: int = 0) -> np.ndarray:
    """Silence, a tone from frame 20 to 40, silence."""
    audio = np.zeros(frames * 640, np.float32)
    spoken = audio[20 * 640:40 * 640]
    spoken[:] = 0.3 * np.sin(2 * np.pi * (150 + 10 * seed) * np.arange(len(spoken)) / RATE)
    return audio


def clip(name: str, frames: int = 60, seed: int = 0, speaker: str = "s", **options: float) -> Recording:
    return Recording(name, speaker, detections(frames, **options), (224, 240), tone(frames, seed))


def source(name: str, speaker: str = "s", size: int = 10**6) -> Source:
    return Source(f"/nowhere/{name}.mp4", name, speaker, "plain", size, 7)


def test_split_keeps_recordings_together_when_the_corpus_grows(tmp_path):
    names = [f"clip{i}#{part}" for i in range(500) for part in (1, 2)]
    held = prepare.split(names, 10)
    assert 50 <= held.sum() <= 160 and (held[::2] == held[1::2]).all()
    np.testing.assert_array_equal(prepare.split(names[:100], 10), held[:100])
    listed = tmp_path / "split.txt"
    listed.write_text("clip3\nclip7#2\n")
    assert np.flatnonzero(read_split(listed, names)).tolist() == [6, 7, 15]
    listed.write_text("clip3\nkitten\n")
    with pytest.raises(UserError, match="kitten"):
        read_split(listed, names)


@pytest.mark.parametrize("options, reason", [
    (dict(frames=8), "shorter"), (dict(valid=0.5), "a face in less than 90 %"), (dict(valid=0.0), "a face in less"),
    (dict(width=30.0), "less than 40 px"), (dict(second=0.5), "second face in more than 20 %"),
])
def test_reasons_to_drop(options, reason):
    with pytest.raises(Dropped, match=reason):
        clips.check(clip("c", **{"frames": 60} | options), CONFIG)


def test_silence_and_jumps_are_dropped():
    with pytest.raises(Dropped, match="silent"):
        clips.check(replace(clip("c"), audio=np.zeros(60 * 640, np.float32)), CONFIG)
    found = detections(60)
    found.landmarks[30:] += 100.0
    with pytest.raises(Dropped, match="jumps"):
        clips.check(replace(clip("c"), detections=found), CONFIG)
    clips.check(clip("c"), CONFIG)


@pytest.mark.parametrize("before, jump, after, shots", [
    (0.0, 0.05, 0.0, 1), (0.0, 0.12, 0.0, 2), (0.03, 0.12, 0.0, 1), (0.0, 0.12, 0.03, 1), (0.09, 0.09, 0.09, 1),
    (0.3, 0.4, 0.3, 2),
])
def test_a_jump_cut_is_a_step_out_of_stillness(before, jump, after, shots):
    """Steps in widths of the face, to and fro; a head that shakes is no cut."""
    found = detections(60)
    width = np.ptp(found.landmarks[0, :, 0])
    steps = np.zeros(60)
    steps[20:30], steps[30], steps[31:40] = before * (-1) ** np.arange(10), jump, after * (-1) ** np.arange(9)
    found.landmarks[..., 0] += (np.cumsum(steps) * width)[:, None]
    runs = clips._shots(found)
    assert len(runs) == shots and runs[0][0] == 0 and runs[-1][1] == 60
    assert shots == 1 or runs[0][1] == runs[1][0] == 30


@pytest.mark.parametrize("seconds", [1.6, 2.0, 2.5])
def test_audio_is_cut_to_the_video(seconds):
    audio = np.full(int(seconds * RATE), 3277, np.int16)
    made = clips._recording(source("c"), detections(50), np.array([224, 240]), audio)
    assert made.audio.shape == (50 * 640,) and made.audio[0] == pytest.approx(0.1, abs=1e-3)
    with pytest.raises(Dropped, match="sound ends"):
        clips._recording(source("c"), detections(50), np.array([224, 240]), audio[:20000])


def test_long_recordings_are_cut_at_pauses_and_shots(monkeypatch):
    loud_is_spoken(monkeypatch)
    frames = 1000
    found = detections(frames)
    found.landmarks[400:] += 150.0  # another shot
    found.valid[700:730] = False  # the face is gone
    noise = np.random.default_rng(0).standard_normal(frames * 640).astype(np.float32) * 0.1
    for pause in (240, 530, 900):
        noise[pause * 640:(pause + 3) * 640] = 0
    words = tuple((float(t), t + 0.5, f"w{t}") for t in range(40))
    whole = Recording("a/b", "s", found, (224, 240), noise, Transcript("all", words))
    parts = clips.cut(whole, replace(CONFIG, longest_seconds=12.0))
    assert [part.name for part in parts] == [f"a/b#{k}" for k in range(1, len(parts) + 1)]
    lengths = [part.frames for part in parts]
    assert max(lengths) <= 300 and lengths[:2] == pytest.approx([241, 159], abs=2) and sum(lengths) == frames - 30
    assert sum(lengths[:3]) == 700  # the gap ends one and begins another
    for part in parts:
        assert len(part.audio) == 640 * part.frames and part.detections.valid.all()
    said = " ".join(part.transcript.text for part in parts).split()
    assert said == [f"w{t}" for t in range(40) if not 28 <= t + 0.25 < 29.2]
    assert clips.cut(clip("c"), CONFIG)[0].name == "c"


def fake_heard(audio: np.ndarray, streamed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content channel 0 is the level of the frame's audio, so that places can be checked."""
    content = np.zeros((len(audio) // 320, 512), np.float32)
    content[:, 0] = np.abs(audio).reshape(-1, 320).mean(1)
    return content, content[:, :3], content[:, :80]


def loud_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tone is no speech to the detector."""
    for module in (clips, renderings):
        monkeypatch.setattr(module, "spoken", lambda audio: (clips.levels(audio) > 0.01).astype(float))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_renderings_keep_the_time(number, monkeypatch):
    """Wherever a clip lands in a joined recording, its features come back with the frames they belong to."""
    monkeypatch.setattr(renderings, "heard", fake_heard)
    loud_is_spoken(monkeypatch)
    many = [clip(f"c{i}", 60 + i, i, speaker="ab"[i % 2]) for i in range(5)]
    made = renderings.render(number, many, 0)
    for one, rendering in zip(many, made):
        times = rendering.times
        assert len(rendering.content) == len(rendering.melody) == len(rendering.mel) == 2 * len(times)
        assert 0 <= times[0] <= 20 and 39 <= times[-1] < one.frames
        own = rendering.content[:, 0].astype(float).reshape(-1, 2).mean(1)
        loud = times[own > 0.5 * own.max()]
        assert abs(loud[0] - 20) <= 1.5 and 38 <= loud[-1] <= 39 + 8  # a room's echo may ring on
        assert number > 1 or (np.diff(times) == 1).all()
    again = renderings.render(number, many, 0)
    assert all((a.content == b.content).all() and (a.times == b.times).all() for a, b in zip(made, again))


def test_streamed_features_are_those_of_the_stream(monkeypatch):
    """What a live model is trained on is what it will hear."""
    from geneface.speech import stream

    def pretended(audio):
        return stream.StreamedSpeech(*fake_heard(audio)[:2], np.ones(len(audio) // 320))

    monkeypatch.setattr(renderings, "stream_features", pretended)
    one = clip("c", 60, 0)
    made = renderings.render(0, [one], 0, streamed=True)[0]
    np.testing.assert_allclose(made.content[:, 0], fake_heard(one.audio)[0][:, 0], atol=1e-3)


def test_a_clip_without_speech_is_kept_whole():
    assert renderings.sentence(np.zeros(30 * 640, np.float32), np.random.default_rng(0)) == (0, 30)


def test_bad_fits_are_dropped(monkeypatch):
    def fit(found, width, height, fps, person):
        if person == "nobody":
            raise UserError("no face found")
        return None, SimpleNamespace(expression="weights"), SimpleNamespace(reprojection_px=person * 180)

    monkeypatch.setattr(people, "fit_track", fit)
    assert people.expression_of(clip("c"), 0.019, 0.02) == "weights"
    for person, reason in ((0.021, "does not fit"), (float("nan"), "does not fit"), ("nobody", "no face found")):
        with pytest.raises(Dropped, match=reason):
            people.expression_of(clip("c"), person, 0.02)


def test_a_clip_that_cannot_tell_is_timed_as_its_speakers_others(monkeypatch):
    told = {100: 1.5, 110: 2.5, 120: 8.0, 130: None, 60: None}
    monkeypatch.setattr(timing, "sound_timing",
                        lambda content, melody, expression: SimpleNamespace(offset=told[len(expression)]))
    many = [clip(f"a{n}", n, speaker="a") for n in (100, 110, 120, 130)] + [clip("b", 60, speaker="b")]
    heard = [SimpleNamespace(content=None, melody=None)] * 5
    expressions = [np.zeros((one.frames, 52)) for one in many]
    assert timing.offsets(many, heard, expressions) == [1.5, 2.5, 8.0, 2.5, None]


@pytest.mark.parametrize("lag", [2.5, -2.5, 0.0])
def test_sound_is_moved_with_its_words(lag):
    one = replace(clip("a", 60), transcript=Transcript("hello", ((1.0, 1.5, "hello"),)))
    sound = np.arange(60 * 640, dtype=np.float32)
    moved = replace(one, audio=sound).moved(lag)
    assert moved.audio.shape == sound.shape and moved.audio[10000] == 10000 + lag * 640
    assert moved.transcript.words == ((1.0 - lag / 25, 1.5 - lag / 25, "hello"),)
    assert (moved.audio[-1600:] == 0).all() if lag > 0 else moved.audio[-1] == sound[-1] + lag * 640
    assert (moved.audio[:1600] == 0).all() if lag < 0 else moved.audio[0] == lag * 640
    assert one.transcript.later(-1.2).words == ((0.0, pytest.approx(0.3), "hello"),)  # no time is before the clip


def test_plan_covers_every_file_once():
    files = [source(f"{who}/{i:03d}", who) for who, count in (("a", 150), ("b", 3), ("c", 1)) for i in range(count)]
    tasks = prepare.plan(files, CONFIG)
    assert Counter(s.name for task in tasks for s in task.sources) == Counter(s.name for s in files)
    assert max(len(task.sources) for task in tasks) <= 64 and max(len(t.sources) for t in tasks) > 1
    shared = [task.people for task in tasks]
    assert all(set(people_) == {"a"} for people_ in shared[:3]) and len(shared[0]["a"]) == 40
    assert shared[0] == shared[1] and all("c" not in people_ for people_ in shared)
    long = prepare.plan([source(f"{i:02d}", size=10**8) for i in range(20)], CONFIG)
    assert len(long) == 20 and [s.name for s in long[0].people["s"]] == ["00", "06", "13", "19"]
    assert len(prepare.plan([source("x", size=10**9), source("y", size=10**9)], CONFIG)) == 2


@pytest.mark.parametrize("options", [
    dict(workers=-1), dict(shard_clips=0), dict(renderings=0), dict(held_out_every=0), dict(longest_seconds=0.0),
])
def test_options_out_of_range_are_named(options, tmp_path):
    with pytest.raises(UserError, match=f"^{next(iter(options))}: must be at least"):
        prepare.prepare_corpus(tmp_path, tmp_path / "out", replace(CONFIG, **options))


def test_a_file_where_the_corpus_should_go(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="out: is a file"):
        prepare.prepare_corpus(tmp_path, tmp_path / "out")


def test_a_shards_name_says_what_it_is_made_from(tmp_path):
    task = prepare.plan([source("x"), source("y")], CONFIG)[0]
    assert task.key(CONFIG) == task.key(replace(CONFIG, workers=3, cluster="auto", held_out_every=2))
    others = [task.key(replace(CONFIG, **change)) for change in (
        dict(min_face_px=41.0), dict(streamed=True), dict(align=False), dict(streamed=True, align=False))]
    others += [prepare.plan(files, CONFIG)[0].key(CONFIG) for files in (
        [source("x")], [source("x"), source("y", size=5)])]
    assert len({task.key(CONFIG), *others}) == 7
    path = task.path(tmp_path, CONFIG)
    path.parent.mkdir()
    path.write_bytes(b"half")
    assert not shard.is_done(path)


def test_a_file_that_kills_its_reader_is_given_up(tmp_path, monkeypatch):
    """The note that a dead worker leaves is counted; an error that is none of the file's fault is not kept."""
    file = tmp_path / "x.mp4"
    file.write_bytes(b"x")
    bad = replace(source("x"), path=str(file))

    def die(_):
        raise MemoryError

    monkeypatch.setattr(clips, "probe", die)
    for _ in range(3):
        with pytest.raises(MemoryError):
            clips.load(bad, tmp_path / "clips")
    with pytest.raises(Dropped, match="brought down the program 3 times"):
        clips.load(bad, tmp_path / "clips")
    assert not list((tmp_path / "clips").glob("*.npz"))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_stopping_on_purpose_is_not_held_against_a_file(stop, tmp_path, monkeypatch):
    def read(_):
        raise stop

    monkeypatch.setattr(clips, "_read", read)
    with pytest.raises(stop):
        clips.load(source("x"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_kept_is_used_for_the_same_file_only(tmp_path, monkeypatch):
    reads = []

    def read(one):
        reads.append(one.name)
        frames = {f"face_{key}": value for key, value in vars(detections(30)).items()}
        return frames | {"audio": np.full(30 * 640, 3277, np.int16), "size": np.array([224, 240])}

    monkeypatch.setattr(clips, "_read", read)
    file = source("a/x")
    first, again = clips.load(file, tmp_path), clips.load(file, tmp_path)
    assert len(reads) == 1 and (first.audio == again.audio).all() and again.size == (224, 240)
    clips.load(replace(file, changed=8), tmp_path)
    assert len(reads) == 2
    kept = tmp_path / "a" / "x.npz"
    kept.write_bytes(kept.read_bytes()[:1000])
    clips.load(replace(file, changed=8), tmp_path)
    assert len(reads) == 3 and not list(tmp_path.rglob("*.busy"))


def assets_or_skip() -> None:
    from geneface import assets

    try:
        assets.path("whisper-base"), assets.path("face-landmarker")
    except UserError as error:
        pytest.skip(f"model files cannot be had here: {error}")


def test_grid_clips(footage, tmp_path):
    """Two real clips end to end: resumed, nothing is computed anew; a changed option re-makes the shards only."""
    import shutil

    assets_or_skip()
    folder = tmp_path / "s1"
    folder.mkdir()
    files = sorted((footage / "grid" / "s1").glob("*.mp4"))[:2]
    for file in files:
        shutil.copy(file, folder)
    (folder / "bbbm1a.mp4").write_bytes(b"not a video")
    config = CorpusConfig(renderings=2, shard_clips=2, workers=1)
    out = tmp_path / "out"
    result = prepare.prepare_corpus(folder, out, config)
    assert result["clips"] == 2 and result["frames"] == 150 and result["files"] == 3 and result["layout"] == "grid"
    assert result["dropped"] == {"unreadable": 1} and result["cpu_seconds_per_hour"] > 0
    assert json.loads((out / "dropped.json").read_text()) == {"bbbm1a": "unreadable"}
    data = MotionCorpus(out)
    assert sorted(data.names) == [file.stem for file in files]
    expression, landmarks = data.clip(0).expression, data.landmarks(0)
    assert expression.shape == (75, 52) and float(expression[:, 24].std()) > 0.02
    opening = (landmarks[:, 66] - landmarks[:, 62]).norm(dim=-1)
    assert 0.001 < float(opening.max()) < 0.04  # metres
    assert data.about(0).text == "bin blue at f two now" and data.about(0).speaker == "s1"
    before = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    assert len(before) == 2
    prepare.prepare_corpus(folder, out, config)
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()} == before
    kept = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    prepare.prepare_corpus(folder, out, replace(config, renderings=1))
    assert MotionCorpus(out).renderings == 1 and not set(before) & set((out / "shards").iterdir())
    assert {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()} == kept
    with pytest.raises(UserError, match=r"no clip is of use: the face is less than 999 px wide \(2\), unreadable"):
        prepare.prepare_corpus(folder, out, replace(config, min_face_px=999.0))
    headers = [read_shard_header(path) for path in (out / "shards").iterdir()]
    assert sum(len(header["dropped"]) for header in headers) == 3
