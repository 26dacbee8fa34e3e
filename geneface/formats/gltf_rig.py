"""What of a glTF head moves: morph targets with ARKit's names, and the bones of neck, head and eyes."""
from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..face.arkit import ARKIT_NAMES, GAZE, plain, spelled
from .glb import Damaged, Document
from .joints import HEAD, LEFT_EYE, NECK, RIGHT_EYE, role

MAX_TARGETS = 4096  # of a mesh
MAX_NAMES = 2**16  # of targets of all nodes
MAX_DEPTH = 1000  # of nodes in nodes
_MOVES = 1e-5  # less than this a target does not move a vertex [units of the file]


@dataclass(frozen=True)
class Morphs:
    """The morph targets of a node's mesh.

    Attributes:
        node: that has the mesh.
        rest: [n] weights of all its targets at rest.
        places: ARKit index -> which target.
    """

    node: int
    rest: np.ndarray
    places: dict[int, int]


@dataclass(frozen=True)
class Bone:
    """A node that is turned. At rest it has the rotation `rest` in its parent, which has `parent` in the scene."""

    node: int
    rest: Rotation
    parent: Rotation

    def local(self, turn: Rotation) -> np.ndarray:
        """[T,4] rotations of the node, as glTF has them, that turn it from its rest by `turn` in the scene's axes."""
        return (self.parent.inv() * turn * self.parent * self.rest).as_quat()

    def turn(self, local: np.ndarray) -> Rotation:
        """The inverse of `local`."""
        return self.parent * Rotation.from_quat(local) * self.rest.inv() * self.parent.inv()


@dataclass(frozen=True)
class Rig:
    """Attributes:
        morphs: nodes with targets of ARKit's names, those with most first.
        trunk: bones of neck and head, or of the head alone; each takes its share of the head's rotation.
        eyes: bones of the left and right eye that no target moves too.
        names: all targets' names.
    """

    morphs: list[Morphs]
    trunk: list[Bone]
    eyes: list[Bone]
    names: list[str]

    @property
    def missing(self) -> list[str]:
        """ARKit's names that no target has."""
        found = {place for morphs in self.morphs for place in morphs.places}
        return [name for index, name in enumerate(ARKIT_NAMES) if index not in found]

    def nearest(self) -> tuple[str, str]:
        """Of the targets' names the one nearest to one of ARKit's, and that."""
        pairs = ((difflib.SequenceMatcher(None, plain(_bare(mine)), name.lower()).ratio(), mine, name)
                 for mine in self.names[:500] for name in ARKIT_NAMES)
        return max(pairs)[1:]


def rig_of(document: Document) -> Rig:
    """Raises Damaged: nodes or meshes that do not fit each other."""
    nodes = document.items("nodes")
    parents = _parents(document)
    joints = {joint for skin in document.items("skins") for joint in skin["joints"]}
    morphs, names = [], []
    for index, node in enumerate(nodes):
        if "mesh" in node:
            targets = target_names(document, node["mesh"])
            names += targets
            if len(names) > MAX_NAMES:
                raise Damaged(f"its nodes have more than {MAX_NAMES} morph targets")
            places = {}
            for place, name in enumerate(targets):
                if name and (expression := arkit_index(name)) is not None:
                    places.setdefault(expression, place)
            if places:
                rest = node.get("weights") or document.item("meshes", node["mesh"]).get("weights")
                rest = np.asarray(rest or [0.0] * len(targets), np.float64)
                if rest.shape != (len(targets),) or not np.isfinite(rest).all():
                    raise Damaged(f"node {index} has weights that do not fit its {len(targets)} morph targets")
                morphs.append(Morphs(index, rest, places))
    found: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        if "skin" not in node and (part := role(str(node.get("name", "")))):
            found.setdefault(part, []).append(index)
    bones = {part: bone_of(document, max(places, key=lambda i: (i in joints, "mesh" not in nodes[i])))
             for part, places in found.items()}
    return Rig(
        morphs=sorted(morphs, key=lambda one: -len(one.places)),
        trunk=[bones[part] for part in (NECK, HEAD) if part in bones and HEAD in bones],
        eyes=[bones[part] for part in (LEFT_EYE, RIGHT_EYE)
              if part in bones and not _moved_by_targets(document, morphs, parents, bones[part].node)],
        names=names,
    )


def bone_of(document: Document, node: int) -> Bone:
    """A node as a bone. Raises Damaged: there is none, or its ancestors are no tree."""
    return Bone(node, _rotation(document.item("nodes", node)), _world(document, _parents(document), node))


