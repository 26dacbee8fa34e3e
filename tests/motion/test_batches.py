"""Batches: the same for any number of processes, few shards at a time, shares and weights of several corpora."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geneface import corpus as corpus_module
from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus
from geneface.errors import UserError
from geneface.fit.motion import DRIVEN
from geneface.fit.motion.batches import Sampler, shares
from geneface.fit.motion.processes import Processes
from geneface.motion.vae import GeneratorSpec, MotionGenerator

from .corpora import write_small_corpus

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = MotionConfig(batch=6)
ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return MotionCorpus(write_small_corpus(tmp_path_factory.mktemp("corpus"), clips=40, frames=(24, 25), per_shard=2))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MotionGenerator(GeneratorSpec(DRIVEN, hidden=16))


def sampler(corpora, model, processes=ALONE, mix=None, trust=None):
    count = len(corpora)
    return Sampler(corpora, model, np.full(count, 1 / count) if mix is None else np.array(mix),
                   np.ones(count) if trust is None else np.array(trust), CONFIG, processes)


def test_processes_share_what_one_would_draw(corpus, model):
    whole = sampler([corpus], model)
    parts = [sampler([corpus], model, replace(ALONE, rank=rank, count=2)) for rank in (0, 1)]
    for step in range(3):
        batch, (even, odd) = whole.draw(step), [part.draw(step) for part in parts]
        for name, value in batch._asdict().items():
            for first, part in enumerate((even, odd)):
                if name != "words":  # a part is padded to its own longest clip
                    own = getattr(part, name)
                    torch.testing.assert_close(value[first::2, ..., :own.shape[-1]], own, msg=name)
                    assert not value[first::2, ..., own.shape[-1]:].any()
        assert batch.words[::2] == even.words == [["a", "b"]] * 3
    assert whole.drawn == parts[0].drawn == parts[1].drawn == [18]


def test_every_clip_once_an_epoch_and_few_shards_open(corpus, model, monkeypatch):
    """30 training clips in 20 shards: each shard is opened once an epoch."""
    opened = []
    real = corpus_module._Shard

    class Counted(real):
        def __init__(self, path, renderings):
            opened.append(path.name)
            super().__init__(path, renderings)

    monkeypatch.setattr(corpus_module, "_Shard", Counted)
    source = sampler([MotionCorpus(corpus.path)], model)
    epochs = []
    for epoch in range(2):
        opened.clear()
        seen = [source._epochs[0].clip(30 * epoch + number) for number in range(30)]
        for index in seen:
            source.corpora[0].clip(index)
        assert sorted(seen) == corpus.train.tolist() and len(opened) == len(set(opened)) <= 20
        assert len(source.corpora[0]._open) <= 12
        epochs.append(seen)
    assert epochs[0] != epochs[1]
    window = {int(corpus.shard[index]) for index in epochs[0][:8]}  # of 8 shards with 1 or 2 training clips each
    assert 4 <= len(window) <= 8


def test_memory_is_bounded(tmp_path, model):
    """An epoch of a corpus of 60 MB, in 30 shards, leaves under 32 MB of it resident."""
    data = MotionCorpus(write_small_corpus(tmp_path, clips=60, frames=(160, 161), per_shard=2))
    size = sum(path.stat().st_size for path in (tmp_path / "shards").iterdir())
    assert size > 50e6
    source = Sampler([data], model, np.ones(1), np.ones(1), replace(CONFIG, batch=1), ALONE)
    source.draw(0)
    before, most = resident(), 0
    for step in range(1, len(data.train)):
        source.draw(step)
        most = max(most, resident() - before)
    assert most < 32e6


def resident() -> int:
    """Bytes of files that are mapped into memory."""
    try:
        with open("/proc/self/status") as file:
            sizes = [int(line.split()[1]) for line in file if line.startswith(("RssFile", "RssShmem"))]
            return 1024 * sum(sizes)
    except (OSError, ValueError):
        pytest.skip("the system does not tell how much of its files a process keeps in memory")


def test_shares_and_weights_of_several_corpora(corpus, model, tmp_path):
    other = MotionCorpus(write_small_corpus(tmp_path, clips=12, seed=1))
    source = sampler([corpus, other], model, mix=[0.75, 0.25], trust=[1.0, 0.3])
    weights = torch.cat([source.draw(step).weight[:, 0, 0] for step in range(40)])
    assert source.drawn == [int((weights == 1).sum()), int((weights == weights.min()).sum())]
    assert weights.min() == pytest.approx(0.3) and sum(source.drawn) == 240
    assert 0.65 < source.drawn[0] / 240 < 0.85


@pytest.mark.parametrize("given", ["1", "1,x", "-1,2", "0,0"])
def test_shares_that_do_not_fit(given):
    with pytest.raises(UserError, match="mix"):
        shares([None, None], given, "mix")


def test_augmentation_leaves_the_plain_features_alone(corpus, model):
    batch = sampler([corpus], model).draw(0)
    heard = batch.plain_content[0, :, :2 * int(batch.mask[0].sum())].T
    assert (batch.content[0, :, :len(heard)] != heard.T).float().mean() > 0.95
    recordings = [corpus.clip(int(i), v).content for i in corpus.train for v in (0, 1)]
    assert any(len(one) == len(heard) and torch.equal(one, heard) for one in recordings)
