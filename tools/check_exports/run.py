"""Export a motion in every format, and read, validate and play the files with programs that are not ours.

    python tools/check_exports/run.py M.npz [--audio talk.wav] -o DIR

Khronos' validator reads glTF and VRM animation; three.js plays them in headless Chromium, the VRM animation with
@pixiv/three-vrm on a VRM model of the bundled head. What the browser measures is compared with the motion, and pictures
are taken where the jaw is most open (with --audio: in the loudest quarter) and where the mouth is most shut (in the
quietest). USD's validators, trimesh, bvh, srt and webvtt read the rest. DIR holds the exports, the pictures and
report.json; the exit status is 1 unless everything is right.

Needs node, npm, Chromium and the Python packages usd-core, trimesh, bvh, pygltflib, srt and webvtt-py; a check whose
package is missing is said to be skipped.
"""
from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import geneface  # noqa: F401  before torch: its threads must sleep
import numpy as np
from scipy.spatial.transform import Rotation
from readers import READERS
from vrm_model import PRESETS, write_model

from geneface import pipeline
from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, index
from geneface.face.pose import gaze_turn, head_rotations
from geneface.formats import FORMATS, read_motion
from geneface.formats.headmesh import load_head
from geneface.formats.vrm_presets import preset_weights
from geneface.motion.edits.timing import cut
from geneface.types import MotionSequence

HERE = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ENDINGS = {"rhubarb-json": ".json", "visemes": ".json", "srt-words": ".srt", "vtt-words": ".vtt", "obj": "", "ply": ""}
MESH_FRAMES = 10  # as many frames are written as meshes
FRONT_M = 0.075  # vertices further to the front than this are measured, as in page.html


class Report:
    """What was checked: lines for people, and entries for report.json."""

    def __init__(self) -> None:
        self.entries: list[dict] = []

    def add(self, file: str, check: str, ok: bool | None, detail: str = "") -> None:
        """`ok` None: skipped."""
        ok = None if ok is None else bool(ok)
        self.entries.append({"file": file, "check": check, "ok": ok, "detail": detail})
        print(f"{'skipped' if ok is None else 'ok' if ok else 'WRONG':8}{file:24}{check:28}{detail}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("motion", type=Path, help="motion file of any format that can be read")
    parser.add_argument("--audio", type=Path, help="its sound: the pictures are taken at a loud and at a quiet place")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--chromium", help="the browser's program")
    args = parser.parse_args()
    browser = args.chromium or next(filter(None, map(shutil.which, BROWSERS)), None)
    for tool, found in (("node", shutil.which("node")), ("npm", shutil.which("npm")), ("Chromium", browser)):
        if not found:
            raise UserError(f"{tool} is not installed; this tool plays exports with it")
    motion = read_motion(args.motion)
    args.output.mkdir(parents=True, exist_ok=True)
    report = Report()
    files = export_all(motion, args.output, report)
    modules = install()
    validate([file for file in files.values() if file.suffix in (".glb", ".gltf", ".vrma", ".vrm")], modules, report)
    play(motion, files, loud_and_quiet(motion, args.audio), args.output, modules, browser, report)
    for name, file in files.items():
        if name in READERS:
            READERS[name](file, motion, lambda check, ok, detail="": report.add(file.name, check, ok, detail))
    (args.output / "report.json").write_text(json.dumps(report.entries, indent=1), "utf-8")
    wrong = [entry for entry in report.entries if entry["ok"] is False]
    print(f"{len(report.entries)} checks, {len(wrong)} wrong; {args.output / 'report.json'}")
    return 1 if wrong else 0


def export_all(motion: MotionSequence, folder: Path, report: Report) -> dict[str, Path]:
    """Every format's file, and a VRM model; by the format's name."""
    files = {}
    for format in (format for format in FORMATS if format.writes):
        ending = ENDINGS.get(format.name, format.endings[0] if format.endings else "")
        out = folder / f"{format.name}{ending}"
        what = motion if ending else cut(motion, 0, min(MESH_FRAMES, len(motion)) / motion.fps)
        try:
            result = pipeline.export(what, out, format.name)
        except UserError as error:
            report.add(out.name, "export", None, str(error))
            continue
        files[format.name] = out
        size = sum(file.stat().st_size for file in ([out] if ending else out.iterdir()))
        report.add(out.name, "export", True, f"{result['frames']} frames, {size / 1e6:.2f} MB")
    files["vrm"] = folder / "model.vrm"
    write_model(files["vrm"])
    files["own head"] = folder / "own_head.glb"
    result = pipeline.export(motion, files["own head"], head=files["vrm"])
    report.add("own_head.glb", "export --head model.vrm", result["morph_targets"] == 52, f"{result['frames']} frames")
    return files


def install() -> Path:
    """The folder of node's modules that package-lock.json names."""
    modules = HERE / "node_modules"
    if not (modules / ".package-lock.json").is_file():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=True,
                       stdout=sys.stderr)
    return modules


def validate(files: list[Path], modules: Path, report: Report) -> None:
    """Khronos' validator: no errors, no warnings."""
    out = subprocess.run(["node", HERE / "validate.mjs", modules, *files], check=True, capture_output=True, text=True)
    for file, issues in json.loads(out.stdout).items():
        detail = [f"{issues['errors']} errors, {issues['warnings']} warnings", *issues["messages"]]
        report.add(Path(file).name, "Khronos validator", not issues["messages"], ", ".join(detail)[:300])


