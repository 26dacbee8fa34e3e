"""Training of the experts: it learns, goes on where it stopped, and refuses what it cannot use."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from geneface.corpus import SHARDS, MotionCorpus
from geneface.errors import UserError
from geneface.fit.experts import train_expert
from geneface.motion.lipreader import LipReader, load_reader
from geneface.motion.sync import SyncExpert, load_sync
from tests.motion.corpora import write_small_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_small_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("sync") / "sync.safetensors"
    losses = []
    return out, train_expert("sync", corpus, out, steps=6, on_step=lambda step, parts: losses.append(parts)), losses


def test_sync_learns(trained, corpus):
    out, result, losses = trained
    assert result["steps"] == 6 and losses[-1]["contrast"] < 0.97 * losses[0]["contrast"]
    assert set(result["held_out"]) >= {"sync_within_1", "shift_found_within_1"} and result["held_out"]["clips"] == 3
    expert, info = load_sync(str(out))
    assert isinstance(expert, SyncExpert) and info["part"] == "sync" and info["clips"] == 9
    assert not torch.equal(expert.content_mean, torch.zeros(512))


def test_going_on_gives_the_same_weights(trained, corpus, tmp_path):
    out = tmp_path / "sync.safetensors"

    def stop(step, parts):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_expert("sync", corpus, out, steps=6, on_step=stop)
    assert not out.exists()
    train_expert("sync", corpus, out, steps=6)
    whole, parts = load_sync(str(trained[0]))[0].state_dict(), load_sync(str(out))[0].state_dict()
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-4, msg=name)


def test_run_of_another_plan_is_refused(trained, corpus):
    with pytest.raises(UserError, match="another part, corpus or plan"):
        train_expert("sync", corpus, trained[0], steps=7)
    trained[0].with_name("sync.run").joinpath("checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="unreadable checkpoint"):
        train_expert("sync", corpus, trained[0], steps=6)


@pytest.mark.parametrize("part", ["reader", "judge"])
def test_reader_learns(part, corpus, tmp_path):
    losses = []
    result = train_expert(part, corpus, tmp_path / "r.safetensors", steps=6,
                          on_step=lambda step, parts: losses.append(parts))
    assert losses[-1]["ctc"] < 0.5 * losses[0]["ctc"] and np.isfinite(losses[-1]["frames"])
    assert 0 <= result["held_out"]["wer_real"] <= 1
    reader, info = load_reader(str(tmp_path / "r.safetensors"))
    assert reader.spec.words == ("a", "b") and reader.spec.slots == (("a",), ("b",)) and info["seed"] in (2, 3)
    assert (reader.gru is None) == (part == "reader")


def test_corpora_that_teach_nothing(corpus, tmp_path):
    write_small_corpus(tmp_path / "none", clips=1)  # the first is held out
    assert len(MotionCorpus(tmp_path / "none").train) == 0
    with pytest.raises(UserError, match="no clip to train on"):
        train_expert("sync", tmp_path / "none", tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="part"):
        train_expert("oracle", corpus, tmp_path / "m.safetensors")


def test_corpus_without_words(corpus, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    (tmp_path / SHARDS).mkdir()
    (tmp_path / "corpus.json").write_bytes((corpus / "corpus.json").read_bytes())
    for path in (corpus / SHARDS).iterdir():
        with safe_open(path, framework="np") as file:
            header = json.loads(file.metadata()["geneface"])
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}
        for info in header["clips"]:
            info["text"] = info["words"] = None
        save_file(arrays, tmp_path / SHARDS / path.name, {"geneface": json.dumps(header)})
    with pytest.raises(UserError, match="no clip says which words"):
        train_expert("reader", tmp_path, tmp_path / "m.safetensors")


def test_reader_file_is_not_a_sync_expert(tmp_path, trained):
    with pytest.raises(UserError, match="not a lip reader"):
        LipReader.load(trained[0])
