"""USD's text form of the head and its motion: a UsdSkel character that any program reads without this package.

    Head              SkelRoot
      Face            Mesh, with a BlendShape a weight (52) and a GeomSubset a part
      Skeleton        joints Head, Head/LeftEye, Head/RightEye
      Motion          SkelAnimation: blendShapeWeights, and how the joints turn
      Materials       UsdPreviewSurface a material

The eyes turn as joints, so the blend shapes eyeLook* move the lids only.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.pose import gaze_turn, head_positions, head_rotations
from ..face.surface import vertex_normals
from ..media.writing import SYNTHETIC_COMMENT
from ..motion.resample import steady
from ..types import MotionSequence
from .headmesh import MATERIALS, HeadModel, Material

ANIMATION = "/Head/Motion"
JOINTS = ("Head", "Head/LeftEye", "Head/RightEye")


def usda(motion: MotionSequence, head: HeadModel) -> str:
    """The file's text. Times are frames, from 0; rates, units and axes stand in its first lines."""
    return "\n".join([
        *_first_lines(motion), 'def SkelRoot "Head" (', '    prepend apiSchemas = ["SkelBindingAPI"]',
        '    kind = "component"', ")", "{",
        f"    float3[] extent = {_points(_extent(head, motion))}", "",
        _figure(head), *_animation(motion, head), "}", "",
    ])


