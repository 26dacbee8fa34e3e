"""Corpus preparation: which clips are taken, how the audio is rendered, what is kept."""
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from data_prep import augment, corpus, corpus_fit
from data_prep.landmarks import Detections
from data_prep.track import Person
from geneface.config import MotionConfig
from geneface.errors import UserError
from geneface.motion.corpus import read_split
from geneface.types import SpeechFeatures

RATE = 16000


def detections(frames: int, valid: float = 1.0) -> Detections:
    found = np.arange(frames) < round(valid * frames)
    landmarks = np.random.default_rng(0).uniform(20, 200, (frames, 478, 2)).astype(np.float32)
    return Detections(landmarks, np.zeros((frames, 52), np.float32), found, found.astype(np.int32))


def clip(name: str, frames: int = 60, seed: int = 0) -> corpus.Clip:
    """Silence, a tone from frame 20 to 40, silence."""
    audio = np.zeros(frames * 640, np.float32)
    audio[20 * 640:40 * 640] = 0.3 * np.sin(2 * np.pi * (150 + 10 * seed) * np.arange(20 * 640) / RATE)
    return corpus.Clip(name, "s", detections(frames), (224, 240), audio)


def test_finding_clips(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        corpus.find_clips(tmp_path / "none")
    with pytest.raises(UserError, match="no video clip"):
        corpus.find_clips(tmp_path)
    (tmp_path / "b").mkdir()
    for name in ("b/2.mp4", "1.MOV", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in corpus.find_clips(tmp_path)] == ["1.MOV", "2.mp4"]


def test_split_does_not_change_when_the_corpus_grows(tmp_path):
    names = [f"clip{i}" for i in range(500)]
    held = corpus.split(names, 10)
    assert 25 <= held.sum() <= 80
    np.testing.assert_array_equal(corpus.split(names[:100], 10), held[:100])
    listed = tmp_path / "split.txt"
    listed.write_text("clip3\nclip7\n")
    assert np.flatnonzero(read_split(listed, names)).tolist() == [3, 7]
    listed.write_text("clip3\nkitten\n")
    with pytest.raises(UserError, match="kitten"):
        read_split(listed, names)


@pytest.mark.parametrize("frames, valid, seconds, level, reason", [
    (8, 1.0, 1.0, 0.1, "shorter"), (50, 0.5, 2.0, 0.1, "no face"), (50, 1.0, 1.0, 0.1, "sound ends"),
    (50, 1.0, 2.0, 0.0, "silent"),
])
def test_reasons_to_drop(frames, valid, seconds, level, reason):
    with pytest.raises(corpus._Dropped, match=reason):
        corpus._check(detections(frames, valid), np.full(int(seconds * RATE), level, np.float32))


def test_audio_is_cut_to_the_video():
    assert len(corpus._check(detections(50), np.full(40000, 0.1, np.float32))) == 50 * 640
    assert len(corpus._check(detections(50), np.full(31000, 0.1, np.float32))) == 50 * 640


def fake_extract(audio: np.ndarray) -> SpeechFeatures:
    """Content channel 0 is the level of the frame's audio, so that places can be checked."""
    frames = -(-len(audio) // 320)
    level = np.abs(np.pad(audio, (0, frames * 320 - len(audio)))).reshape(frames, 320).mean(1)
    content = np.zeros((frames, 512), np.float32)
    content[:, 0] = level
    zero = np.zeros(frames, np.float32)
    return SpeechFeatures(content, zero, (20 * np.log10(level + 1e-6)).astype(np.float32), zero, 50.0)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_renderings_keep_the_time(number, tmp_path, monkeypatch):
    """Wherever a clip lands in a joined recording, its features come back at its own frames."""
    monkeypatch.setattr(corpus, "extract", fake_extract)
    clips = [clip(f"c{i}", 60 + i, i) for i in range(5)]
    starts = np.concatenate([[0], np.cumsum([c.frames for c in clips])])
    content, melody, covered = corpus._rendering(number, clips, starts, tmp_path, 0)
    assert content.shape == (2 * starts[-1], 512) and melody.shape == (2 * starts[-1], 3)
    for i, (low, high) in enumerate(covered):
        assert 0 <= low <= 20 and 40 <= high <= clips[i].frames
        own = content[2 * starts[i]:2 * starts[i + 1], 0].astype(float)
        loud = np.flatnonzero(own > 0.3 * own.max())
        assert abs(loud[0] - 40) <= 2 and abs(loud[-1] - 79) <= 6  # a room's echo may ring on
        assert not own[:2 * low].any() and not own[2 * high:].any()
    again = corpus._rendering(number, clips, starts, tmp_path, 0)
    np.testing.assert_array_equal(again[0], content)


def test_shift_voice_moves_pitch_and_keeps_time():
    from geneface.speech.pitch import pitch

    tone = clip("c").audio[20 * 640:40 * 640]
    up = augment.shift_voice(tone, 5)
    assert len(up) == len(tone)
    assert np.exp(np.median(pitch(up).log_f0[5:-5])) == pytest.approx(150 * 2 ** (5 / 12), rel=0.02)


def test_noise_has_the_ratio_asked_for():
    random = np.random.default_rng(0)
    audio = (0.2 * random.standard_normal(RATE)).astype(np.float32)
    noisy = augment.add_noise(audio, 10, random)
    assert 20 * np.log10(audio.std() / (noisy - audio).std()) == pytest.approx(10, abs=1)
    assert len(augment.equalise(audio, random)) == len(augment.reverberate(audio, random)) == RATE


def test_bad_fits_are_dropped_and_good_ones_kept(tmp_path, monkeypatch):
    calls = []

    class Quality:
        def __init__(self, error):
            self.reprojection_px = error

    class Face:
        expression = np.zeros((60, 52), np.float32)

    def fit(found, width, height, fps, person):
        calls.append(person)
        return None, Face(), Quality(50.0 if len(calls) == 2 else 0.1)

    monkeypatch.setattr(corpus_fit, "fit_person", lambda *_: Person(np.zeros(3), np.zeros((478, 3)), 2.0))
    monkeypatch.setattr(corpus_fit, "fit_track", fit)
    dropped: Counter[str] = Counter()
    clips = [clip(f"c{i}") for i in range(3)]
    weights, kept = corpus_fit.fit_speakers(clips, tmp_path, dropped)
    assert kept == [0, 2] and len(weights) == 2 and sum(dropped.values()) == 1
    assert len(corpus_fit.fit_speakers(clips, tmp_path, Counter())[1]) == 2 and len(calls) == 3  # kept on disk


def test_grid_clips(footage, tmp_path):
    """Two real clips end to end, twice: the second time nothing is computed anew."""
    import shutil

    from geneface import assets
    from geneface.motion.corpus import MotionCorpus

    try:
        assets.path("whisper-base"), assets.path("face-landmarker")
    except UserError as error:
        pytest.skip(f"model files cannot be had here: {error}")
    folder = tmp_path / "s1"
    folder.mkdir()
    for file in sorted((footage / "grid" / "s1").glob("*.mp4"))[:2]:
        shutil.copy(file, folder)
    (folder / "broken.mp4").write_bytes(b"not a video")
    result = corpus.prepare_corpus(folder, tmp_path / "out", MotionConfig(renderings=2))
    assert result["clips"] == 2 and result["frames"] == 150 and result["dropped"] == {"unreadable": 1}
    data = MotionCorpus(tmp_path / "out")
    expression = data.clip(0).expression
    assert expression.shape == (75, 52) and float(expression[:, 24].std()) > 0.02
    before = data.path.read_bytes()
    corpus.prepare_corpus(folder, tmp_path / "out", MotionConfig(renderings=2))
    assert data.path.read_bytes() == before
