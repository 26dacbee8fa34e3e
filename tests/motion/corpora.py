"""A small made-up corpus whose mouth follows its features, for tests of training and evaluation."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from geneface.face.arkit import ARKIT_NAMES
from geneface.motion.corpus import FILE_NAME, write_corpus


def write_small_corpus(folder: Path, clips: int = 12, seed: int = 0) -> Path:
    """Jaw and pucker are smoothed linear functions of two content channels; two renderings; every fourth clip is held
    out."""
    random = np.random.default_rng(seed)
    lengths = random.integers(20, 50, clips)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    content = random.standard_normal((2 * starts[-1], 512)).astype(np.float32)
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.ones(8) / 8, "same"), 0, content[:, :2])
    drive = smooth.reshape(-1, 2, 2).mean(1)
    content[:, :2] *= 3
    expression = np.zeros((starts[-1], 52), np.float32)
    expression[:, ARKIT_NAMES.index("jawOpen")] = np.clip(0.3 + 0.6 * drive[:, 0], 0, 1)
    expression[:, ARKIT_NAMES.index("mouthPucker")] = np.clip(0.3 + 0.6 * drive[:, 1], 0, 1)
    melody = np.zeros((2 * starts[-1], 3), np.float32)
    whole = np.stack([np.zeros(clips, int), lengths], 1)
    part = np.stack([np.full(clips, 3), lengths - 2], 1)
    held_out = np.arange(clips) % 4 == 0
    write_corpus(folder / FILE_NAME, [f"clip{i:02d}" for i in range(clips)], starts, held_out, expression,
                 [(content, melody, whole), (content + 0.1, melody, part)], {"clips": clips})
    return folder
