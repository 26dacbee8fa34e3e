"""Synthetic talkers: phones and their times, alignment, lips, and the corpus made of them."""
from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

from data_prep.corpora import renderings
from data_prep.voices import engines, natural
from data_prep.voices.align import Sentence, align
from data_prep.voices.engines import Speech, Voice, settle, timed
from data_prep.voices.lips import LipModel, bilabial, describe, train_lips
from data_prep.voices.phones import FEATURES, Phone, features, letters, spread
from geneface.corpus import ClipInfo, MotionCorpus
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.landmarks import mouth_opening
from geneface.motion.evaluate import MouthMeasures

from ...motion.corpora import write_small_corpus

pytestmark = pytest.mark.usefixtures("one_thread")

JAW = ARKIT_NAMES.index("jawOpen")


def has(symbol: str) -> set[str]:
    return {name for name, value in zip(FEATURES, features(Phone(symbol, 0, 1, 1.0))) if value >= 0.5}


def test_what_the_mouth_does():
    assert has("p") == {"bilabial", "stop"} and has("m") == {"bilabial", "nasal", "voiced"}
    assert has("v") == {"labiodental", "fricative", "voiced"} and has("") == {"silence"}
    assert has("u") == {"vowel", "back", "round", "voiced", "stress"} and "open" in has("a") and "open" not in has("i")
    assert {"postalveolar", "fricative", "round"} == has("ʃ") and "round" in has("w")


def test_letters_of_ipa():
    assert letters("tʃˈaɪ ʤɔːɹ") == ["t", "ʃ", "a", "ɪ", "d", "ʒ", "ɔ", "ɹ"]
    assert letters("ã ɲ1_(") == ["a", "n", "j"]  # nasal vowels by their mouth
    assert [(p.symbol, p.start, p.end) for p in spread("aʊ", 1, 2)] == [("a", 1.0, 1.5), ("ʊ", 1.5, 2.0)]


def covered(phones: tuple[Phone, ...], seconds: float) -> bool:
    ends = [phone.end for phone in phones]
    return phones[0].start == 0 and ends[-1] == pytest.approx(seconds) and all(
        phone.start == pytest.approx(end) for phone, end in zip(phones[1:], ends))


def test_times_of_signs():
    """A stress mark belongs to the phone after it, a length mark to the one before; a quiet comma is a pause, a space
    none, and so is what sounds on into a comma."""
    audio = np.zeros(16000, np.float32)
    audio[1600:8000] = audio[12000:15000] = 0.3
    found = timed("^mˈuː t,a$", np.array([0.1, 0.1, 0.05, 0.1, 0.1, 0.02, 0.03, 0.25, 0.2, 0.05]), audio)
    assert [phone.symbol for phone in found] == ["", "m", "u", "t", "", "a"]
    assert covered(found, 1.0)
    by = {phone.symbol: phone for phone in found if phone.symbol}
    assert by["u"].start == pytest.approx(0.2) and by["u"].end == pytest.approx(0.47) and by["u"].stress == 1.0
    assert by["t"].end == pytest.approx(0.5, abs=0.02) and by["a"].start == pytest.approx(0.75)


def test_settling():
    audio = np.full(1600, 0.1, np.float32)
    assert settle([], audio) == (Phone("", 0.0, 0.1),)
    found = settle([Phone("a", 0.02, 0.05), Phone("", 0.05, 0.06), Phone("", 0.06, 0.07), Phone("b", 0.07, 0.5)], audio)
    assert covered(found, 0.1) and [phone.symbol for phone in found if phone.symbol] == ["a", "b"]


def test_alignment_finds_the_phones_again():
    """Sentences of three words whose phones each sound their own way, with rests; words are timed, phones are not."""
    random = np.random.default_rng(0)
    spelling = {"ba": "ba", "sil": "sil", "mu": "mu"}
    sounds = {sign: random.standard_normal(64) * 2 for sign in "basilmu"} | {"": np.zeros(64)}
    sentences, truth = [], []
    for _ in range(40):
        frames, words, at = [""] * 10, [], 10
        for word in random.permutation(list(spelling)):
            begin = at
            for sign in spelling[word]:
                frames += [sign] * int(random.integers(3, 9))
            at = len(frames)
            words.append((begin / 50, at / 50, str(word)))
            frames += [""] * int(random.integers(0, 2) * 6)
            at = len(frames)
        frames += [""] * 8
        content = np.stack([sounds[sign] for sign in frames]) + random.standard_normal((len(frames), 64))
        sentences.append(Sentence(content.astype(np.float32), tuple(words)))
        truth.append(frames)
    found = align(sentences, lambda word: [(sign, 1.0) for sign in spelling[word]], np.arange(30))
    for phones, frames in zip(found[30:], truth[30:]):
        told = np.concatenate([[p.symbol] * round(50 * (p.end - p.start)) for p in phones])
        assert covered(phones, len(frames) / 50) and (told == np.array(frames)).mean() > 0.95


def talk(seconds: float, seed: int) -> tuple[Phone, ...]:
    random, at, out = np.random.default_rng(seed), 0.2, [Phone("", 0.0, 0.2)]
    while at < seconds - 0.4:
        end = at + random.uniform(0.08, 0.16)
        out.append(Phone(str(random.choice(list("pbaæisuw"))), at, end, 1.0))
        at = end
    return (*out, Phone("", at, seconds))


