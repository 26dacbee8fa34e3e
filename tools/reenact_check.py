"""How well a driving video comes through an avatar: render it, track the result, and compare with the driver.

    python tools/reenact_check.py X.avatar DRIVER.mp4 -o FOLDER [--size 512] [--transfer both]

Prints, and writes to FOLDER/table.json, for each curve the correlation of the tracked result with the tracked driver
and with what the avatar was asked to do, and how large each is; FOLDER/side_by_side.mp4 shows the driver beside the
avatar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import geneface
from data_prep.driving import track_video
from geneface import media
from geneface.config import RenderConfig
from geneface.face.arkit import indices
from geneface.motion.retarget import BOTH, TRANSFERS, retarget
from geneface.types import Avatar, MotionSequence

SHAPES = {
    "jaw": ("jawOpen",), "smile": ("mouthSmile*",), "pucker": ("mouthPucker",),
    "brows up": ("browInnerUp", "browOuterUp*"), "brows down": ("browDown*",),
}
LIPS_INNER = ((61, 67), (62, 66), (63, 65))


def curves(motion: MotionSequence) -> dict[str, np.ndarray]:
    """What is compared, each [T]; angles in degrees, distances in mm."""
    from scipy.spatial.transform import Rotation

    out = {name: motion.expression[:, indices(*shapes)].mean(1) for name, shapes in SHAPES.items()}
    out["blink"] = motion.blink
    points = 1000 * motion.landmarks
    out["mouth opening"] = np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in LIPS_INNER], 0)
    out["mouth width"] = np.linalg.norm(points[:, 54] - points[:, 48], axis=1)
    out["gaze yaw"], out["gaze pitch"] = np.degrees(motion.gaze.T)
    if motion.head_pose is not None:
        turned = Rotation.from_matrix(motion.head_pose[:, :3, :3])
        turns = np.degrees((turned.mean().inv() * turned).as_rotvec())
        out |= {f"head {name}": turns[:, axis] for axis, name in enumerate(("pitch", "yaw", "roll"))}
    return out


def compare(driver: MotionSequence, asked: MotionSequence, shown: MotionSequence) -> dict[str, dict[str, float]]:
    """Of each curve: correlation of what is shown with driver and with what was asked, and the 2-98 % range of all."""
    length = min(map(len, (driver, asked, shown)))
    rows = {}
    all_curves = [curves(motion) for motion in (driver, asked, shown)]
    for name in all_curves[0]:
        if not all(name in each for each in all_curves):
            continue
        values = [each[name][:length] for each in all_curves]
        moves = [float(np.ptp(np.quantile(value, [0.02, 0.98]))) for value in values]
        rows[name] = {"driver": correlation(values[0], values[2]), "asked": correlation(values[1], values[2]),
                      **dict(zip(("driver_range", "asked_range", "shown_range"), moves))}
    return rows


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """0 where one of both does not move."""
    return float(np.corrcoef(x, y)[0, 1]) if min(x.std(), y.std()) > 0 else 0.0


def film(driver: Path, start: float, result: Path, out: Path) -> None:
    """The driver and the avatar beside each other, with the avatar's sound."""
    import cv2

    info = media.probe(result)
    sound = result if info.has_audio else None
    first = round(start * info.fps)
    with media.VideoWriter(out, 2 * info.height, info.height, info.fps, sound, quality=20) as writer:
        for left, right in zip(media.read_frames(driver, info.fps, first), media.read_frames(result, info.fps)):
            scale = info.height / max(left.shape[:2])
            left = cv2.resize(left, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            page = np.zeros((info.height, 2 * info.height, 3), np.uint8)
            for picture, middle in ((left, info.height // 2), (right[:, :info.height], 3 * info.height // 2)):
                top, column = (info.height - len(picture)) // 2, middle - picture.shape[1] // 2
                page[top:top + len(picture), column:column + picture.shape[1]] = picture
            writer.write(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("driver", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=0, help="side of the portrait [px]; 0 for the avatar's own")
    parser.add_argument("--transfer", choices=TRANSFERS, default=BOTH)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    avatar = Avatar.load(options.avatar)
    driver = track_video(options.driver)
    asked = retarget(driver.motion, avatar, options.transfer)
    result = options.output / "result.mp4"
    geneface.render(avatar, asked, result, RenderConfig(size=options.size, fps=asked.fps), driver.sound)
    shown = track_video(result)
    first = round(shown.start * asked.fps)
    rows = compare(*(part(motion, first) for motion in (driver.motion, asked)), shown.motion)
    print(f"{'curve':<14} {'with driver':>11} {'with asked':>11}   2-98 % range: driver, asked, shown")
    for name, row in rows.items():
        print(f"{name:<14} {row['driver']:>11.3f} {row['asked']:>11.3f}   "
              + " ".join(f"{row[key]:8.2f}" for key in ("driver_range", "asked_range", "shown_range")))
    (options.output / "table.json").write_text(json.dumps(rows, indent=1))
    film(options.driver, driver.start, result, options.output / "side_by_side.mp4")


def part(motion: MotionSequence, first: int) -> MotionSequence:
    """From frame `first` on."""
    from dataclasses import replace

    kept = {name: getattr(motion, name)[first:] for name in ("landmarks", "expression", "blink", "gaze")}
    return replace(motion, **kept, head_pose=None if motion.head_pose is None else motion.head_pose[first:])


if __name__ == "__main__":
    main()
