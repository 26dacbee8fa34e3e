"""Words in time: on recordings with known timings, and what is refused."""
from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.media import read_audio
from geneface.speech.spelling import number, phones, spoken
from geneface.speech.words import align, read_transcript, read_words

GRID = {  # a GRID sentence's name spells its words
    "b": "bin", "l": "lay", "p": "place", "s": "set"}, {"b": "blue", "g": "green", "r": "red", "w": "white"}, {
    "a": "at", "b": "by", "i": "in", "w": "with"}
DIGITS = dict(zip("z123456789", "zero one two three four five six seven eight nine".split()))
ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}


def sentence(name: str) -> str:
    begin = [table[letter] for table, letter in zip(GRID, name)]
    return " ".join([*begin, name[3], DIGITS[name[4]], ADVERBS[name[5]]])


@pytest.fixture
def sphinx():
    return pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed (geneface[words])")


def test_words_of_real_sentences_are_found(footage, sphinx):
    known = json.loads((footage / "grid/s1_alignments.json").read_text())
    errors = []
    for name in sorted(known)[5::100]:
        words = align(read_audio(footage / f"grid/s1/{name}.mp4"), sentence(name)).words
        truth = [row for row in known[name] if row[2] not in ("sil", "sp")]
        assert [word for _, _, word in words] == sentence(name).split() and len(truth) == 6
        errors += [abs(a - b) for ours, theirs in zip(words, truth) for a, b in zip(ours[:2], theirs[:2])]
    assert len(errors) == 84 and np.median(errors) < 0.035 and np.quantile(errors, 0.9) < 0.1


def test_text_is_kept_as_written_and_unknown_words_are_spelled(footage, sphinx):
    samples = read_audio(footage / "grid/s1/bbaf2n.mp4")
    plain = align(samples, "bin blue at f two now").words
    written = align(samples, "“Bin – BLEUGH, at F: 2 now!”")
    assert [word for _, _, word in written.words] == ["“Bin", "BLEUGH,", "at", "F:", "2", "now!”"]
    assert written.spelled == ("BLEUGH,",)
    assert np.allclose([w[:2] for w in written.words], [w[:2] for w in plain], atol=0.15)


def test_wrong_text_is_one_line(footage, sphinx):
    samples = read_audio(footage / "grid/s1/bbaf2n.mp4")
    for text, message in (("a long story of quite other and far more complicated matters", "does not fit the sound"),
                          ("a " * 60, "60 words in 3.0 s"), ("你好 世界", "no English words"),
                          ("", "no English words"), ("... --", "no English words")):
        with pytest.raises(UserError, match=message) as error:
            align(samples, text)
        assert "\n" not in str(error.value)


def test_without_the_aligner_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(UserError, match=r"geneface\[words\]"):
        align(np.zeros(16000, np.float32), "hello")


@pytest.mark.parametrize("token, words", [
    ("Well-known", ["well", "known"]), ("don’t", ["don't"]), ("Müller,", ["muller"]), ("42", ["forty", "two"]),
    ("—", []), ("日本", []), ("3rd", ["three", "rd"])])
def test_what_is_said_for_a_token(token, words):
    assert spoken(token) == words


@pytest.mark.parametrize("digits, words", [
    ("0", "zero"), ("19", "nineteen"), ("20", "twenty"), ("307", "three hundred seven"), ("007", "zero zero seven"),
    ("1984", "one thousand nine hundred eighty four"), ("500000", "five hundred thousand"),
    ("1234567", "one two three four five six seven")])
def test_numbers_are_said(digits, words):
    assert " ".join(number(digits)) == words


@pytest.mark.parametrize("word, sounds", [("knight", "N AY T"), ("nation", "N AE SH AH N"), ("bbc", "B IY B IY S IY"),
                                          ("muller", "M AH L ER"), ("x", "EH K S"), ("hmm", "EY CH EH M EH M")])
def test_spelling(word, sounds):
    assert phones(word) == sounds


def test_any_word_has_phones():
    random = np.random.default_rng(0)
    for _ in range(300):
        word = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), random.integers(1, 12)))
        sounds = phones(word).split()
        assert sounds and all(sound.isalpha() and sound.isupper() and len(sound) <= 2 for sound in sounds), word


def test_transcript_is_text_or_a_file(tmp_path):
    (tmp_path / "t.txt").write_text("\ufeffHello you", "utf-8")
    assert read_transcript(tmp_path / "t.txt") == "Hello you" and read_transcript("Hello you") == "Hello you"
    assert read_transcript("very " * 2000) == "very " * 2000
    with pytest.raises(UserError, match="no such file"):
        read_transcript(tmp_path / "u.txt")


def test_known_timings_are_read(tmp_path):
    path = tmp_path / "w.json"
    path.write_text('[[0, 0.4, "Hello"], [0.4, 0.7, "you"]]')
    assert read_words(path) == ((0.0, 0.4, "Hello"), (0.4, 0.7, "you"))
    for text, message in (('[[0.5, 0.4, "a"]]', "out of order"), ('[[0.5, 0.6, "a"], [0.1, 0.2, "b"]]', "out of order"),
                          ('[[0, NaN, "a"]]', "out of order"), ('[[0, 1, 7]]', "out of order"),
                          ('{"a": 1}', "no word timings"), ('[[0, 1]]', "no word timings"),
                          ('hello', "no word timings"), ("[" * 100000, "no word timings")):
        path.write_text(text)
        with pytest.raises(UserError, match=message) as error:
            read_words(path)
        assert "\n" not in str(error.value)


def test_speak_keeps_the_words(footage, sphinx, tmp_path, capsys, one_thread):
    from geneface.types import MotionSequence

    call = ["speak", "--audio", str(footage / "grid/s1/bbaf2n.mp4"), "-o", str(tmp_path / "m.npz"), "--json"]
    assert run([*call, "--transcript", "bin blue at f two now"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == 6
    words = MotionSequence.load(tmp_path / "m.npz").words
    assert [word for _, _, word in words] == "bin blue at f two now".split() and 0.8 < words[0][0] < 1.1
    assert run([*call, "--transcript", "bin", "--words", "w.json"]) == 2
    assert "give one of them" in capsys.readouterr().err
