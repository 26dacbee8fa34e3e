"""VRM animation: VRMC_vrm_animation 1.0, for any VRM model.

A glTF file of nodes without meshes: the bones of a person in T-pose, of which the head turns; a node for each
expression, whose translation along x is the weight; and one that turns with the gaze.
https://github.com/vrm-c/vrm-specification/tree/master/specification/VRMC_vrm_animation-1.0

Two animations share the nodes: VRM's presets, which every model has, and ARKit's 52 as custom expressions, which models
for "perfect sync" have. A model that has both would do everything twice in one animation. Players take the first.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import UserError
from ..face.arkit import ARKIT_NAMES, spelled
from ..face.motion import motion_from_weights
from ..face.pose import gaze_of_turn, gaze_turn, head_rotations, poses
from ..types import EXPRESSIONS, MotionSequence
from ..version import version
from . import WriteOptions, format_of
from .glb import Document, damage
from .gltf import NOTE, motion_extras, with_extras
from .gltf_curves import Animation, channels_of, frame_times, sample
from .gltf_rig import bone_of
from .vrm_presets import preset_weights

EXTENSION = "VRMC_vrm_animation"
# Bone -> its parent and its place there [m], of a person in VRM's T-pose: arms along x, facing z. The fifteen bones
# that every VRM model has, and the neck.
SKELETON: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "hips": (None, (0, 0.95, 0)), "spine": ("hips", (0, 0.1, 0)), "neck": ("spine", (0, 0.4, 0)),
    "head": ("neck", (0, 0.1, 0)),
}
for _side, _x in (("left", 1), ("right", -1)):
    SKELETON |= {
        f"{_side}UpperArm": ("spine", (0.15 * _x, 0.35, 0)),
        f"{_side}LowerArm": (f"{_side}UpperArm", (0.28 * _x, 0, 0)),
        f"{_side}Hand": (f"{_side}LowerArm", (0.25 * _x, 0, 0)),
        f"{_side}UpperLeg": ("hips", (0.09 * _x, -0.05, 0)),
        f"{_side}LowerLeg": (f"{_side}UpperLeg", (0, -0.42, 0)),
        f"{_side}Foot": (f"{_side}LowerLeg", (0, -0.42, 0)),
    }


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> dict[str, Any]:
    """Write the presets' animation first, or for the format "vrma-perfect-sync" that of ARKit's 52.

    Returns `expressions`: how many VRM presets and custom expressions there are.
    """
    document = Document({
        "asset": {"version": "2.0", "generator": f"geneface {version()}",
                  "extras": {"source": motion.source, "synthetic": NOTE}},
        "scene": 0, "scenes": [{"nodes": [0]}], "extensionsUsed": [EXTENSION],
    })
    bones = {}
    for name, (parent, place) in SKELETON.items():
        bones[name] = document.append("nodes", {"name": name, "translation": list(place)})
        if parent is not None:
            document.json["nodes"][bones[parent]].setdefault("children", []).append(bones[name])

    def root(name: str) -> int:
        node = document.append("nodes", {"name": name})
        document.json["scenes"][0]["nodes"].append(node)
        return node

    presets = preset_weights(motion.expression, motion.fps)
    custom = dict(zip(ARKIT_NAMES, motion.expression.T))
    nodes = {name: root(name) for name in (*presets, *custom)}
    look = root("lookAt")
    animations = [("presets", presets), ("perfect sync", custom)]
    if format_of(path, options.format).name == "vrma-perfect-sync":
        animations.reverse()
    turns = Rotation.from_matrix(head_rotations(motion)).as_quat()
    for title, weights in animations:
        animation = Animation(document, title, len(motion), motion.fps, motion_extras(motion))
        if motion.head_pose is not None:
            animation.add(bones["head"], "rotation", turns)
        animation.add(look, "rotation", gaze_turn(motion.gaze).as_quat())
        for name, values in weights.items():
            animation.add(nodes[name], "translation", np.stack([values, 0 * values, 0 * values], axis=1))
    document.json["extensions"] = {EXTENSION: {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {name: {"node": node} for name, node in bones.items()}},
        "expressions": {"preset": {name: {"node": nodes[name]} for name in presets},
                        "custom": {name: {"node": nodes[name]} for name in custom}},
        "lookAt": {"node": look},
    }}
    document.save(path)
    return {"expressions": {"preset": len(presets), "custom": len(custom)}}


def read(path: Path) -> MotionSequence:
    """Motion from the custom expressions of ARKit's names, with the head's rotation and the gaze where they are there.

    Raises:
        UserError: none of these expressions is animated, or a file that is damaged.
    """
    document = Document.open(path)
    with damage(path):
        extension = (document.json.get("extensions") or {}).get(EXTENSION)
        if not isinstance(extension, dict):
            raise UserError(f"{path}: no VRM animation (no {EXTENSION}); export it as one")
        custom = (extension.get("expressions") or {}).get("custom") or {}
        nodes = {index: one["node"] for name, one in custom.items() if (index := spelled(name)) is not None}
        places = {node: index for index, node in nodes.items()}
        for animation in document.items("animations"):
            channels = channels_of(animation)
            mine = {node: channel for (node, what), channel in channels.items()
                    if what == "translation" and node in places}
            if not mine:
                continue
            times, fps = frame_times(document, animation, list(mine.values()), path)
            expression = np.zeros((len(times), EXPRESSIONS), np.float32)
            for node, channel in mine.items():
                expression[:, places[node]] = sample(document, animation, channel, times, 3)[:, 0]

            def rotation(place: Any) -> Rotation | None:
                node = place.get("node") if isinstance(place, dict) else None
                channel = channels.get((node, "rotation"))
                if channel is None:
                    return None
                return bone_of(document, node).turn(sample(document, animation, channel, times, 4))

            head = rotation(((extension.get("humanoid") or {}).get("humanBones") or {}).get("head"))
            gaze = rotation(extension.get("lookAt"))
            motion = motion_from_weights(
                expression, fps, f"VRM animation: {path.name}", None if head is None else poses(head.as_matrix()),
                None if gaze is None else gaze_of_turn(gaze),
            )
            return with_extras(motion, animation.get("extras"))
    raise UserError(f"{path}: has no custom expressions of ARKit's names (jawOpen, ...); VRM's presets are too few")
