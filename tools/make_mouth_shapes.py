"""Mouth shapes of natural speech, for `data_prep.report.coverage`: geneface/data/mouth_shapes.json.

    python tools/make_mouth_shapes.py GRID/s1 GRID/others [--sentences 50]

Each folder holds clips of the GRID corpus (Cooke, Barker, Cunningham, Shao 2006; believed CC BY 4.0). Clips of one
folder are one talker's, but those of a folder named "others" each have a talker of their own. A talker counts by their
frames, but no more than as many of them as eight sentences have.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import geneface  # noqa: F401  before torch

import numpy as np
from scipy.ndimage import gaussian_filter

from data_prep.report.coverage import mouth_shapes
from data_prep.tracking.landmarks import detect_landmarks
from geneface.media import read_frames
from geneface.types import write_atomically

OUT = Path(__file__).resolve().parents[1] / "geneface" / "data" / "mouth_shapes.json"
OPENING, WIDTH = np.arange(0, 0.66, 0.03), np.arange(0.7, 1.31, 0.03)
FPS = 25.0
MOST = 600  # frames that one talker counts by


def talker_shapes(clips: list[Path]) -> np.ndarray:
    """[T,2] mouth shapes of one talker's clips."""
    found = [detect_landmarks(read_frames(clip, FPS), FPS) for clip in clips]
    return mouth_shapes(np.concatenate([part.landmarks[part.valid] for part in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sentences", type=int, default=50, help="of a talker, evenly spread")
    options = parser.parse_args()
    counts = np.zeros((len(OPENING) - 1, len(WIDTH) - 1))
    for folder in options.folders:
        clips = sorted(folder.glob("*.mp4"))
        if not clips:
            parser.error(f"{folder}: no .mp4 clips")
        chosen = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, options.sentences).round().astype(int))]
        talkers = [[clip] for clip in clips] if folder.name == "others" else [chosen]
        for talker in talkers:
            shapes = talker_shapes(talker)
            if not len(shapes):
                continue
            clipped = [np.clip(shapes[:, i], edges[0], edges[-1]) for i, edges in enumerate((OPENING, WIDTH))]
            counts += np.histogram2d(*clipped, bins=(OPENING, WIDTH))[0] * min(1, MOST / len(shapes))
    share = gaussian_filter(counts / counts.sum(), 0.7)  # a cell beside those that were seen is natural too
    content = {"source": "GRID corpus (Cooke, Barker, Cunningham, Shao 2006)", "opening": OPENING.round(3).tolist(),
               "width": WIDTH.round(3).tolist(), "share": share.round(5).tolist()}
    write_atomically(OUT, lambda path: path.write_text(json.dumps(content), "utf-8"))


if __name__ == "__main__":
    main()