def quoted(text: str) -> str:
    """A string as the text form has it, whatever characters it holds."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    names = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(names.get(c, c if c >= " " and c != "\x7f" else "?") for c in text) + '"'


def _first_lines(motion: MotionSequence) -> list[str]:
    rate = repr(float(motion.fps))
    return [
        "#usda 1.0", "(", "    customLayerData = {", "        dictionary geneface = {",
        f"            string comment = {quoted(SYNTHETIC_COMMENT)}",
        f"            string[] history = [{', '.join(quoted(step) for step in motion.history)}]",
        f"            string source = {quoted(motion.source)}", "        }", "    }",
        '    defaultPrim = "Head"', f"    endTimeCode = {len(motion) - 1}", f"    framesPerSecond = {rate}",
        "    metersPerUnit = 1", "    startTimeCode = 0", f"    timeCodesPerSecond = {rate}",
        '    upAxis = "Y"', ")", "",
    ]


def _extent(head: HeadModel, motion: MotionSequence) -> np.ndarray:
    """[2,3] corners of a box that holds the head in every frame."""
    low, high = head.vertices.min(0) - 0.04, head.vertices.max(0) + 0.04  # no expression reaches further
    corners = np.array([[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]]
                        for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    places = corners @ head_rotations(motion).transpose(0, 2, 1) + head_positions(motion)[:, None]
    return np.stack([places.min((0, 1)), places.max((0, 1))])


@lru_cache(maxsize=1)
def _figure(head: HeadModel) -> str:
    """What is the same for every motion."""
    return "\n".join([*_mesh(head), *_skeleton(head), *_materials()])


def _mesh(head: HeadModel) -> list[str]:
    count = len(head.vertices)
    joint = np.zeros(count, int)
    joint[head.eyes[0]], joint[head.eyes[1]] = 1, 2
    colours = np.zeros((len(head.triangles), 3))
    for part in head.parts:
        colours[part.triangles] = _linear(MATERIALS[part.material])
    targets = ", ".join(f"</Head/Face/{name}>" for name in ARKIT_NAMES)
    lines = [
        '    def Mesh "Face" (', '        prepend apiSchemas = ["SkelBindingAPI", "MaterialBindingAPI"]',
        "    )", "    {",
        f"        float3[] extent = {_points(np.stack([head.vertices.min(0), head.vertices.max(0)]))}",
        f"        int[] faceVertexCounts = {_integers([3] * len(head.triangles))}",
        f"        int[] faceVertexIndices = {_integers(head.triangles.ravel())}",
        "        rel material:binding = </Head/Materials/skin>",
        f"        normal3f[] normals = {_points(head.normals)} (", '            interpolation = "vertex"', "        )",
        f"        point3f[] points = {_points(head.vertices)}",
        f"        color3f[] primvars:displayColor = {_points(colours)} (",
        '            interpolation = "uniform"', "        )",
        "        matrix4d primvars:skel:geomBindTransform = " + _matrix((0, 0, 0)),
        f"        int[] primvars:skel:jointIndices = {_integers(joint)} (",
        "            elementSize = 1", '            interpolation = "vertex"', "        )",
        f"        float[] primvars:skel:jointWeights = {_integers([1] * count)} (",
        "            elementSize = 1", '            interpolation = "vertex"', "        )",
        f"        texCoord2f[] primvars:st = {_points(head.uv * [1, -1] + [0, 1])} (",
        '            interpolation = "vertex"', "        )",
        f"        uniform token[] skel:blendShapes = {_tokens(ARKIT_NAMES)}",
        f"        rel skel:blendShapeTargets = [{targets}]",
        "        rel skel:skeleton = </Head/Skeleton>",
        '        uniform token subdivisionScheme = "none"',
        '        uniform token subsetFamily:materialBind:familyType = "partition"', "",
    ]
    for name, delta in zip(ARKIT_NAMES, head.lid_deltas):
        lines += _blend_shape(name, delta, head)
    for part in head.parts:
        lines += [
            f'        def GeomSubset "{part.name}_part" (', '            prepend apiSchemas = ["MaterialBindingAPI"]',
            "        )", "        {", '            uniform token elementType = "face"',
            '            uniform token familyName = "materialBind"',
            f"            int[] indices = {_integers(range(part.triangles.start, part.triangles.stop))}",
            f"            rel material:binding = </Head/Materials/{part.material}>", "        }", "",
        ]
    return [*lines, "    }", ""]


def _blend_shape(name: str, delta: np.ndarray, head: HeadModel) -> list[str]:
    moved = np.flatnonzero(delta.any(1))
    shading = vertex_normals(head.vertices + delta, head.triangles) - head.normals
    return [
        f'        def BlendShape "{name}"', "        {",
        f"            uniform vector3f[] normalOffsets = {_points(shading[moved], 3)}",
        f"            uniform vector3f[] offsets = {_points(delta[moved])}",
        f"            uniform int[] pointIndices = {_integers(moved)}", "        }", "",
    ]


def _skeleton(head: HeadModel) -> list[str]:
    places = [(0, 0, 0), *head.eye_centres.tolist()]
    matrices = "[" + ", ".join(_matrix(place) for place in places) + "]"
    return [
        '    def Skeleton "Skeleton" (', '        prepend apiSchemas = ["SkelBindingAPI"]', "    )", "    {",
        f"        uniform matrix4d[] bindTransforms = {matrices}",
        f"        uniform token[] joints = {_tokens(JOINTS)}",
        f"        uniform matrix4d[] restTransforms = {matrices}",  # the head's is the identity
        f"        rel skel:animationSource = <{ANIMATION}>", "    }", "",
    ]


def _animation(motion: MotionSequence, head: HeadModel) -> list[str]:
    from scipy.spatial.transform import Rotation

    head_turn = Rotation.from_matrix(head_rotations(motion))
    turns = [steady(turn.as_quat()) for turn in (head_turn, gaze_turn(motion.gaze))]
    quaternions = np.stack([turns[0], turns[1], turns[1]], axis=1)[:, :, [3, 0, 1, 2]]  # real part first
    places = np.broadcast_to(head.eye_centres, (len(motion), 2, 3))
    places = np.concatenate([head_positions(motion)[:, None], places], axis=1)
    return [
        '    def SkelAnimation "Motion"', "    {",
        f"        uniform token[] blendShapes = {_tokens(ARKIT_NAMES)}",
        *_samples("float[] blendShapeWeights", (_numbers(row) for row in motion.expression)),
        f"        uniform token[] joints = {_tokens(JOINTS)}",
        *_samples("quatf[] rotations", (_points(row, 7) for row in quaternions)),
        "        half3[] scales = [(1, 1, 1), (1, 1, 1), (1, 1, 1)]",
        *_samples("float3[] translations", (_points(row) for row in places)), "    }", "",
    ]


def _materials() -> list[str]:
    lines = ['    def Scope "Materials"', "    {"]
    for name, material in MATERIALS.items():
        lines += [
            f'        def Material "{name}"', "        {",
            f"            token outputs:surface.connect = </Head/Materials/{name}/Surface.outputs:surface>", "",
            '            def Shader "Surface"', "            {",
            '                uniform token info:id = "UsdPreviewSurface"',
            f"                color3f inputs:diffuseColor = {_points(_linear(material)[None])[1:-1]}",
            f"                float inputs:roughness = {material.roughness:g}",
            "                token outputs:surface", "            }", "        }", "",
        ]
    return [*lines, "    }", ""]


def _linear(material: Material) -> np.ndarray:
    """[3] colour of a material in linear light (IEC 61966-2-1)."""
    colour = np.array(material.colour)
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def _samples(attribute: str, values: Iterable[str]) -> list[str]:
    lines = (f"            {time}: {value}," for time, value in enumerate(values))
    return [f"        {attribute}.timeSamples = {{", *lines, "        }"]


def _points(rows: np.ndarray, decimals: int = 6) -> str:
    rows = np.asarray(rows, np.float64)
    one = "(" + ", ".join([f"%.{decimals}f"] * rows.shape[1]) + ")"
    return "[" + (", ".join([one] * len(rows)) % tuple((rows + 0.0).ravel().tolist())) + "]"


def _numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(["%.7g"] * len(values)) % tuple(values.tolist()) + "]"


def _integers(values: Iterable[int]) -> str:
    return "[" + ", ".join(map(str, values)) + "]"


def _tokens(names: Sequence[str]) -> str:
    return "[" + ", ".join(quoted(name) for name in names) + "]"


def _matrix(place: Sequence[float]) -> str:
    """A shift as USD has matrices: in the last row."""
    return "((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), ({:.6f}, {:.6f}, {:.6f}, 1))".format(*place)
