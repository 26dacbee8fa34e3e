"""A small made-up corpus whose mouth follows its features, for tests of training and evaluation."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from geneface.corpus import SHARDS, ClipInfo, Rendering, TrainingClip, read_shard_header, write_index, write_shard
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis


def write_small_corpus(folder: Path, clips: int = 12, seed: int = 0, frames: tuple[int, int] = (20, 50),
                       per_shard: int = 7) -> Path:
    """Jaw and pucker are smoothed linear functions of two content channels; two renderings; every fourth clip is held
    out.

    Args:
        frames: fewest, and past the most, of a clip.
    """
    random = np.random.default_rng(seed)
    lengths = random.integers(*frames, clips)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    content = random.standard_normal((2 * starts[-1], 512)).astype(np.float32)
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.ones(8) / 8, "same"), 0, content[:, :2])
    drive = smooth.reshape(-1, 2, 2).mean(1)
    content[:, :2] *= 3
    expression = np.zeros((starts[-1], 52), np.float32)
    expression[:, ARKIT_NAMES.index("jawOpen")] = np.clip(0.3 + 0.6 * drive[:, 0], 0, 1)
    expression[:, ARKIT_NAMES.index("mouthPucker")] = np.clip(0.3 + 0.6 * drive[:, 1], 0, 1)
    basis = load_basis()
    whole = []
    for i, length in enumerate(lengths):
        own, heard = expression[starts[i]:starts[i + 1]], content[2 * starts[i]:2 * starts[i + 1]]
        melody = np.zeros((2 * length, 3), np.float32)
        mel = heard[:, :80] / 4
        times = np.arange(length, dtype=np.float32)
        renderings = (Rendering(heard, melody, mel, times),
                      Rendering(heard[6:-4] + 0.1, melody[6:-4], mel[6:-4], times[3:-2]))
        info = ClipInfo(f"clip{i:02d}", "s", "a b", ((0.1, 0.2, "a"), (0.2, 0.5, "b")), None if i else 0.5)
        whole.append(TrainingClip(info, own, np.asarray(basis.landmarks68(own), np.float32), renderings))
    shards = []
    for number, part in enumerate(whole[first:first + per_shard] for first in range(0, clips, per_shard)):
        path = folder / SHARDS / f"{number}.safetensors"
        write_shard(path, part, 2, {"dropped": {}})
        shards.append((path.name, read_shard_header(path)))
    write_index(folder, shards, np.arange(clips) % 4 == 0, 2, {"clips": clips})
    return folder
