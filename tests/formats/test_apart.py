"""Readers that crash, hang or want all memory do so in a process of their own, and end in one line here."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.face.motion import motion_from_weights
from geneface.formats.apart import read_apart

READERS = {
    "crashes": "import os\ndef read_here(path):\n    os.abort()\n",
    "leaves": "import os\ndef read_here(path):\n    os._exit(0)\n",
    "hangs": "def read_here(path):\n    while True:\n        pass\n",
    "grows": "def read_here(path):\n    return bytearray(1 << 40)\n",
    "refuses": "from geneface.errors import UserError\ndef read_here(path):\n    raise UserError(f'{path}: no, é')\n",
    "reads": "from geneface.types import MotionSequence\ndef read_here(path):\n    return MotionSequence.load(path)\n",
}


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Makes a module of that reader importable here, and so in the other process."""
    def named(kind: str) -> str:
        (tmp_path / f"reader_{kind}.py").write_text(READERS[kind], "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        return f"reader_{kind}"

    return named


@pytest.mark.parametrize("kind, message", [
    ("crashes", "a.usdz: its reader crashed on it"), ("leaves", "its reader crashed"), ("grows", "its reader crashed"),
    ("refuses", "^.*a.usdz: no, é$"),
])
def test_what_goes_wrong_is_one_line(reader, tmp_path, kind, message):
    with pytest.raises(UserError, match=message) as refused:
        read_apart(reader(kind), tmp_path / "a.usdz")
    assert "\n" not in str(refused.value)


def test_a_reader_that_hangs_is_ended(reader, tmp_path):
    with pytest.raises(UserError, match="a.usdz: not read within 1 s"):
        read_apart(reader("hangs"), tmp_path / "a.usdz", seconds=1)


def test_what_is_read_comes_back_whole(reader, tmp_path):
    motion = motion_from_weights(np.random.default_rng(0).uniform(0, 1, (5, 52)), 24, "test").after("a step")
    motion.save(tmp_path / "m.npz")
    again = read_apart(reader("reads"), tmp_path / "m.npz")
    assert np.array_equal(again.landmarks, motion.landmarks) and again.history == ("a step",) and again.fps == 24
