"""An avatar's head as a textured mesh."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from .. import ops
from ..errors import UserError
from ..face.landmarks import mouth_opening
from ..face.surface import vertex_normals
from ..frame.person import to_uint8
from ..nerf.render import AvatarRenderer
from ..types import Avatar, CameraTrack, write_atomically
from .fusion import SOLID, DepthView, fuse
from .holes import close_holes

VOXEL_M = 0.002
YAWS, PITCHES = (-20, -10, 0, 10, 20), (-10, 0, 10)  # degrees round the head of the cameras whose depth is fused
PIXELS_PER_VOXEL = 2  # of their pictures
SHOT_FROM = 0.012  # a texel's colour is looked at from so far in front of it [m]
FORMATS = (".obj", ".glb", ".ply")
# Head space (y down, z to the back of the head) to the files' (y up, z to the front).
FLIP = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class HeadMesh:
    """The surface of a head that cameras in front of it see; open at the back and towards the neck.

    Attributes:
        vertices: [V,3] in head space [m]: x to the picture's right, y down, z to the back of the head.
        triangles: [F,3], counter-clockwise seen from outside.
        normals: [V,3] unit vectors to the outside.
        uv: [V,2] places in the texture, in [0,1] from its lower left corner.
        texture: [S,S,3] uint8 sRGB.
        colours: [V,3] uint8 sRGB of the vertices.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    colours: np.ndarray

    def save(self, path: str | Path) -> None:
        """Write .obj (with .mtl and .png beside it), .glb or .ply (colours at vertices), in metres.

        The files' axes are glTF's: y up, the face looks along z, the person's left is at positive x.

        Raises:
            UserError: another format, or the file cannot be written.
        """
        save(self, Path(path))


def neutral_landmarks(avatar: Avatar) -> np.ndarray:
    """[68,3] landmarks of a face at rest [m]: of the frames with the lips closed the most usual."""
    landmarks = avatar.motion_reference
    opening = mouth_opening(landmarks)
    closed = landmarks[opening <= np.quantile(opening, 0.2)]
    return closed[np.square(closed - np.median(landmarks, axis=0)).sum((1, 2)).argmin()]


def head_mesh(
    avatar: Avatar, landmarks: np.ndarray | None = None, voxel_mm: float = 1000 * VOXEL_M, texture: int = 1024,
    device: str = "auto",
) -> HeadMesh:
    """The head's surface.

    Args:
        landmarks: [68,3] canonical driving landmarks [m] of the expression to make, or [69,3] `MotionSequence.driving`
            values; None for a face at rest.
        voxel_mm: distance of vertices.
        texture: side of the texture [px].

    Raises:
        UserError: there is no surface to be found.
    """
    landmarks = neutral_landmarks(avatar) if landmarks is None else landmarks
    renderer = AvatarRenderer(avatar, device=device)
    low, high = renderer.head_box
    distance = float(avatar.camera.head_to_camera[:, 2, 3].mean())
    voxel = voxel_mm / 1000
    vertices, quads = fuse(_depths(renderer, landmarks, distance, voxel), low - 2 * voxel, high + 2 * voxel, voxel)
    if not len(quads):
        raise UserError("the avatar's head has no surface; fit it for longer")
    seen = len(vertices)
    vertices, triangles = close_holes(vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    normals = vertex_normals(vertices, triangles)
    uv, out = fisheye(vertices)
    look = partial(_colours, renderer, landmarks, camera_directions(avatar.camera))
    picture = _paint(vertices, triangles, normals, uv, out, texture, look, seen)
    rgb, alpha = look(vertices, normals)
    alpha[seen:] = 0
    good = np.flatnonzero(alpha > SOLID) if (alpha > SOLID).any() else np.arange(len(rgb))
    nearest = good[cKDTree(vertices[good]).query(vertices)[1]]
    return HeadMesh(vertices, triangles, normals, uv, picture, to_uint8(rgb[nearest]))


def _depths(renderer: AvatarRenderer, landmarks: np.ndarray, distance: float, voxel: float) -> Iterator[DepthView]:
    """What cameras at `distance` [m] from the head's middle see."""
    low, high = renderer.head_box
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    size = int(2 * radius / voxel * PIXELS_PER_VOXEL)
    focal = size * distance / (2 * radius)
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    rows, columns = np.mgrid[:size, :size] + 0.5
    plane = np.stack([(columns - size / 2) / focal, (rows - size / 2) / focal, np.ones_like(rows)], -1).reshape(-1, 3)
    directions = plane / np.linalg.norm(plane, axis=1, keepdims=True)
    for yaw, pitch in product(YAWS, PITCHES):
        back = towards(np.radians(yaw), np.radians(pitch))  # from the head to the camera
        right = np.cross([0.0, 1, 0], -back)
        right /= np.linalg.norm(right)
        to_camera = np.stack([right, np.cross(-back, right), -back])
        origin = middle + distance * back
        head_to_camera = np.eye(4)
        head_to_camera[:3, :3], head_to_camera[:3, 3] = to_camera, -to_camera @ origin
        _, depth, alpha = renderer.trace(
            landmarks, np.broadcast_to(origin, directions.shape).copy(), directions @ to_camera
        )
        depth = depth / np.maximum(alpha, 1e-6)
        yield DepthView(intrinsics, head_to_camera, depth.reshape(size, size), alpha.reshape(size, size))


def towards(yaw: np.ndarray | float, pitch: np.ndarray | float) -> np.ndarray:
    """[...,3] unit vectors from the head to cameras so far [rad] to its picture's right and above it."""
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], axis=-1)


