"""What a model keeps of its corpora: means, deviations, the mouth at rest and how wide it opens."""
from __future__ import annotations

import numpy as np
import torch

from ...corpus import Clip, MotionCorpus
from ...face.arkit import ARKIT_NAMES
from ...face.landmarks import mouth_opening
from ...motion.baseline import MelRegression
from ...motion.comparison import predict_weights
from ...motion.measures import MouthMeasures
from ...motion.vae import MotionGenerator
from ...speech.melody import QUIET

_CLIPS = 400  # at most, per corpus


def _subset(corpus: MotionCorpus, most: int) -> np.ndarray:
    """Training clips of a corpus, evenly spread."""
    return corpus.train[:: max(1, len(corpus.train) // most)]


def measure_features(corpora: list[MotionCorpus], model: MotionGenerator, baseline: MelRegression,
                     measures: MouthMeasures) -> None:
    """Fill in the statistics of features and motion.

    Motion's are of the first corpus: what its talker's weights do is what all corpora shall look like to the model.
    """
    driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
    per_corpus = [[corpus.clip(int(i), int(n % corpus.renderings)) for n, i in enumerate(_subset(corpus, _CLIPS))]
                  for corpus in corpora]
    for channel, module in (("content", model), ("mel", baseline)):
        values = torch.cat([getattr(clip, channel) for clips in per_corpus for clip in clips])
        # Outlier channels of the residual stream are orders of magnitude above the rest: bounded by their own
        # deviation.
        getattr(module, f"{channel}_mean").copy_(values.mean(0))
        getattr(module, f"{channel}_std").copy_(values.std(0).clamp(min=1e-3))
    clips = per_corpus[0]
    weights = torch.cat([clip.expression for clip in clips])
    model.weight_mean.copy_(weights[:, driven].mean(0))
    model.weight_std.copy_(weights[:, driven].std(0).clamp(min=1e-3))
    baseline.weight_mean.copy_(model.weight_mean)
    baseline.weight_std.copy_(model.weight_std)
    # The mouth at rest: of the frames heard as quiet, the third most closed; in others the talker takes breath.
    energy = torch.cat([_energy(clip) for clip in clips])
    quiet = weights[energy < min(QUIET, float(energy.quantile(0.3)))]
    if len(quiet):
        opening = torch.from_numpy(mouth_opening(measures.landmarks(quiet.numpy())))
        rest = quiet[opening <= opening.quantile(1 / 3)].median(0).values
        rest[[i for i in range(len(rest)) if i not in driven]] = 0
        model.rest.copy_(rest)


def measure_range(corpus: MotionCorpus, model: MotionGenerator, measures: MouthMeasures) -> None:
    """How wide the trained model opens the mouth in speech, from 100 training clips: what a person's own range is
    compared with (the mean of likely motions moves a little less than any of them)."""
    openings = []
    for index in _subset(corpus, 100):
        speaking = (_energy(corpus.clip(int(index))) >= QUIET).numpy()
        openings.append(mouth_opening(measures.landmarks(predict_weights(model, corpus, int(index))))[speaking])
    if len(opening := np.concatenate(openings)):
        model.opening_range.fill_(float(np.ptp(np.quantile(opening, [0.05, 0.95]))))


def _energy(clip: Clip) -> torch.Tensor:
    """[T] relative energy at the motion's rate."""
    return clip.melody[:, 1].reshape(-1, 2).mean(1)
