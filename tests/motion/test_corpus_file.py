"""The corpus file: what is written is read."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.motion.corpus import FILE_NAME, MotionCorpus

from .corpora import write_small_corpus


def test_clips_come_back(tmp_path):
    corpus = MotionCorpus(write_small_corpus(tmp_path))
    assert len(corpus) == 12 and corpus.renderings == 2 and corpus.info == {"clips": 12}
    assert corpus.test.tolist() == [0, 4, 8] and len(corpus.train) == 9
    whole, part = corpus.clip(5), corpus.clip(5, 1)
    assert len(whole.content) == 2 * len(whole.expression) and corpus.covered(5, 1)[0] == 3
    assert len(part.expression) == len(whole.expression) - 5
    np.testing.assert_array_equal(part.expression, whole.expression[3:-2])
    np.testing.assert_allclose(part.content, whole.content[6:-4] + 0.1, atol=0.02)  # stored in half precision
    assert str(MotionCorpus(tmp_path / FILE_NAME).path) == str(corpus.path)


def test_bad_files(tmp_path):
    with pytest.raises(UserError, match="no motion corpus"):
        MotionCorpus(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        MotionCorpus(tmp_path)