def target_names(document: Document, mesh: int) -> list[str]:
    """Names of a mesh's morph targets, "" for those without; glTF 2.0 leaves them to `extras.targetNames`."""
    mesh = document.item("meshes", mesh)
    first = mesh["primitives"][0]
    count = len(first.get("targets") or ())
    if count > MAX_TARGETS:
        raise Damaged(f"a mesh has {count} morph targets; {MAX_TARGETS} can be read")
    for place in (mesh, first):
        extras = place.get("extras")
        names = extras.get("targetNames") if isinstance(extras, dict) else None
        if isinstance(names, list) and len(names) == count:
            return [str(name)[:200] for name in names]
    return [""] * count


def arkit_index(name: str) -> int | None:
    """Which of ARKit's 52 a target's name means, in any case, as "mouthSmile_L" or with the mesh's name before it."""
    return spelled(_bare(name))


def plain_rotation(document: Document, node: int) -> None:
    """Make sure that a node is posed by translation, rotation and scale, as an animated one must be."""
    content = document.item("nodes", node)
    if "matrix" in content:
        matrix = np.reshape(np.asarray(content.pop("matrix"), np.float64), (4, 4)).T
        content |= {
            "translation": matrix[:3, 3].tolist(), "rotation": _turn_of(matrix[:3, :3]).as_quat().tolist(),
            "scale": np.linalg.norm(matrix[:3, :3], axis=0).tolist(),
        }


def _bare(name: str) -> str:
    """A target's name without the mesh's before it and the number after it."""
    name = re.sub(r"\.\d+$", "", name).rsplit(".", 1)[-1]
    return re.sub(r"(?<=[a-z])([LR])$", r"_\1", name)


def _parents(document: Document) -> dict[int, int]:
    parents: dict[int, int] = {}
    for index, node in enumerate(document.items("nodes")):
        for child in node.get("children", ()):
            document.item("nodes", child)
            if child in parents:
                raise Damaged(f"node {child} has two parents")
            parents[child] = index
    return parents


def _ancestors(parents: dict[int, int], node: int) -> list[int]:
    """Parent, its parent, and so on."""
    found: list[int] = []
    while node in parents:
        node = parents[node]
        found.append(node)
        if len(found) > MAX_DEPTH:
            raise Damaged(f"node {node} is its own ancestor, or one of more than {MAX_DEPTH}")
    return found


def _world(document: Document, parents: dict[int, int], node: int) -> Rotation:
    """The rotation of a node's parent in the scene, at rest."""
    out = Rotation.identity()
    for ancestor in _ancestors(parents, node):
        out = _rotation(document.item("nodes", ancestor)) * out
    return out


def _rotation(node: dict) -> Rotation:
    if "matrix" in node:
        return _turn_of(np.reshape(np.asarray(node["matrix"], np.float64), (4, 4)).T[:3, :3])
    quaternion = np.asarray(node.get("rotation", [0, 0, 0, 1]), np.float64)
    if quaternion.shape != (4,) or not 1e-6 < np.linalg.norm(quaternion) < 1e6:
        raise Damaged("a node's rotation is no quaternion")
    return Rotation.from_quat(quaternion)


def _turn_of(matrix: np.ndarray) -> Rotation:
    """The rotation in a matrix that may scale too."""
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise Damaged("a node's matrix is no transform")
    return Rotation.from_matrix(matrix / np.linalg.norm(matrix, axis=0))


def _moved_by_targets(document: Document, morphs: list[Morphs], parents: dict[int, int], bone: int) -> bool:
    """Whether targets of looking move what hangs on an eye's bone: then they turn the eye, and it would turn twice."""
    for one in morphs:
        node = document.item("nodes", one.node)
        looks = [one.places[index] for index in GAZE if index in one.places]
        skin = document.item("skins", node["skin"])["joints"] if "skin" in node else None
        if skin is None and bone not in (one.node, *_ancestors(parents, one.node)):
            continue
        if skin is not None and bone not in skin:
            continue
        for primitive in document.item("meshes", node["mesh"])["primitives"]:
            mine = _bound(document, primitive, skin.index(bone)) if skin is not None else slice(None)
            for look in looks:
                accessor = primitive["targets"][look].get("POSITION")
                if accessor is not None and np.abs(document.read(accessor)[mine]).max(initial=0) > _MOVES:
                    return True
    return False


def _bound(document: Document, primitive: dict, joint: int) -> np.ndarray:
    """[V] which vertices a joint carries more than anything else does."""
    attributes = primitive["attributes"]
    joints, weights = document.read(attributes["JOINTS_0"]), document.read(attributes["WEIGHTS_0"])
    return ((joints == joint) * weights).sum(1) > 0.5