def test_lips_learn_what_phones_they_never_met_do():
    """Jaws that open for open vowels; "ɑ", "m" and "f" were never trained on."""
    inputs, motions = [], []
    for seed in range(20):
        phones = talk(2.0, seed)
        described = describe(phones, np.zeros((100, 3), np.float32))
        motion = np.zeros((50, 52), np.float32)
        smooth = np.convolve(described[:, FEATURES.index("open")], np.hanning(9) / 4, "same")
        motion[:, JAW] = smooth.reshape(-1, 2).mean(1) * 0.8 + 0.05
        inputs.append(described)
        motions.append(motion)
    model = train_lips(inputs, motions, steps=40, batch=12)
    words = (Phone("", 0, 0.3), Phone("m", 0.3, 0.42), Phone("ɑ", 0.42, 0.6, 1.0), Phone("m", 0.6, 0.72),
             Phone("ɑ", 0.72, 0.9, 1.0), Phone("", 0.9, 1.2))
    described = describe(words, np.zeros((60, 3), np.float32))
    made = model.weights(described)
    assert made.shape == (30, 52) and 0 <= made.min() and made.max() <= 1
    opening = mouth_opening(MouthMeasures.of_basis().landmarks(made))
    assert min(opening[12], opening[20]) > opening[[9, 16, 27]].max() + 0.004
    assert {8, 16} <= set(np.flatnonzero(bilabial(described) > 0.9)) <= {8, 9, 16, 17}
    assert not made[:, [i for i, name in enumerate(ARKIT_NAMES) if name.startswith("eye")]].any()


def a_voice() -> Voice:
    def say(text: str, language: str, rate: float) -> Speech:
        audio = 0.2 * np.sin(np.arange(16000) * 0.05).astype(np.float32)
        return Speech(audio, (Phone("m", 0.0, 0.5), Phone("a", 0.5, 1.0, 1.0)))

    return Voice("hum", ("en", "de"), say)


def test_a_corpus_of_a_voice(tmp_path, monkeypatch):
    """Lips move with the sound in every rendering, sentences are held out by their words, and what is there is kept."""
    def heard(audio: np.ndarray, streamed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        level = np.abs(audio[:len(audio) // 320 * 320]).reshape(-1, 320).mean(1)
        return tuple(np.tile(level[:, None], (1, width)).astype(np.float32) for width in (512, 3, 80))

    monkeypatch.setattr(renderings, "heard", heard)
    monkeypatch.setattr(renderings, "spoken", lambda audio: np.abs(audio).reshape(-1, 640).mean(1) > 0.01)
    tasks = natural.readings([a_voice()], 20, 0)
    assert {language for language, _ in tasks[0].texts} == {"en", "de"} and len(set(tasks[0].texts)) == 18
    lips = LipModel()
    lips.mean[:] = 0.1
    result = natural.make_natural_corpus(tasks, lips, tmp_path)
    corpus = MotionCorpus(tmp_path)
    assert result["clips"] == len(corpus) == 20 and corpus.renderings == 2 and 0 < corpus.held_out.sum() < 10
    assert corpus.about(0).speaker == "hum" and corpus.about(0).text == tasks[0].texts[0][1]
    for rendering in (0, 1):
        clip = corpus.clip(4, rendering)
        sounding = (clip.content[:, 0] > 0.01).float().mean() * len(clip.expression) / 25
        assert len(clip.content) == 2 * len(clip.expression) and 0.8 < float(sounding) < 1.6
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()}
    natural.make_natural_corpus(tasks, lips, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()} == before


@pytest.mark.parametrize("program, voice", [("espeak-ng", engines.espeak("e", ("en", "de"))),
                                            ("flite", engines.flite("slt"))])
def test_engines_time_their_phones(program, voice):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    said = voice.say("My papa, the boss, moves.", "en", 1.0)
    assert covered(said.phones, len(said.audio) / 16000) and said.audio.dtype == np.float32
    assert [p.symbol for p in said.phones if p.symbol in "pbm" and p.symbol] == list("mppbm")
    loud = [np.abs(said.audio[int(p.start * 16000):int(p.end * 16000)]).mean() for p in said.phones]
    vowels = [level for level, phone in zip(loud, said.phones) if phone.symbol and phone.symbol in "aɑɒu"]
    pauses = [level for level, phone in zip(loud, said.phones) if not phone.symbol]
    assert min(vowels) > 3 * max(pauses)


def test_sentences_without_timed_words_are_refused(tmp_path, monkeypatch):
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    monkeypatch.setattr(corpus, "about", lambda index: ClipInfo("clip", "s", "a b"))
    with pytest.raises(UserError, match="words of .* are not timed"):
        natural.learn_lips(corpus, 1)


def test_programs_that_fail_are_named():
    with pytest.raises(UserError, match=r"-c .*failed: no voice here"):
        engines.run([sys.executable, "-c", "raise SystemExit('no voice here')"])
    with pytest.raises(UserError, match="apt-get install no-such-program"):
        engines.run(["no-such-program"])
