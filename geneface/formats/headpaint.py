"""Pictures for the head of `headmesh`: its skin and its eyes painted, where flat colours have hard edges."""
from __future__ import annotations

import io

import numpy as np

from ..face.basis import AnnyBasis, load_basis
from ..face.landmarks import MEDIAPIPE_TO_68
from .headmesh import IRIS_RADIUS, MATERIALS, PUPIL_RADIUS, HeadModel

SIZE, EYE_SIZE = 1024, 256  # sides of the textures [px]
EYE_SPAN = 1.2  # the angle from the eyeball's axis at the edge of its texture [rad]
BLUSH, IRIS_RIM = (0.81, 0.49, 0.43), (0.12, 0.17, 0.20)  # sRGB
CROPPED = 0.75  # how much of the brows' colour the scalp has: hair is cropped
MOUTH_DARK_M, MOUTH_LIGHT_M = 0.045, 0.095  # along z: the throat, and just behind the lips
Colour = tuple[float, float, float]


def scalp_colour() -> Colour:
    """sRGB in [0,1]."""
    hair, skin = np.array(MATERIALS["brows"].colour), np.array(MATERIALS["skin"].colour)
    return tuple(CROPPED * hair + (1 - CROPPED) * skin)


def skin_uv(head: HeadModel) -> np.ndarray:
    """[N,2] places in the skin's texture, v down: directions from the head's middle, the face upright in the centre.

    Lambert's azimuthal projection: areas are kept, and the only seam is a point at the back of the head. Triangles
    round it (`at_seam`) would show the whole face.
    """
    points = head.vertices.astype(np.float64)
    ray = points - (points.min(0) + points.max(0)) / 2 - [0, 0.03, 0]  # so that the seam lies in the hair
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    return 0.5 + 0.5 * ray[:, :2] * [1, -1] / np.sqrt(np.maximum(2 * (1 + ray[:, 2]), 1e-9))[:, None]


