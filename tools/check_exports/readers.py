"""Readers that are not ours, by format: READERS[name](file, motion, say), `say(check, ok or None, detail)`."""
from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from geneface.face.arkit import index
from geneface.types import MotionSequence

Say = Callable[..., None]
LIVE_LINK_COLUMNS = 63  # time code, count, 52 shapes, 9 rotations


def needs(package: str):
    """The reader is skipped where `package` is not installed."""
    def wrap(reader):
        def run(file: Path, motion: MotionSequence, say: Say) -> None:
            if importlib.util.find_spec(package) is None:
                say(f"read by {package}", None, "not installed")
            else:
                reader(file, motion, say)
        return run
    return wrap


def livelink(file: Path, motion: MotionSequence, say: Say) -> None:
    with open(file, newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    jaw = np.array([float(row["JawOpen"]) for row in rows])
    say("csv: 63 columns", len(rows[0]) == LIVE_LINK_COLUMNS and rows[0]["BlendShapeCount"] == "61",
        f"{len(rows)} rows, {len(rows[0])} columns")
    off = np.abs(jaw - motion.expression[:, index("jawOpen")]).max()
    say("csv: JawOpen", off < 1e-3, f"off by {off:.1e}")


def cues_json(file: Path, motion: MotionSequence, say: Say) -> None:
    cues = json.loads(file.read_text("utf-8"))["mouthCues"]
    say("json: cues without gaps", all(a["end"] == b["start"] for a, b in zip(cues, cues[1:])), f"{len(cues)} cues")


def cues_xml(file: Path, motion: MotionSequence, say: Say) -> None:
    cues = ElementTree.parse(file).getroot().findall(".//mouthCue")
    say("xml: mouthCue elements", bool(cues) and all(cue.text for cue in cues), f"{len(cues)} cues")


def cues_tsv(file: Path, motion: MotionSequence, say: Say) -> None:
    with open(file, newline="", encoding="utf-8") as text:
        times = [float(row[0]) for row in csv.reader(text, delimiter="\t")]
    say("tsv: rising times", times == sorted(times), f"{len(times)} rows")


@needs("bvh")
def bvh(file: Path, motion: MotionSequence, say: Say) -> None:
    from bvh import Bvh

    tree = Bvh(file.read_text("utf-8"))
    rate = 1 / tree.frame_time
    say("read by bvh", tree.nframes == len(motion) and abs(rate - motion.fps) < 0.01,
        f"{tree.nframes} frames at {rate:.3f}, joints {', '.join(tree.get_joints_names())}")


@needs("pxr")
def usd(file: Path, motion: MotionSequence, say: Say) -> None:
    from pxr import Usd, UsdSkel, UsdValidation

    stage = Usd.Stage.Open(str(file))
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()  # those that usdchecker runs
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    say("USD's validators", not found, "; ".join([f"{len(validators)} of them", *(one.GetMessage() for one in found)]))
    animations = [UsdSkel.Animation(prim) for prim in stage.Traverse() if prim.IsA(UsdSkel.Animation)]
    names = list(animations[0].GetBlendShapesAttr().Get())
    jaw = [animations[0].GetBlendShapeWeightsAttr().Get(frame)[names.index("jawOpen")] for frame in range(len(motion))]
    off = np.abs(np.array(jaw) - motion.expression[:, index("jawOpen")]).max()
    say("usd-core: jawOpen", off < 1e-3 and stage.GetTimeCodesPerSecond() == motion.fps, f"off by {off:.1e}")


@needs("trimesh")
def meshes(file: Path, motion: MotionSequence, say: Say) -> None:
    import trimesh

    found = [trimesh.load(path, process=False, force="mesh") for path in sorted(file.glob(f"*.{file.name}"))]
    heights = [1000 * mesh.extents[1] for mesh in found]
    say("read by trimesh", bool(found) and all(200 < height < 350 for height in heights),
        f"{len(found)} meshes of {len(found[0].vertices)} vertices, {min(heights):.0f} to {max(heights):.0f} mm high")


@needs("srt")
def srt(file: Path, motion: MotionSequence, say: Say) -> None:
    import srt

    captions = list(srt.parse(file.read_text("utf-8"), ignore_errors=False))
    say("read by srt", bool(captions), f"{len(captions)} captions")


@needs("webvtt")
def vtt(file: Path, motion: MotionSequence, say: Say) -> None:
    import webvtt

    captions = list(webvtt.read(str(file)))
    say("read by webvtt", bool(captions), f"{len(captions)} captions")


@needs("pygltflib")
def glb(file: Path, motion: MotionSequence, say: Say) -> None:
    from pygltflib import GLTF2

    content = GLTF2().load(str(file))
    say("read by pygltflib", len(content.meshes[0].extras["targetNames"]) == 52, f"{len(content.nodes)} nodes")


READERS: dict[str, Callable[[Path, MotionSequence, Say], None]] = {
    "livelink": livelink, "bvh": bvh, "usd": usd, "obj": meshes, "ply": meshes, "glb": glb, "gltf": glb,
    "rhubarb-json": cues_json, "visemes": cues_json, "rhubarb-xml": cues_xml, "rhubarb-tsv": cues_tsv,
    "srt": srt, "srt-words": srt, "vtt": vtt, "vtt-words": vtt,
}
