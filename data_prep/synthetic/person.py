"""The synthetic person: head from the face basis, neck, sweater and hair, posed as one triangle mesh."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneface.face.arkit import index
from geneface.face.landmarks import BROW_LEFT, BROW_RIGHT, JAW_OVAL
from geneface.face.surface import vertex_normals

from .body import NECK_ROWS, Torso, grid_triangles, loft, loft_targets, make_torso, neck_edge
from .hair import Hair, make_hair, unit
from .light import transfer

# Materials, one per triangle.
SKIN, NECK, EYE, TEETH, TONGUE, MOUTH, LASH, CLOTH, HAIR = range(9)
HEAD_MATERIALS = (SKIN, EYE, TEETH, TONGUE, MOUTH, LASH, HAIR)
# Inside the mouth the person differs from the basis: upper teeth that speech shows, a tongue that lies behind them [m].
_UPPER_TEETH = np.array([0.0, 0.0045, 0.0])
_BELOW_JAW = 0.004  # skin this far below the jaw's outline is neck [m]
_JAW_ANGLE = 0.062  # height of the jaw's angles on the mean head [m]
_TONGUE = np.array([0.0, 0.0055, 0.0040])
# Occlusion is made for these expressions and mixed by their weights: lids and lips uncover skin.
_POSES = ({}, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, {"jawOpen": 0.6})


@dataclass(frozen=True)
class Posed:
    """One frame's mesh in the camera frame.

    Attributes:
        vertices: [N,3] [m].
        normals: [N,3] unit.
        tangents: [H,3] of the hair's vertices.
        shadow_weights: [3] mix of the occlusion poses.
        mouth_opening: gap between the lips [m].
    """

    vertices: np.ndarray
    normals: np.ndarray
    tangents: np.ndarray
    shadow_weights: np.ndarray
    mouth_opening: float


class Person:
    """Geometry that does not change from frame to frame, and `pose`.

    Attributes:
        basis: the face basis.
        identity: [K] coefficients.
        triangles: [M,3] of everything; vertex order is head, neck rows, sweater, hair.
        material: [M] of each triangle.
        skin_triangles: [S,3] those of the head's outer skin.
        canonical: [N,3] position on the mean identity (head, neck), cloth coordinates (sweater), strand (hair).
        eye_centres: [2,3] left and right, on the mean identity.
        brows: [2,2,5,3] left and right, upper and lower edge, points from the nose outwards, on the mean identity.
        lip: [N] 1 on the lips, 0 elsewhere.
        head_count: number of head vertices.
        occlusion: light transfer [N,16] of the neutral pose, and [head_count,16] of the other occlusion poses.
    """

    def __init__(self, basis, identity: np.ndarray, seed: int) -> None:
        self.basis = basis
        self.identity = np.asarray(identity, np.float32)
        self.neutral = self._head(np.zeros(52, np.float32))
        regions = basis.regions
        head_triangles = self._visible(np.asarray(basis.triangles), regions)
        self.head_count = len(basis.mean)
        skin = self._faces(np.asarray(basis.triangles), regions, "skin")
        self.eye_members = [np.asarray(regions["eyeball_left"]), np.asarray(regions["eyeball_right"])]
        self.eye_centres = np.stack([_middle(basis.mean[m]) for m in self.eye_members])
        rest = np.asarray(basis.landmarks478())
        self.brows = np.stack([rest[[edge[4::-1], edge[5:]]] for edge in (BROW_LEFT, BROW_RIGHT)])
        self._lip_pair = self._find_lip_pair(regions)

        self._edge = neck_edge(basis.mean, skin)
        self.torso: Torso = make_torso()
        self._target = loft_targets(self.torso.opening, basis.mean[self._edge])
        mean_neck = loft(basis.mean[self._edge], self._edge_tangent(basis.mean), self._target)
        self.hair: Hair = make_hair(self.neutral, basis.mean, self._faces(head_triangles, regions, "skin"), seed)

        ring = len(self._edge)
        rows = self.head_count + np.arange(NECK_ROWS * ring).reshape(NECK_ROWS, ring)
        neck_index = np.concatenate([self._edge[None], rows])
        neck_triangles = neck_index.reshape(-1)[grid_triangles(NECK_ROWS + 1, ring, closed=True)]
        torso_start = self.head_count + NECK_ROWS * ring
        hair_start = torso_start + len(self.torso.vertices)
        self.parts = {"neck": slice(self.head_count, torso_start), "torso": slice(torso_start, hair_start),
                      "hair": slice(hair_start, hair_start + len(self.hair.vertices))}
        pieces = [(head_triangles, self._head_materials(head_triangles, regions, rest)), (neck_triangles, NECK),
                  (self.torso.triangles + torso_start, CLOTH), (self.hair.triangles + hair_start, HAIR)]
        self.triangles = np.concatenate([t for t, _ in pieces])
        self.material = np.concatenate([np.broadcast_to(m, len(t)) for t, m in pieces]).astype(np.int64)
        self._orient(len(head_triangles), mean_neck)
        on_head = self.material[: len(head_triangles)]
        self.skin_triangles = head_triangles[(on_head == SKIN) | (on_head == NECK)]
        self.canonical = np.concatenate([
            basis.mean, mean_neck.reshape(-1, 3), self.torso.cloth, self.hair.strand]).astype(np.float32)
        self.lip = np.zeros(len(self.canonical), np.float32)
        self.lip[: self.head_count] = self._lip_cover(skin, regions)
        self.occlusion = [self._transfer(pose) for pose in _POSES]

    def _head(self, expression: np.ndarray) -> np.ndarray:
        """[V,3] head in the head frame."""
        head = np.array(self.basis.vertices(self.identity, expression[None])[0], np.float64)
        head[self.basis.regions["teeth_upper"]] += _UPPER_TEETH
        head[self.basis.regions["tongue"]] += _TONGUE
        return head

    @staticmethod
    def _faces(triangles: np.ndarray, regions, name: str) -> np.ndarray:
        return triangles[np.isin(triangles, regions[name]).all(1)]

    def _head_materials(self, triangles: np.ndarray, regions, landmarks: np.ndarray) -> np.ndarray:
        """[M] materials; skin below the jaw's outline (of landmarks [478,3] on the mean identity) is neck."""
        material = np.full(len(triangles), SKIN)
        for name, value in (("mouth_cavity", MOUTH), ("tongue", TONGUE), ("teeth", TEETH), ("eyeball_left", EYE),
                            ("eyeball_right", EYE), ("eyelashes", LASH)):
            material[np.isin(triangles, regions[name]).all(1)] = value
        jaw = landmarks[JAW_OVAL]
        middle = self.basis.mean[triangles].mean(1)
        outline = np.interp(np.arctan2(middle[:, 0], -middle[:, 2]), np.arctan2(jaw[:, 0], -jaw[:, 2]), jaw[:, 1])
        outline = np.maximum(outline, _JAW_ANGLE)  # behind the jaw's angle the oval runs up to the ear
        below = (middle[:, 1] > outline + _BELOW_JAW) | np.isin(triangles, regions["neck"]).all(1)
        material[below & (material == SKIN)] = NECK
        return material

    def _visible(self, triangles: np.ndarray, regions) -> np.ndarray:
        """The head's triangles without ears (the hair covers them) and lower lashes.

        The basis' lashes are solid strips; at a portrait's size only the upper ones look like lashes.
        """
        lashes = np.isin(triangles, regions["eyelashes"]).all(1)
        middle = _middle(self.basis.mean[regions["eyeball_left"]])[1]
        low = self.basis.mean[triangles][..., 1].mean(1) > middle + 0.0005
        return triangles[~(lashes & low) & ~np.isin(triangles, regions["ears"]).all(1)]

    def _lip_cover(self, skin: np.ndarray, regions) -> np.ndarray:
        """[V] 1 on the lips, 0 elsewhere, with the outline smoothed over the neighbouring vertices."""
        cover = np.zeros(self.head_count)
        cover[regions["lips"]] = 1
        pairs = np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
        degree = np.bincount(pairs[:, 0], minlength=self.head_count).clip(min=1)
        around = np.bincount(pairs[:, 0], cover[pairs[:, 1]], self.head_count) / degree
        smooth = 0.5 * cover + 0.5 * around
        mirror = getattr(self.basis, "mirror", None)
        return smooth if mirror is None else np.maximum(smooth, smooth[mirror])

    def _find_lip_pair(self, regions) -> tuple[int, int]:
        """Vertices of the upper and the lower lip's edge in the middle of the mouth."""
        lips = np.asarray(regions["lips"])
        drop = np.asarray(self.basis.expression)[index("jawOpen"), lips, 1]
        central = np.abs(self.basis.mean[lips, 0]) < 0.004
        lower, upper = lips[central & (drop > 0.6 * drop.max())], lips[central & (drop < 0.15 * drop.max())]
        gap = np.linalg.norm(self.basis.mean[upper][:, None] - self.basis.mean[lower][None], axis=-1)
        a, b = np.unravel_index(gap.argmin(), gap.shape)
        return int(upper[a]), int(lower[b])

    def _edge_tangent(self, head: np.ndarray) -> np.ndarray:
        """[n,3] directions in which the skin arrives at the neck's edge: mostly down."""
        return unit(np.array([0.0, 1.0, 0.0]) + 0 * head[self._edge])

    def _orient(self, head_triangles: int, neck: np.ndarray) -> None:
        """Turn the sweater's and neck's triangles so that their normals point outwards."""
        for part in (CLOTH, NECK):
            chosen = self.material == part
            chosen[:head_triangles] = False
            points = np.concatenate([self.neutral, neck.reshape(-1, 3), self.torso.vertices, self.hair.vertices])
            corners = points[self.triangles[chosen]]
            normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            outward = corners.mean(1) - corners.mean((0, 1))
            if (normal * outward)[:, [0, 2]].sum() < 0:
                self.triangles[chosen] = self.triangles[chosen][:, ::-1]

    def _assemble(self, head: np.ndarray, turn: np.ndarray, shift: np.ndarray, body_shift: np.ndarray):
        """Vertices and normals of everything in the body frame; `turn`, `shift` take the head frame there."""
        placed = head @ turn.T + shift
        edge = placed[self._edge]
        neck = loft(edge, self._edge_tangent(placed) @ turn.T, self._target + body_shift)
        hair = self.hair.vertices @ turn.T + shift
        vertices = np.concatenate([placed, neck.reshape(-1, 3), self.torso.vertices + body_shift, hair])
        soft = self.material != HAIR
        normals = vertex_normals(vertices, self.triangles[soft])
        for members in self.eye_members:
            normals[members] = unit(placed[members] - _middle(placed[members]))
        normals[self.parts["hair"]] = self.hair.normals @ turn.T
        return vertices, normals

    def _transfer(self, pose: dict[str, float]) -> np.ndarray:
        expression = np.zeros(52, np.float32)
        for name, weight in pose.items():
            expression[index(name)] = weight
        vertices, normals = self._assemble(self._head(expression), np.eye(3), np.zeros(3), np.zeros(3))
        casters = self.triangles[~np.isin(self.material, (LASH, HAIR))]
        return transfer(vertices, normals, np.concatenate([casters, self.hair.shading + self.parts["hair"].start]),
                        self.head_count if pose else len(vertices))

    def pose(self, expression: np.ndarray, head: np.ndarray, body: np.ndarray, camera: np.ndarray) -> Posed:
        """The mesh of one frame.

        Args:
            expression: [52] ARKit weights.
            head: [4,4] head to body frame.
            body: [3] shift of the sweater [m].
            camera: [4,4] body to camera frame.
        """
        shape = self._head(np.asarray(expression, np.float32))
        vertices, normals = self._assemble(shape, head[:3, :3], head[:3, 3], body)
        turn = camera[:3, :3]
        blink = 0.5 * (expression[index("eyeBlinkLeft")] + expression[index("eyeBlinkRight")])
        jaw = min(float(expression[index("jawOpen")]) / 0.6, 1.0) * (1 - blink)
        upper, lower = self._lip_pair
        rest = np.linalg.norm(self.neutral[lower] - self.neutral[upper])
        opening = float(np.linalg.norm(shape[lower] - shape[upper]) - rest)
        return Posed(
            vertices @ turn.T + camera[:3, 3], normals @ turn.T, self.hair.tangents @ (turn @ head[:3, :3]).T,
            np.array([1 - blink - jaw, blink, jaw]), max(opening, 0.0),
        )


def _middle(points: np.ndarray) -> np.ndarray:
    return (points.min(0) + points.max(0)) / 2
