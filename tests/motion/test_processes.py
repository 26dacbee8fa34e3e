"""Several processes under torchrun train what one would."""
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus
from geneface.fit.motion import DRIVEN
from geneface.fit.motion.processes import Processes
from geneface.fit.motion.train import Training
from geneface.motion.measures import MouthMeasures
from geneface.motion.vae import GeneratorSpec, MotionGenerator

from .corpora import write_small_corpus

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = MotionConfig(steps=4, batch=8, device="cpu", sample_weight=0.5)
SPEC = GeneratorSpec(DRIVEN, hidden=16, dropout=0.0)  # dropout differs from process to process
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
import geneface
import torch
from pathlib import Path
from safetensors.torch import save_file
from geneface.config import MotionConfig
from geneface.fit.motion import train
from geneface.motion.vae import GeneratorSpec

class Kept(train.Training):
    def run(self, *arguments):
        super().run(*arguments)
        save_file(self.model.state_dict(), f"{self._out}.{self._processes.rank}")

torch.set_num_threads(1)
train.Training = Kept
spec = GeneratorSpec(train.DRIVEN, hidden=16, dropout=0.0)
config = MotionConfig(**%r)
result = train.train_motion(sys.argv[1], sys.argv[2], config, spec=spec)
Path(f"{sys.argv[2]}.{0 if result else 1}.result").touch()
"""


def test_two_processes_train_what_one_would(tmp_path):
    corpus = write_small_corpus(tmp_path / "corpus", frames=(24, 25))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM % asdict(CONFIG), "utf-8")
    out = tmp_path / "two.safetensors"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(program),
               str(corpus), str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert MotionGenerator.load(out)[1]["steps"] == 4 and (tmp_path / "two.run" / "checkpoint.safetensors").is_file()
    assert {path.name for path in tmp_path.glob("*.result")} == {f"{out.name}.0.result", f"{out.name}.1.result"}
    one, two = (load_file(f"{out}.{rank}") for rank in (0, 1))
    for name in one:
        assert torch.equal(one[name], two[name]), name
    training = Training([MotionCorpus(corpus)], tmp_path / "one.safetensors", CONFIG,
                        Processes(0, 1, torch.device("cpu")), MouthMeasures.of_basis(), SPEC)
    before = {name: value.detach().clone() for name, value in training.model.named_parameters()}
    training.run()
    alone = {name: value.detach() for name, value in training.model.named_parameters()}

    def distance(a: dict, b: dict) -> float:
        return sum(float((a[name] - b[name]).square().sum()) for name in before) ** 0.5

    # Adam's first steps turn rounding of small gradients into steps of full size: 0.016 was seen.
    assert distance(alone, one) < 0.05 * distance(alone, before)
