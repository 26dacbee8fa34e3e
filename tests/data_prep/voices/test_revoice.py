"""Recorded sentences spoken again: the motion follows the voice."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.corpora import renderings
from data_prep.voices import revoice
from data_prep.voices.engines import Speech, Voice
from data_prep.voices.phones import Phone
from geneface.corpus import MotionCorpus

from ...motion.corpora import write_small_corpus


def say(text: str, *lengths: float) -> tuple[Phone, ...]:
    ends = np.cumsum(lengths)
    return tuple(Phone(sign.strip(), float(end - length), float(end)) for sign, length, end in zip(text, lengths, ends))


def test_phones_of_two_accents_are_paired():
    """British against American: another vowel, an r that only one says, a pause that only one makes."""
    british, american = say(" bɑf", 0.2, 0.1, 0.2, 0.1), say(" bæɹ f", 0.1, 0.1, 0.1, 0.1, 0.3, 0.1)
    pairs = revoice.matched(british, american)
    assert [(a.symbol, b.symbol) for a, b in pairs] == [("b", "b"), ("ɑ", "æ"), ("f", "f")]
    assert revoice.matched(say(" ", 1.0), british) == []


def test_the_pace_is_the_voices():
    """A voice at half the pace: the recording's time passes half as fast while it speaks, and as fast in the rests."""
    recorded = say(" basi ", 0.4, 0.1, 0.1, 0.1, 0.1, 0.4)
    made = say("basi", 0.2, 0.2, 0.2, 0.2)
    there = revoice.pace(made, recorded, 50, 0.6)
    steps = np.diff(there) * 25
    assert steps[17:32] == pytest.approx(0.5, abs=0.02)
    assert steps[:10] == pytest.approx(1) and steps[40:] == pytest.approx(1)
    assert there[25] == pytest.approx(0.4 + (25.5 / 25 - 0.6) / 2, abs=0.005)


def test_a_corpus_spoken_again(tmp_path, monkeypatch):
    """Every clip gets a rendering that lasts as long as the voice speaks, with the clip's own motion."""
    monkeypatch.setattr(renderings, "heard", lambda audio, streamed=False: tuple(
        np.tile(np.abs(audio).reshape(-1, 320).mean(1)[:, None], (1, width)).astype(np.float32)
        for width in (512, 3, 80)))
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    recorded = say(" ba ", 0.2, 0.1, 0.2, 0.1)
    monkeypatch.setattr(revoice, "aligned", lambda corpus: [recorded] * len(corpus))
    sound = np.sin(np.arange(16000)).astype(np.float32)
    voice = Voice("hum", ("en",), lambda text, language, rate: Speech(sound, say(" ba ", 0.1, 0.4, 0.4, 0.1)))
    made = revoice.revoice(corpus, [voice], 0)
    assert len(made) == len(corpus)
    revoice.add_voices(corpus, [voice], tmp_path / "more", 1)
    more = MotionCorpus(tmp_path / "more")
    assert more.renderings == 3 and (more.held_out == corpus.held_out).all() and more.names == corpus.names
    np.testing.assert_allclose(more.clip(7, 2).content, made[7].content, atol=1e-3)
    np.testing.assert_array_equal(more.clip(7, 1).expression, corpus.clip(7, 1).expression)
    for index, rendering in enumerate(made):
        assert 0.8 * 25 <= len(rendering.times) <= 1.9 * 25 and len(rendering.content) == 2 * len(rendering.times)
        clip = revoice.with_renderings(corpus, index, [rendering])
        assert len(clip.renderings) == 3 and clip.info == corpus.about(index)
        np.testing.assert_array_equal(clip.renderings[1].content, corpus.clip(index, 1).content)
        loud = rendering.times[rendering.content[::2, 0] > 0.05]
        assert loud[0] == pytest.approx(0.2 * 25, abs=2) and loud[-1] == pytest.approx(0.5 * 25, abs=2)