def fisheye(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in the texture [V,2]: the angles at which a point behind the head sees the vertices; and how far [V] they
    are from it [m].

    The face lies upright in the middle, sides and top around it, without a seam.
    """
    low, high = vertices.min(0), vertices.max(0)
    ray = vertices - [*(low + high)[:2] / 2, high[2] + 0.5 * (high - low)[2]]
    across = np.hypot(ray[:, 0], ray[:, 1])
    place = np.arctan2(across, -ray[:, 2])[:, None] * ray[:, :2] / np.maximum(across, 1e-12)[:, None] * [1, -1]
    low, high = place.min(0), place.max(0)
    return 0.5 + 0.98 * (place - (low + high) / 2) / (high - low).max(), np.linalg.norm(ray, axis=1)


def camera_directions(camera: CameraTrack) -> np.ndarray:
    """[2,2] range (5 to 95 percent) of the recorded cameras' yaw and pitch round the head [rad]."""
    rotation, shift = camera.head_to_camera[:, :3, :3], camera.head_to_camera[:, :3, 3:]
    x, y, z = -(rotation.transpose(0, 2, 1) @ shift)[..., 0].T.astype(float)
    return np.quantile([np.arctan2(x, -z), np.arctan2(-y, np.hypot(x, z))], [0.05, 0.95], axis=1).T


def _colours(
    renderer: AvatarRenderer, landmarks: np.ndarray, directions: np.ndarray, points: np.ndarray, outward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colours [N,3] in [0,1] of surface points with normals `outward` [N,3], and how opaque the head is there [N].

    Each is looked at against its normal as far as `directions` allow, from where cameras have been: how colours depend
    on other directions, the field makes up.
    """
    yaw = np.clip(np.arctan2(outward[:, 0], np.maximum(-outward[:, 2], 1e-6)), *directions[0])
    pitch = np.clip(np.arcsin(np.clip(-outward[:, 1], -1, 1)), *directions[1])
    ray = -towards(yaw, pitch)
    rgb, _, alpha = renderer.trace(landmarks, points - SHOT_FROM * ray, ray, near=0.0)
    return rgb / np.maximum(alpha, 1e-6)[:, None], alpha


def _paint(vertices, triangles, normals, uv, out, size: int, look, seen: int) -> np.ndarray:
    """[S,S,3] uint8 texture. Where the surface lies several times over a texel, the outermost is painted.

    Of vertices from number `seen` on, which close holes, the field knows no colour: there, and where there is no
    surface, is the colour of the nearest texel.
    """
    # So far away that there is no perspective in the interpolation.
    flat = np.column_stack([uv[:, 0] * size, (1 - uv[:, 1]) * size, 100 - out])
    face, weights, _ = ops.rasterize(
        torch.from_numpy(flat.astype(np.float32)), torch.from_numpy(triangles.astype(np.int32)), size, size
    )
    covered = face.numpy() >= 0
    corners, weights = triangles[face.numpy()[covered]], weights.numpy()[covered][..., None]
    rgb, alpha = np.zeros((size, size, 3)), np.zeros((size, size))
    rgb[covered], alpha[covered] = look(
        (vertices[corners] * weights).sum(1), _unit((normals[corners] * weights).sum(1))
    )
    alpha[covered] *= (corners < seen).all(1)
    if (alpha > SOLID).any():
        rgb = rgb[tuple(distance_transform_edt(alpha <= SOLID, return_distances=False, return_indices=True))]
    return to_uint8(rgb)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def save(mesh: HeadMesh, path: Path) -> None:
    """See `HeadMesh.save`."""
    import trimesh
    from PIL import Image
    from trimesh.visual import ColorVisuals, TextureVisuals
    from trimesh.visual.material import PBRMaterial, SimpleMaterial

    suffix = path.suffix.lower()
    image = Image.fromarray(mesh.texture)
    if suffix == ".ply":
        visual = ColorVisuals(vertex_colors=mesh.colours)
    elif suffix == ".glb":
        visual = TextureVisuals(uv=mesh.uv, material=PBRMaterial(
            baseColorTexture=image, metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
        ))
    elif suffix == ".obj":
        visual = TextureVisuals(uv=mesh.uv, material=SimpleMaterial(image=image, name=path.stem))
    else:
        raise UserError(f"{path}: no kind of mesh that can be written; there are {', '.join(FORMATS)}")
    out = trimesh.Trimesh(
        mesh.vertices * FLIP, mesh.triangles, vertex_normals=mesh.normals * FLIP, visual=visual, process=False
    )
    if suffix != ".obj":
        write_atomically(path, lambda temporary: out.export(temporary, file_type=suffix[1:]))
        return
    text, textures = trimesh.exchange.obj.export_obj(
        out, include_normals=True, return_texture=True, mtl_name=f"{path.stem}.mtl"
    )
    for name, content in textures.items():
        write_atomically(path.with_name(name), lambda temporary, content=content: Path(temporary).write_bytes(content))
    write_atomically(path, lambda temporary: Path(temporary).write_text(text, "utf-8"))
