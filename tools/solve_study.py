"""How well weights are solved from landmarks, on prepared people: against what the tracker found in the same clips.

    python tools/solve_study.py PERSON_DIR ...

For all 478 of MediaPipe's points and for the 68, with the tracker's camera and identity and (last) without: frames per
second of processor time, the reprojected residual in per cent of the distance of the outer eye corners, the correlation
with the tracker's weights (which also heard MediaPipe's scores), and jitter (root mean square second difference).
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from geneface.face import landmarks as lm
from geneface.face.alignment import image_camera
from geneface.face.arkit import indices
from geneface.face.solve import Solved, solve_image
from geneface.types import PreparedPerson

WATCHED = {"jaw": indices("jawOpen"), "smile": indices("mouthSmile*"), "blink": indices("eyeBlink*")}


def jitter(weights: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.diff(weights, 2, axis=0) ** 2)))


def row(name: str, seconds: float, solved: Solved, tracked: np.ndarray) -> str:
    residual = 100 * solved.residual
    likeness = " ".join(
        f"{np.corrcoef(solved.expression[:, columns].mean(1), tracked[:, columns].mean(1))[0, 1]:.3f}"
        for columns in WATCHED.values())
    return (f"{name:<26} {len(residual) / seconds:5.0f}   {np.median(residual):.2f} {residual.mean():.2f} "
            f"{np.quantile(residual, 0.95):.2f}   {likeness}   {jitter(solved.expression):.4f} {jitter(tracked):.4f}")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(f"{'clip':<26} fps     residual % (median, mean, p95)   {', '.join(WATCHED)}   jitter, the tracker's")
    for folder in sys.argv[1:]:
        person = PreparedPerson.open(folder)
        face, camera = person.face, person.camera
        for points in (478, 68, 0):
            landmarks = face.landmarks[:, lm.MEDIAPIPE_TO_68] if points == 68 else face.landmarks
            began = time.process_time()
            if points:
                solved = solve_image(landmarks, camera, face.identity)
            else:
                solved = solve_image(landmarks, image_camera(landmarks, camera.width, camera.height, face.fps))
            seconds = time.process_time() - began
            name = f"{Path(folder).name} {points or '478, no camera'}"
            print(row(name, seconds, solved, face.expression), flush=True)


if __name__ == "__main__":
    main()
