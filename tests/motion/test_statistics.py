"""What a model keeps of its corpus."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import geneface  # noqa: F401  before torch
from geneface.corpus import Clip
from geneface.face.arkit import ARKIT_NAMES
from geneface.fit.motion.statistics import measure_features
from geneface.motion.baseline import MelRegression
from geneface.motion.measures import MouthMeasures
from geneface.motion.vae import GeneratorSpec, MotionGenerator

JAW = ARKIT_NAMES.index("jawOpen")


def test_the_mouth_rests_closed_though_breath_is_taken():
    """Two thirds of the silence are breaths with an open mouth, speech is wider still."""
    jaw = np.concatenate([np.tile([0.02, 0.3, 0.3], 40), np.linspace(0, 0.8, 120)])
    energy = np.repeat(np.where(np.arange(240) < 120, np.linspace(-2.0, -1.5, 240), 0.0), 2)
    expression = torch.zeros(240, 52)
    expression[:, JAW] = torch.from_numpy(jaw)
    clip = Clip(content=torch.randn(480, 512), melody=torch.zeros(480, 3), mel=torch.randn(480, 80),
                expression=expression)
    clip.melody[:, 1] = torch.from_numpy(energy)
    corpus = SimpleNamespace(train=np.arange(1), renderings=1, clip=lambda index, rendering: clip)
    model = MotionGenerator(GeneratorSpec(("jawOpen",)))
    measure_features([corpus], model, MelRegression(("jawOpen",)), MouthMeasures.of_basis())
    assert model.rest[JAW] == pytest.approx(0.02, abs=1e-3) and model.rest.count_nonzero() == 1
    assert model.weight_mean[0] == pytest.approx(jaw.mean(), abs=1e-3)
    assert model.content_std.min() > 0.5
