"""The experts shipped with the package: what their card says, on real held-out sentences; of use as losses."""
from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from geneface.config import CorpusConfig
from geneface.corpus import MotionCorpus
from geneface.errors import UserError
from geneface.face.landmarks import LIPS_68
from geneface.motion.measures import MouthMeasures
from geneface.motion.lipreader import JUDGE, LipReader, load_judge, load_reader, word_error_rate
from geneface.motion.lipreader import RELEASE as READER
from geneface.motion.modelfile import DATA
from geneface.motion.sync import RELEASE as SYNC
from geneface.motion.sync import SyncExpert, load_sync

pytestmark = pytest.mark.usefixtures("one_thread")

SENTENCES = 4


def test_card_says_what_the_files_hold():
    card = (DATA / "experts_card.md").read_text("utf-8")
    for path, load in ((SYNC, load_sync), (READER, load_reader), (JUDGE, load_reader)):
        assert path.stat().st_size < 12e6
        info = load(str(path))[1]
        assert info["held_out"]["clips"] == 59 and info["clips"] == 545
        for name in ("sync_within_1", "wer_real"):
            if name in info["held_out"]:
                assert f"{name.replace('_', ' ')} | {info['held_out'][name]:.3g} |" in card
    assert load_sync(str(SYNC))[1]["held_out"]["sync_within_1"] >= 0.95
    assert load_reader(str(JUDGE))[1]["held_out"]["wer_real"] <= 0.25


def test_judge_is_another_reader():
    judge, reader = load_judge(), LipReader.load()
    assert judge.spec.architecture != reader.spec.architecture and judge.spec.words == reader.spec.words
    assert load_reader(str(JUDGE))[1]["seed"] != load_reader(str(READER))[1]["seed"]
    assert len(judge.spec.words) == 51 and [len(slot) for slot in judge.spec.slots] == [4, 4, 4, 25, 10, 4]


@pytest.fixture(scope="module")
def sentences(footage, tmp_path_factory):
    """Content, melody, mouth and words of held-out GRID sentences, tracked now."""
    from data_prep.corpora.prepare import prepare_corpus

    folder = tmp_path_factory.mktemp("grid")
    (folder / "s1").mkdir()
    split = DATA.parents[1] / "configs" / "splits" / "grid_s1.txt"
    for name in split.read_text("utf-8").split()[:: 59 // SENTENCES][:SENTENCES]:
        shutil.copy(next((footage / "grid" / "s1").glob(f"{name}.*")), folder / "s1")
    try:
        prepare_corpus(folder / "s1", folder / "out", CorpusConfig(renderings=1, workers=1))
    except UserError as error:
        pytest.skip(f"cannot be tracked here: {error}")
    corpus, measures = MotionCorpus(folder / "out"), MouthMeasures.of_basis()
    assert len(corpus) == SENTENCES
    found = []
    for i in range(SENTENCES):
        clip = corpus.clip(i)
        mouth = measures.landmarks(clip.expression.numpy())[:, LIPS_68].astype(np.float32)
        found.append((clip.content.T, clip.melody.T, torch.from_numpy(mouth), corpus.about(i).text.split()))
    return found


def test_lips_and_sound_of_real_sentences(sentences):
    expert = SyncExpert.load()
    for content, melody, mouth, _ in sentences:
        here = expert.offset(content, melody, mouth)
        assert abs(round(here.frames)) <= 1 and here.confidence > 0.3
        late = expert.offset(content[:, 10:], melody[:, 10:], mouth[:-5])
        early = expert.offset(content[:, :-6], melody[:, :-6], mouth[3:])
        assert late.frames - here.frames == pytest.approx(5, abs=0.7)
        assert early.frames - here.frames == pytest.approx(-3, abs=0.7)
    # The sound of another sentence goes with the lips much less.
    strangers = [expert.offset(a[0][:, :140], a[1][:, :140], b[2][:70]) for a, b in zip(sentences, sentences[1:])]
    assert max(s.confidence for s in strangers) < min(expert.offset(*s[:3]).confidence for s in sentences)


@pytest.mark.parametrize("reader", [LipReader.load, load_judge])
def test_real_lips_are_read(sentences, reader):
    pairs = [(words, reader().read(mouth)) for *_, mouth, words in sentences]
    assert word_error_rate(pairs) <= 0.4  # of 24 words; guesses within the grammar: 0.78
    shuffled = [(a[0], b[1]) for a, b in zip(pairs, pairs[1:])]
    assert word_error_rate(shuffled) > 0.5


def test_losses_improve_lips_and_do_not_blow_them_up(sentences):
    """Weights that are wrong at first follow both losses: agreement grows, the lips stay lips."""
    expert, reader = SyncExpert.load(), LipReader.load()
    content, melody, mouth, words = sentences[0]
    measures = MouthMeasures.of_basis()
    offsets = torch.from_numpy(measures.offsets[:, LIPS_68]).float()
    neutral = torch.from_numpy(measures.neutral[LIPS_68]).float()
    torch.manual_seed(0)
    weights = torch.full((1, len(mouth), 52), 0.1).requires_grad_()
    mask = torch.ones(1, len(mouth))
    optimiser = torch.optim.Adam([weights], lr=0.01)
    losses = []
    for _ in range(25):
        lips = neutral + torch.einsum("btk,kpc->btpc", weights, offsets)
        losses.append(expert.loss(content[None], melody[None], lips, mask) + reader.loss(lips, mask, [words]))
        optimiser.zero_grad()
        losses[-1].backward()
        assert weights.grad.isfinite().all()
        optimiser.step()
    assert losses[-1].item() < 0.75 * losses[0].item()
    # As far from their mean as real lips at most three times over.
    spread = [float((x - x.mean(0)).norm(dim=-1).mean()) for x in (lips[0].detach(), mouth)]
    assert spread[0] < 3 * spread[1]
