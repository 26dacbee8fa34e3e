"""The bundled head as a glTF document: 52 morph targets, and eyes that turn."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.surface import vertex_normals
from .glb import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, Document
from .headmesh import MATERIALS, HeadModel, load_head
from .headpaint import at_seam, eye_texture, eye_uv, lash_colours, mouth_shade, scalp_colour, skin_texture, skin_uv

HEAD, EYES = "Head", ("LeftEye", "RightEye")  # names of bones as engines know them; left and right are the person's
_WHITE = (1.0, 1.0, 1.0)


def head_document(head: HeadModel | None = None) -> Document:
    """The head at rest. Node "Head" holds the mesh "Face" and the nodes "LeftEye" and "RightEye".

    The 52 targets of "Face" carry ARKit's names. They move the lids and not the eyeballs, which turn as nodes do:
    rigidly, and once.
    """
    head = head or load_head()
    document = Document({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}]})

    def triangles(*materials: str, eye: int | None = None) -> np.ndarray:
        return np.concatenate([
            head.triangles[part.triangles] for part in head.parts if part.material in materials and part.eye == eye
        ])

    uv = skin_uv(head)
    skin = triangles("skin", "lips", "brows")
    seam = at_seam(uv, skin)
    painted = MATERIALS["skin"].roughness
    parts = [
        *((_Look(name, MATERIALS[name].colour, MATERIALS[name].roughness), triangles(name),
           {"COLOR_0": mouth_shade(head)}) for name in ("mouth", "tongue", "teeth")),
        (_Look("scalp", scalp_colour(), painted), skin[seam], {}),
        (_Look("skin", _WHITE, painted, skin_texture(head)), skin[~seam], {"TEXCOORD_0": uv}),
        (_Look("lashes", MATERIALS["lashes"].colour, MATERIALS["lashes"].roughness, blend=True), triangles("lashes"),
         {"COLOR_0": lash_colours(head)}),
    ]
    deltas = head.lid_deltas
    turns = [vertex_normals(head.vertices + delta, head.triangles) - head.normals for delta in deltas]
    primitives = []
    for look, faces, attributes in parts:
        vertices, corners = np.unique(faces, return_inverse=True)
        attributes = {"NORMAL": head.normals} | attributes
        primitive = _primitive(
            document, look, head.vertices[vertices], corners, {name: v[vertices] for name, v in attributes.items()}
        )
        primitive["targets"] = [
            {"POSITION": document.add_sparse(_quiet(delta[vertices], 1e-6), bounds=True),
             "NORMAL": document.add_sparse(_quiet(turn[vertices], 1e-3))}
            for delta, turn in zip(deltas, turns)
        ]
        primitives.append(primitive)
    face = document.append("meshes", {
        "name": "Face", "primitives": primitives, "weights": [0.0] * len(ARKIT_NAMES),
        "extras": {"targetNames": list(ARKIT_NAMES)},
    })
    document.append("nodes", {"name": HEAD, "children": [1, 2, 3]})
    document.append("nodes", {"name": "Face", "mesh": face})
    for eye, (name, centre) in enumerate(zip(EYES, head.eye_centres)):
        vertices, corners = np.unique(triangles("white", "iris", "pupil", eye=eye), return_inverse=True)
        local = head.vertices[vertices] - centre
        radius = float(np.linalg.norm(local, axis=1).mean())
        primitive = _primitive(
            document, _Look("eyes", _WHITE, MATERIALS["white"].roughness, eye_texture(radius)), local, corners,
            {"NORMAL": local / np.linalg.norm(local, axis=1, keepdims=True), "TEXCOORD_0": eye_uv(local)},
        )
        mesh = document.append("meshes", {"name": name, "primitives": [primitive]})
        document.append("nodes", {"name": name, "mesh": mesh, "translation": centre.tolist()})
    return document


@dataclass(frozen=True)
class _Look:
    """A material: sRGB colour, roughness, texture (PNG or JPEG), and whether what is behind it shines through."""

    name: str
    colour: tuple[float, float, float]
    roughness: float
    texture: bytes = b""
    blend: bool = False

    def index(self, document: Document) -> int:
        """Its place among the document's materials, where it is added unless it is there."""
        names = [material["name"] for material in document.items("materials")]
        if self.name in names:
            return names.index(self.name)
        linear = [round(((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92, 4) for c in self.colour]
        surface: dict[str, Any] = {
            "baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0, "roughnessFactor": self.roughness
        }
        if self.texture:
            kind = "image/png" if self.texture.startswith(b"\x89PNG") else "image/jpeg"
            image = document.append(
                "images", {"name": self.name, "bufferView": document.view(self.texture), "mimeType": kind}
            )
            surface["baseColorTexture"] = {"index": document.append("textures", {"source": image})}
        blend = {"alphaMode": "BLEND"} if self.blend else {}
        return document.append("materials", {"name": self.name, "pbrMetallicRoughness": surface} | blend)


def _primitive(
    document: Document, look: _Look, points: np.ndarray, corners: np.ndarray, attributes: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Triangles with `corners` [3F] of `points` [V,3], and further `attributes` [V,n]."""
    accessors = {"POSITION": document.add(points.astype(np.float32), ARRAY_BUFFER, bounds=True)}
    accessors |= {name: document.add(values.astype(np.float32), ARRAY_BUFFER) for name, values in attributes.items()}
    indices = document.add(corners.reshape(-1).astype(np.uint16), ELEMENT_ARRAY_BUFFER)
    return {"attributes": accessors, "indices": indices, "material": look.index(document)}


def _quiet(values: np.ndarray, floor: float) -> np.ndarray:
    """[N,3] float32 with rows shorter than `floor` as zeros: a sparse accessor leaves them out."""
    return np.where(np.linalg.norm(values, axis=1, keepdims=True) < floor, 0, values).astype(np.float32)
