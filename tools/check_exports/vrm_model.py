"""A VRM 1.0 model to play VRM animations on: the bundled head on a skeleton, with presets and perfect sync."""
from __future__ import annotations

from pathlib import Path

from geneface.face.arkit import ARKIT_NAMES, index
from geneface.formats.gltf_head import EYES, HEAD, head_document
from geneface.formats.vrm_presets import FEELINGS, VOWELS
from geneface.formats.vrma import SKELETON
from geneface.motion.emotions import EMOTIONS

PRESETS: dict[str, dict[str, float]] = VOWELS | {
    name: dict(zip(ARKIT_NAMES, EMOTIONS[name].vector().tolist())) for name in FEELINGS
} | {"blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, "blinkLeft": {"eyeBlinkLeft": 1.0},
     "blinkRight": {"eyeBlinkRight": 1.0}}
"""What this model does for each of VRM's presets: ARKit's weights."""


def write_model(path: Path) -> None:
    """Write the model."""
    document = head_document()
    nodes = document.json["nodes"]
    named = {node["name"]: number for number, node in enumerate(nodes)}
    bones = {"head": named[HEAD]} | dict(zip(("leftEye", "rightEye"), (named[name] for name in EYES)))
    for name, (parent, place) in SKELETON.items():
        if name not in bones:
            bones[name] = document.append("nodes", {"name": name})
        nodes[bones[name]]["translation"] = list(place)
    for name, (parent, _) in SKELETON.items():
        if parent is not None:
            nodes[bones[parent]].setdefault("children", []).append(bones[name])
    document.json["scenes"][0]["nodes"] = [bones["hips"]]

    def expression(weights: dict[str, float]) -> dict:
        return {"morphTargetBinds": [{"node": named["Face"], "index": index(name), "weight": weight}
                                     for name, weight in weights.items() if weight]}

    degrees = {"inputMaxValue": 90.0, "outputScale": 90.0}
    ranges = ("rangeMapHorizontalInner", "rangeMapHorizontalOuter", "rangeMapVerticalDown", "rangeMapVerticalUp")
    document.json["extensionsUsed"] = ["VRMC_vrm"]
    document.json["extensions"] = {"VRMC_vrm": {
        "specVersion": "1.0",
        "meta": {
            "name": "Anny", "version": "1", "authors": ["geneface"], "licenseUrl": "https://vrm.dev/licenses/1.0/"
        },
        "humanoid": {"humanBones": {name: {"node": node} for name, node in bones.items()}},
        "expressions": {
            "preset": {name: expression(weights) for name, weights in PRESETS.items()},
            "custom": {name: expression({name: 1.0}) for name in ARKIT_NAMES},
        },
        "lookAt": {"type": "bone", "offsetFromHeadBone": [0, 0.015, 0.08]} | dict.fromkeys(ranges, degrees),
    }}
    document.save(path)
