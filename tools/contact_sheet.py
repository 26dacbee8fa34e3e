"""What a finished demo can show, on one picture.

    python tools/contact_sheet.py [DEMO_DIR] [-o docs/demo.png]

From above: held-out frames of the synthetic person, from closed to open mouth; the avatar in their motion, both mouths
close up; the camera to the sides, above and below; depth, normals, the person alone and before another background.
Frames are chosen by the truth, not by how well the avatar does. Pictures in a repository are of nobody who exists: a
person that the demo did not draw is refused.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

import geneface  # noqa: F401  before torch: its threads must sleep
import numpy as np
from PIL import Image

from geneface.demo import CONSENT
from geneface.errors import UserError
from geneface.face.detector import FaceDetector
from geneface.face.landmarks import mouth_opening
from geneface.face.motion import tracked_motion
from geneface.frame.backdrop import BeforeBackdrop, backdrop
from geneface.frame.maps import DepthMaps, NormalMaps
from geneface.frame.person import PersonAlone
from geneface.metrics.face import mouth_box
from geneface.metrics.film import grid
from geneface.metrics.image import resize
from geneface.metrics.original import SCALE, original_frames
from geneface.nerf.render import AvatarRenderer
from geneface.nerf.views import View
from geneface.types import Avatar, PreparedPerson

COLUMNS, SIDE = 4, 256  # pictures in a row, and width of each [px]
VIEWS = {"camera 20° to the right": View(yaw=20), "20° to the left": View(yaw=-20),
         "10° above": View(pitch=10), "10° below": View(pitch=-10)}
BACKGROUND = "#c9d6c3"
CHECKS = 16  # side of the squares that stand for nothing [px]


def contact_sheet(avatar: Avatar, person: PreparedPerson) -> np.ndarray:
    """[H,W,3] uint8: see above."""
    if (person.manifest.get("consent") or {}).get("text") != CONSENT:
        raise UserError(f"{person.path}: is not the demo's synthetic person; give the folder of a finished `make demo`")
    motion = tracked_motion(person.face, person.camera, None, "tracked")
    held_out = np.array(person.held_out_frames)
    opening = mouth_opening(motion.landmarks[held_out])
    wanted = np.linspace(opening.min(), opening.max(), COLUMNS)
    frames = held_out[np.abs(opening - wanted[:, None]).argmin(1)]

    renderer = AvatarRenderer(avatar, size=SCALE)
    truth = [next(original_frames(person, range(frame, frame + 1))[1]) for frame in frames.tolist()]
    drive = [(motion.driving[frame], person.camera.head_to_camera[frame]) for frame in frames]
    shown = [renderer.frame(*pose) for pose in drive]
    with FaceDetector() as detector:
        mouths = [_mouths(detector, *pair) for pair in zip(truth, shown, strict=True)]
    of = drive[COLUMNS // 2]  # the frame that the other pictures are of
    before = BeforeBackdrop(renderer, backdrop(BACKGROUND, *renderer.size, person.fps))
    maps = {"depth": _depth(DepthMaps(renderer).frame(*of)), "normals": NormalMaps(renderer).frame(*of),
            "alpha": _over_checks(PersonAlone(renderer).frame(*of)), "another background": before.frame(*of)}
    pictures = [
        [(f"truth, frame {frame}", picture) for frame, picture in zip(frames, truth)],
        [("its avatar", picture) for picture in shown],
        [(name, renderer.frame(*of, view)) for name, view in VIEWS.items()],
        list(maps.items()),
    ]
    rows = [grid([row], COLUMNS * SIDE) for row in pictures]
    rows.insert(2, grid([[("truth | avatar", pair) for pair in mouths]], COLUMNS * SIDE))
    return np.concatenate(rows)


def _mouths(detector: FaceDetector, truth: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """[SIDE/2,SIDE,3] uint8 the mouth of both, side by side."""
    face = detector.detect(truth)
    if face is None:
        raise UserError("no face was found in a frame of the synthetic person; draw it again")
    box = mouth_box(face.landmarks[:, :2], truth.shape[1], truth.shape[0])
    return np.concatenate([resize(np.ascontiguousarray(picture[box]), (SIDE // 2, SIDE // 2))
                           for picture in (truth, shown)], axis=1)


def _depth(millimetres: np.ndarray) -> np.ndarray:
    """[H,W,3] uint8 of a depth map [H,W] uint16: near is bright, nothing black."""
    head = millimetres > 0
    near, far = np.quantile(millimetres[head], [0.0, 0.99]) if head.any() else (0, 1)
    grey = np.where(head, 255 - 215 * np.clip((millimetres - near) / max(far - near, 1), 0, 1), 0).round()
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _over_checks(rgba: np.ndarray) -> np.ndarray:
    """[H,W,3] uint8 of [H,W,4] before the squares that stand for nothing."""
    rows, columns = np.indices(rgba.shape[:2]) // CHECKS
    squares = np.where((rows + columns) % 2, 205, 240)[..., None]
    alpha = rgba[..., 3:] / 255
    return (alpha * rgba[..., :3] + (1 - alpha) * squares).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", nargs="?", type=Path, default=Path("demo"), metavar="DEMO_DIR")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/demo.png"))
    parser.add_argument("--avatar", type=Path, help="another avatar of the demo's person than the demo's own")
    options = parser.parse_args()
    try:
        avatar = Avatar.load(options.avatar or options.demo / "person.avatar")
        sheet = contact_sheet(avatar, PreparedPerson.open(options.demo / "person"))
    except UserError as error:
        print(f"contact_sheet: {error}", file=sys.stderr)
        sys.exit(2)
    Image.fromarray(sheet).save(options.output, optimize=True)
    print(f"{options.output}: {sheet.shape[1]} x {sheet.shape[0]} px, {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