def loud_and_quiet(motion: MotionSequence, audio: Path | None) -> tuple[int, int]:
    """Frames with the jaw most open in a loud place, and with the lips nearest in a quiet one."""
    opening = motion.expression[:, index("jawOpen")] - motion.expression[:, index("mouthClose")]
    loud = quiet = np.ones(len(motion), bool)
    if audio is not None:
        from geneface.media.sound import read_audio

        samples = read_audio(audio)  # 16 kHz
        bounds = (np.arange(len(motion) + 1) / motion.fps * 16000).astype(int)
        energy = np.array([np.square(samples[a:b]).mean() if b > a else 0 for a, b in zip(bounds, bounds[1:])])
        loud, quiet = energy >= np.quantile(energy, 0.75), energy <= np.quantile(energy, 0.25)
    return int(np.where(loud, opening, -np.inf).argmax()), int(np.where(quiet, opening, np.inf).argmin())


def play(motion: MotionSequence, files: dict[str, Path], frames: tuple[int, int], folder: Path, modules: Path,
         browser: str, report: Report) -> None:
    """three.js and three-vrm: weights, rotations and the chin as the motion has them, and pictures."""
    presets = preset_weights(motion.expression, motion.fps)
    of_presets = np.zeros_like(motion.expression)
    for name, weights in presets.items():
        for action, weight in PRESETS[name].items():
            of_presets[:, index(action)] += weight * weights
    plays = {  # what is played on what, which of its animations, and the weights that should come of it
        "glb": ("glb", None, 0, motion.expression), "gltf": ("gltf", None, 0, motion.expression),
        "own head": ("own head", None, 0, motion.expression),
        "vrma presets": ("vrm", "vrma", 0, of_presets), "vrma perfect sync": ("vrm", "vrma", 1, motion.expression),
    }
    names = ("loud", "quiet")
    job = {
        "chromium": browser, "page": str(HERE / "page.html"), "modules": str(modules),
        "files": {name.replace(" ", "_"): str(file) for name, file in files.items()},
        "plays": [
            {"name": name, "model": model.replace(" ", "_"), "motion": animation, "which": which, "shots": [
                {"name": f"{shot} {yaw}", "seconds": frame / motion.fps, "yaw": yaw, "zoom": 1,
                 "picture": str(folder / f"{name.replace(' ', '_')}_{shot}_{yaw}.png")}
                for shot, frame in zip(names, frames) for yaw in (0, 30)
            ]} for name, (model, animation, which, _) in plays.items()
        ],
    }
    done = subprocess.run(
        ["node", HERE / "play.mjs"], input=json.dumps(job), check=True, stdout=subprocess.PIPE, text=True
    )
    head = Rotation.from_matrix(head_rotations(motion))
    eyes = head * gaze_turn(motion.gaze)
    for name, result in json.loads(done.stdout).items():
        expected = plays[name][3]
        said = result["errors"] + result["warnings"]
        report.add(name, "loads in three.js", not said, f"{result['tracks']} tracks, {result['seconds']:.2f} s "
                   + "; ".join(said)[:300])
        for shot, frame in zip(names, frames):
            seen = result["shots"][f"{shot} 0"]
            weights = np.array([seen["weights"][action] for action in ARKIT_NAMES])
            off = float(np.abs(weights - expected[frame]).max())
            report.add(name, f"{shot}: weights", off < 1e-3, f"off by {off:.1e}")
            turned = {"Head": head[frame], "LeftEye": eyes[frame], "RightEye": eyes[frame]}
            off = max(degrees(seen["rotations"][node], turn) for node, turn in turned.items())
            report.add(name, f"{shot}: head and eyes", off < 0.1, f"off by {off:.1e} degrees")
            lowest = lowest_point(expected[frame])
            report.add(name, f"{shot}: chin", abs(seen["lowest"] - lowest) < 2e-4,
                       f"{1000 * seen['lowest']:.2f} mm, from the basis {1000 * lowest:.2f} mm")
        pictures = [folder / f"{name.replace(' ', '_')}_{shot}_0.png" for shot in names]
        share = changed(*pictures)
        report.add(name, "picture: the mouth is open", share > 0.01, f"{100 * share:.1f} % of pixels; {pictures[0]}")


def lowest_point(weights: np.ndarray) -> float:
    """How low the front of the face reaches [m], from the basis."""
    head = load_head()
    moving = np.ones(len(head.vertices), bool)
    moving[np.concatenate(head.eyes)] = False
    shape = head.shapes(weights)[moving]
    return float(shape[shape[:, 2] > FRONT_M, 1].min())


def degrees(quaternion: list[float], expected: Rotation) -> float:
    """Angle between two rotations."""
    return float(np.degrees((Rotation.from_quat(quaternion).inv() * expected).magnitude()))


def changed(first: Path, second: Path) -> float:
    """Share of pixels in the middle third, below the eyes, that differ by more than 30 of 255."""
    from PIL import Image

    a, b = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (first, second))
    height, width = a.shape[:2]
    part = np.s_[height // 2:, width // 3:2 * width // 3]
    return float((np.abs(a - b)[part].max(-1) > 30).mean())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
