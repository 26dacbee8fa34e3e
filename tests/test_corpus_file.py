"""The corpus file: what is written is read."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.corpus import FILE_NAME, SHARDS, ClipInfo, MotionCorpus, Rendering, TrainingClip, motion_at, read_split
from geneface.errors import UserError

from .motion.corpora import write_small_corpus


def test_clips_come_back(tmp_path):
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    assert len(corpus) == 12 and corpus.renderings == 2 and corpus.info == {"clips": 12}
    assert corpus.test.tolist() == [0, 4, 8] and len(corpus.train) == 9
    whole, part = corpus.clip(5), corpus.clip(5, 1)
    assert len(whole.content) == 2 * len(whole.expression) and corpus.times(5, 1)[0] == 3
    assert len(part.expression) == len(whole.expression) - 5
    np.testing.assert_array_equal(part.expression, whole.expression[3:-2])
    np.testing.assert_allclose(part.content, whole.content[6:-4] + 0.1, atol=0.02)  # stored in half precision
    assert torch.equal(whole.mel, (whole.content[:, :80] / 4).half().float()) and part.mel.shape[0] == len(part.content)
    assert str(MotionCorpus(tmp_path / FILE_NAME).path) == str(corpus.path)


def test_motion_between_frames_is_smooth_and_on_frames_exact():
    seconds = torch.arange(50) / 25
    wave = (0.5 + 0.4 * torch.sin(2 * np.pi * 4 * seconds))[:, None].expand(50, 52)  # 4 Hz: fast lips
    assert torch.equal(motion_at(wave, torch.arange(3.0, 9.0)), wave[3:9])
    times = torch.arange(4.0, 44.0, 0.8)  # heard at 5/4 of the speed
    expected = 0.5 + 0.4 * torch.sin(2 * np.pi * 4 * times / 25)
    torch.testing.assert_close(motion_at(wave, times)[:, 0], expected, atol=0.01, rtol=0)


def test_renderings_must_fit_the_clip():
    motion, landmarks = np.zeros((4, 52), np.float32), np.zeros((4, 68, 3), np.float32)
    for times, frames in (([0, 1, 4], 3), ([1, 0], 2), ([], 0), ([0, 1], 3)):
        heard = Rendering(*(np.zeros((2 * frames, width), np.float32) for width in (512, 3, 80)),
                          np.array(times, np.float32))
        with pytest.raises(ValueError, match="times|content"):
            TrainingClip(ClipInfo("c", "s"), motion, landmarks, (heard,))


def test_bad_files(tmp_path):
    with pytest.raises(UserError, match="no motion corpus"):
        MotionCorpus(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        MotionCorpus(tmp_path)


def test_text_landmarks_and_order(tmp_path):
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    for index in (11, 4, 5, 0):
        about = corpus.about(index)
        assert about.name == corpus.names[index] and about.text == "a b" and about.words[1] == (0.2, 0.5, "b")
        assert about.audio_offset_frames == (None if index else 0.5)
        landmarks, expression = corpus.landmarks(index), corpus.clip(index).expression
        assert landmarks.shape == (corpus.frames[index], 68, 3)
        opening = (landmarks[:, 66] - landmarks[:, 62]).norm(dim=-1)
        assert float(np.corrcoef(opening, expression[:, 24])[0, 1]) > 0.9


def test_many_shards_do_not_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr("geneface.corpus._OPEN", 1)
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    first = corpus.clip(0).content
    corpus.clip(11)
    assert len(corpus._open) == 1
    np.testing.assert_array_equal(corpus.clip(0).content, first)


def test_lost_and_exchanged_shards_are_named(tmp_path):
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    shard = tmp_path / SHARDS / "1.safetensors"
    shard.write_bytes((tmp_path / SHARDS / "0.safetensors").read_bytes())
    with pytest.raises(UserError, match="1.safetensors: is not the shard"):
        corpus.clip(11)
    shard.unlink()
    with pytest.raises(UserError, match="1.safetensors: damaged"):
        corpus.clip(11)
    corpus.clip(0)


def test_split_file(tmp_path):
    (tmp_path / "split.txt").write_text("b\n")
    assert read_split(tmp_path / "split.txt", ["a/b", "a/c"]).tolist() == [True, False]
    with pytest.raises(UserError, match="unreadable split"):
        read_split(tmp_path / "none.txt", ["a"])