def at_seam(uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[F] whether the seam of the skin's texture runs through the triangles [F,3]."""
    return np.ptp(uv[triangles], axis=1).max(1) > 1 / 4


def skin_texture(head: HeadModel, basis: AnnyBasis | None = None) -> bytes:
    """JPEG: lips, brows, cropped hair and some blush on one tone, with soft edges. `basis`: the one of the head."""
    from PIL import Image, ImageDraw, ImageFilter

    basis = basis or load_basis()
    uv = skin_uv(head)
    place = uv * SIZE
    corners = place[basis.landmark_vertices[MEDIAPIPE_TO_68]]
    points = (corners * basis.landmark_weights[MEDIAPIPE_TO_68, :, None]).sum(1)  # [68,2] px
    unit = float(np.linalg.norm(points[36] - points[45])) / 100  # a hundredth of what lies between the eyes
    picture = Image.new("RGB", (SIZE, SIZE), _bytes(MATERIALS["skin"].colour))

    def paint(colour: Colour, strength: float, soft: float, *outlines: np.ndarray) -> None:
        mask = Image.new("L", picture.size, 0)
        canvas = ImageDraw.Draw(mask)
        for outline in outlines:
            canvas.polygon([tuple(point) for point in outline], fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(soft * unit)).point(lambda value: int(value * strength))
        picture.paste(Image.new("RGB", picture.size, _bytes(colour)), mask=mask)

    def spot(centre: np.ndarray, width: float, height: float) -> np.ndarray:
        turn = np.linspace(0, 2 * np.pi, 40)[:, None]
        return centre + unit * np.hstack([width * np.cos(turn), height * np.sin(turn)])

    faces = basis.faces_of("scalp")
    turn = np.linspace(0, 2 * np.pi, 90)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    back = SIZE * (0.5 + np.concatenate([0.47 * circle, 0.8 * circle[::-1]]))
    paint(MATERIALS["brows"].colour, CROPPED, 3, *place[faces[~at_seam(uv, faces)]], back)
    paint(BLUSH, 0.35, 8, spot((points[1] + points[31]) / 2, 13, 10), spot((points[15] + points[35]) / 2, 13, 10))
    paint(BLUSH, 0.3, 5, spot(points[33] - [0, 3 * unit], 9, 7))
    lips = [head.triangles[part.triangles] for part in head.parts if part.material == "lips"]
    paint(MATERIALS["lips"].colour, 0.85, 1.0, *place[np.concatenate(lips)])
    brows = (points[17:22], points[26:21:-1])
    paint(MATERIALS["brows"].colour, 0.85, 1.0, *(_brow(brow, unit) for brow in brows))
    return _encode(picture, "JPEG")


def _brow(points: np.ndarray, unit: float) -> np.ndarray:
    """Outline of a brow below its five landmarks, outer end first: thin there, thick towards the nose."""
    t = np.linspace(0, 1, 20)
    curve = np.column_stack([np.polyval(np.polyfit(np.linspace(0, 1, 5), axis, 2), t) for axis in points.T])
    half = unit * np.interp(t, [0, 0.35, 0.85, 1], [0.8, 1.9, 3.0, 2.0])[:, None] * [0.0, 1.0]
    return np.concatenate([curve - half, (curve + half)[::-1]])


def eye_uv(local: np.ndarray) -> np.ndarray:
    """[V,2] places in the eye's texture, v down, of points [V,3] about the eyeball's centre: angles from its axis."""
    unit = local / np.linalg.norm(local, axis=1, keepdims=True)
    across = np.maximum(np.hypot(unit[:, 0], unit[:, 1]), 1e-9)
    span = np.minimum(np.arccos(np.clip(unit[:, 2], -1, 1)) / EYE_SPAN, 1)
    return 0.5 + 0.5 * unit[:, :2] * [1, -1] * (span / across)[:, None]


def eye_texture(radius: float) -> bytes:
    """PNG of white, iris and pupil of an eyeball of `radius` [m]."""
    from PIL import Image

    rows, columns = (np.mgrid[:2 * EYE_SIZE, :2 * EYE_SIZE] + 0.5) / EYE_SIZE - 1
    angle, turn = EYE_SPAN * np.hypot(rows, columns), np.arctan2(rows, columns)
    iris, pupil = np.arcsin(IRIS_RADIUS / radius), np.arcsin(PUPIL_RADIUS / radius)

    def inside(edge: float) -> np.ndarray:
        return np.clip((edge - angle) * EYE_SIZE / EYE_SPAN / 3 + 0.5, 0, 1)[..., None]

    fibres = 1 + 0.12 * np.sin(37 * turn + 5 * np.sin(11 * turn)) * np.sin(23 * turn)
    rim = np.clip((angle - pupil) / (iris - pupil), 0, 1)[..., None] ** 3
    ring = np.array(MATERIALS["iris"].colour) * fibres[..., None] * (1 - rim) + np.array(IRIS_RIM) * rim
    colour = np.array(MATERIALS["white"].colour) * (1 - inside(iris)) + ring * inside(iris)
    colour = colour * (1 - inside(pupil)) + np.array(MATERIALS["pupil"].colour) * inside(pupil)
    picture = Image.fromarray(np.clip(255 * colour + 0.5, 0, 255).astype(np.uint8))
    return _encode(picture.resize((EYE_SIZE, EYE_SIZE), Image.LANCZOS), "PNG")


def mouth_shade(head: HeadModel) -> np.ndarray:
    """[N,3] linear colours of vertices, of use inside the mouth: the light that comes in through the lips.

    Viewers do not shade what lies in a cavity: without it teeth and tongue are as bright as the cheeks.
    """
    deep = np.clip((head.vertices[:, 2] - MOUTH_DARK_M) / (MOUTH_LIGHT_M - MOUTH_DARK_M), 0, 1)
    return np.repeat(0.05 + 0.95 * deep[:, None] ** 2.5, 3, axis=1)


def lash_colours(head: HeadModel) -> np.ndarray:
    """[N,4] linear colours of vertices, of use for the lashes: dense at the lids, clear at their tips."""
    from scipy.spatial import cKDTree

    def vertices(material: str) -> np.ndarray:
        return np.unique(np.concatenate([head.triangles[p.triangles] for p in head.parts if p.material == material]))

    out = np.ones((len(head.vertices), 4), np.float32)
    lashes = vertices("lashes")
    length = cKDTree(head.vertices[vertices("skin")]).query(head.vertices[lashes])[0]
    out[lashes, 3] = 0.9 * np.clip(1 - length / np.quantile(length, 0.85), 0, 1)
    return out


def _bytes(colour: Colour) -> tuple[int, ...]:
    return tuple(round(255 * channel) for channel in colour)


def _encode(picture, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, quality=90)
    return out.getvalue()
