"""Lip readers: decoding on constructed posteriors, word error rate, padding, gradients, files."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.motion.lipreader import LipReader, ReaderSpec, best_path, best_sentence, word_error_rate
from geneface.motion.modelfile import save_module

WORDS = ("at", "bin", "blue", "lay", "red", "with")
SLOTS = (("bin", "lay"), ("blue", "red"), ("at", "with"))


def _reader(architecture: str = "convolution") -> LipReader:
    torch.manual_seed(0)
    return LipReader(ReaderSpec(WORDS, SLOTS, architecture, hidden=32)).eval()


@pytest.fixture(scope="module")
def mouth():
    torch.manual_seed(0)
    return 0.002 * torch.randn(2, 30, 20, 3).cumsum(1)


def _posteriors(labels: list[int], count: int, noise: float = 0.0) -> np.ndarray:
    """Log-probabilities [T, count] of a path."""
    logits = 6 * np.eye(count)[labels] + noise * np.random.default_rng(1).standard_normal((len(labels), count))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_best_path():
    assert best_path(_posteriors([0, 2, 2, 0, 2, 3, 3, 0], 5)) == [2, 2, 3]
    assert best_path(_posteriors([0, 0], 5)) == []


def _alignments(sentence: list[int], frames: int):
    """Every path of so many frames that CTC reads as the sentence."""
    for path in itertools.product({0, *sentence}, repeat=frames):
        if [a for a, b in zip(path, (-1, *path)) if a != b and a] == sentence:
            yield path


@pytest.mark.parametrize("seed", range(4))
def test_best_sentence_is_the_best_of_all(seed):
    """Against every alignment of every sentence that the grammar allows, neighbours of one label among them."""
    slots = [[1, 2], [2, 3], [3, 1]]
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(4) * 0.5, 6))
    best = max(itertools.product(*slots), key=lambda s: max(
        sum(log_probs[t, label] for t, label in enumerate(path)) for path in _alignments(list(s), 6)))
    assert best_sentence(log_probs, slots) == list(best)


def test_best_sentence_keeps_to_the_grammar():
    # The frames say "red blue with": the grammar wants a verb first.
    reader = _reader()
    slots = [reader.encode(slot) for slot in SLOTS]
    log_probs = _posteriors([0, 5, 5, 0, 3, 3, 6, 0, 0], 7, 0.1)
    read = [WORDS[label - 1] for label in best_sentence(log_probs, slots)]
    assert read[0] in SLOTS[0] and read[1] in SLOTS[1] and read[2] == "with"
    with pytest.raises(ValueError, match="2 frames for 3 words"):
        best_sentence(log_probs[:2], slots)


def test_word_error_rate():
    assert word_error_rate([(["a", "b", "c"], ["a", "b", "c"])]) == 0
    assert word_error_rate([(["a", "b", "c"], ["a", "x", "c"]), (["d"], [])]) == pytest.approx(2 / 4)
    assert word_error_rate([(["a", "b"], ["z", "a", "b", "b"])]) == 1.0
    with pytest.raises(ValueError, match="no reference word"):
        word_error_rate([([], ["a"])])


@pytest.mark.parametrize("architecture", ["convolution", "recurrent"])
def test_padding_changes_nothing(architecture, mouth):
    reader = _reader(architecture)
    words = [["bin", "red", "at"], ["lay", "blue", "with"]]
    mask = torch.ones(2, 30)
    whole = reader.loss(mouth, mask, words)
    longer = reader.loss(torch.cat([mouth, torch.full((2, 7, 20, 3), float("nan"))], 1),
                         torch.cat([mask, torch.zeros(2, 7)], 1), words)
    assert longer.item() == pytest.approx(whole.item(), rel=1e-5)
    assert float(reader.loss(mouth[:, :23], mask[:, :23], words)) != pytest.approx(whole.item(), rel=1e-3)


@pytest.mark.parametrize("architecture", ["convolution", "recurrent"])
def test_gradient_reaches_the_mouth(architecture, mouth):
    reader = _reader(architecture).requires_grad_(False)
    words = [["bin", "red", "at"], ["lay", "blue", "with"]]
    moved, mask = mouth.clone().requires_grad_(), torch.ones(2, 30)
    before = reader.loss(moved, mask, words)
    before.backward()
    assert moved.grad.isfinite().all()
    after = reader.loss(mouth - 1e-4 * moved.grad / moved.grad.abs().max(), mask, words)
    assert after.item() < before.item()


def test_words_that_are_not_in_the_vocabulary(mouth):
    reader = _reader()
    assert reader.knows(["bin", "at"]) and not reader.knows(["bin", "hello"])
    with pytest.raises(ValueError, match="'hello' is not in"):
        reader.loss(mouth[:1], torch.ones(1, 30), [["hello"]])
    with pytest.raises(ValueError, match="1 sentences for 2 clips"):
        reader.loss(mouth, torch.ones(2, 30), [["bin"]])
    with pytest.raises(ValueError, match="architecture"):
        LipReader(ReaderSpec(WORDS, architecture="oracle"))


def test_read_follows_the_grammar(mouth):
    read = _reader().read(mouth[0])
    assert len(read) == 3 and all(word in slot for word, slot in zip(read, SLOTS))


def test_file(mouth, tmp_path):
    reader, mask, words = _reader("recurrent"), torch.ones(2, 30), [["bin", "red", "at"]] * 2
    path = tmp_path / "reader.safetensors"
    reader.save(path, {})
    again = LipReader.load(path)
    assert again.spec == reader.spec
    assert again.loss(mouth, mask, words).item() == pytest.approx(reader.loss(mouth, mask, words).item(), rel=1e-2)
    save_module(tmp_path / "other.safetensors", reader, "geneface.Other", 1, {}, {})
    save_module(tmp_path / "old.safetensors", reader, "geneface.LipReader", 0, {}, {})
    save_module(tmp_path / "cut.safetensors", reader, "geneface.LipReader", 1, {"words": ["a"], "slots": []}, {})
    for name, message in (("other", "not a lip reader"), ("old", "schema 0"), ("cut", "damaged lip reader")):
        with pytest.raises(UserError, match=message) as error:
            LipReader.load(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(error.value)
