"""How good tracking is: on the synthetic person against the truth, and on real clips against their landmarks.

    python tools/track_study.py synthetic FOLDER            draws the clips there (an hour on one core), then measures
    python tools/track_study.py real CLIP.mp4 ... -o FOLDER

Both print a table and write FOLDER/study.json; pictures and landmarks that are there already are used again.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import geneface  # noqa: F401  (before torch)
from data_prep.synthetic import make_synthetic
from data_prep.synthetic.compare import compare
from data_prep.synthetic.truth import SyntheticTruth
from data_prep.tracking.fit import fit_track, predicted_landmarks
from data_prep.tracking.landmarks import Detections, detect_landmarks
from data_prep.tracking.quality import blink_depth, closed_lips_gap
from geneface import media

FPS = 25.0
# name: identity, focal length over picture side, movement (2.35: yaw to 35, pitch to 19 degrees), seed, seconds
CLIPS = {
    "default, 2.0": (None, 2.0, 2.35, 0, 6), "identity 1, 1.2": (1, 1.2, 2.35, 1, 6),
    "identity 2, 3.5": (2, 3.5, 2.35, 2, 6), "identity 3, 2.0": (3, 2.0, 2.35, 3, 6),
    "identity 4, 1.2": (4, 1.2, 2.35, 4, 6), "identity 5, 3.5": (5, 3.5, 2.35, 5, 6),
    "still, default": (None, 2.0, 0.0, 7, 3), "still, identity 6": (6, 2.7, 0.0, 6, 3),
}
NOISES = (0.0, 8.0)  # standard deviation of picture noise, of 255


def detections(frames: Iterable[np.ndarray], file: Path) -> Detections:
    """Landmarks of the frames, kept in `file`."""
    if not file.is_file():
        found = detect_landmarks(frames, FPS)
        np.savez(file, **{field.name: getattr(found, field.name) for field in fields(found)})
    with np.load(file, allow_pickle=False) as stored:
        return Detections(**{name: stored[name] for name in stored.files})


def noisy(frames: Iterable[np.ndarray], deviation: float) -> Iterable[np.ndarray]:
    rng = np.random.default_rng(0)
    for frame in frames:
        yield frame if not deviation else np.clip(frame + rng.normal(0, deviation, frame.shape), 0, 255).astype(np.uint8)


def synthetic(folder: Path, names: list[str]) -> dict[str, dict[str, float]]:
    """Figures of every clip, without and with noise in the pictures."""
    rows = {}
    for name in names:
        identity, focal, motion, seed, seconds = CLIPS[name]
        clip = make_synthetic(folder / name.replace(", ", "_").replace(" ", "_"), seconds, 512, seed,
                              identity_seed=identity, focal=focal, motion=motion)
        truth = SyntheticTruth.load(clip.truth)
        for noise in NOISES:
            file = clip.folder / f"landmarks_{noise:.0f}.npz"
            found = detections(noisy(media.read_frames(clip.video, FPS), noise), file)
            camera, face, quality = fit_track(found, truth.width, truth.height, FPS)
            row = name + (", noise" if noise else "")
            rows[row] = {**compare(truth, camera, face), **quality.summary()}
    return rows


def real(folder: Path, videos: list[Path]) -> dict[str, dict[str, float]]:
    """Figures of every clip; pixels are those of a picture of 512."""
    rows = {}
    for video in videos:
        info = media.probe(video)
        scale = 512 / max(info.width, info.height)
        found = detections(media.read_frames(video, FPS), folder / f"{video.stem}.npz")
        start = time.perf_counter(), time.process_time()
        camera, face, quality = fit_track(found, info.width, info.height, FPS)
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        raw, fitted = face.landmarks, predicted_landmarks(camera, face, quality.person)
        rows[video.stem] = {
            **quality.summary(), "frames": len(face), "closed_lips_gap_px": closed_lips_gap(raw, fitted, scale),
            "blink_depth": blink_depth(raw, fitted), "ms_per_frame": 1e3 * spent[0] / len(face),
            "cpu_ms_per_frame": 1e3 * spent[1] / len(face),
        }
        for name in ("reprojection_px", "reprojection_p95_px"):
            rows[video.stem][name] *= scale
    return rows


def show(rows: dict[str, dict[str, float]]) -> None:
    measures = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max(len(name) for name in measures)
    print(" " * width, *(f"{name:>12.12}" for name in rows))
    for measure in measures:
        print(f"{measure:>{width}}", *(f"{row.get(measure, np.nan):12.3f}" for row in rows.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    drawn = what.add_parser("synthetic")
    drawn.add_argument("folder", type=Path)
    drawn.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS), metavar="NAME")
    filmed = what.add_parser("real")
    filmed.add_argument("videos", type=Path, nargs="+")
    filmed.add_argument("-o", dest="folder", type=Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    result = synthetic(given.folder, given.clips) if given.what == "synthetic" else real(given.folder, given.videos)
    show(result)
    (given.folder / "study.json").write_text(json.dumps(result, indent=1), "utf-8")
