"""Photometric refinement of the head's pose: its skin must look the same in every frame.

Landmarks are where a detector believes features to be: they follow a nod too little, and must be smoothed so strongly
that quick movements are lost. The skin's own texture says better how the head moved. Skin that moves with the skull is
unwrapped from frames spread over the clip into one mean texture; every frame's pose is then moved by Gauss-Newton steps
until its picture agrees with that texture (Lucas and Kanade 1981, on the head's mesh), with the landmark fit as prior.
Texture and poses take turns.

    camera, quality = refine_pose(lambda index: small_grey(path_of(index), 512), camera, face, basis)
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from geneface import ops
from geneface.errors import UserError
from geneface.face.basis import FaceBasis
from geneface.types import CameraTrack, FaceTrack

from .skin import Skin
from .smooth import adaptive
from .takes import pieces

_SIDE = 512  # longest side of the pictures that are compared [px]
_MARGIN = 24  # around the skin: landmarks may miss the head by that much [px]
_DIRECTION = 0.1  # views closer than this hide the same skin [rad]
_BLUR = 1.6  # what is finer is noise [px]
_LEAST = 100  # samples of skin below which nothing is changed


@dataclass(frozen=True)
class PhotometricConfig:
    """How the picture is weighed against the landmark fit. Pixels are those of the pictures compared, at most 512."""

    spacing: float = 0.002  # of the skin's samples [m]
    detail: int = 5  # texture coarser than this is light, which does not turn with the head [px], odd
    keyframes: int = 60  # frames that the texture is made from
    rounds: int = 6  # of texture and poses in turn
    steps: int = 4  # of a frame's pose
    share: float = 0.1  # neighbouring samples err together: each counts as this much of an independent one
    outlier: float = 2.0  # a miss beyond this counts little [standard deviations]
    # Standard deviations of the landmark fit.
    rotation: float = 1.5  # [deg]
    place: float = 3.0  # of the face in the picture [px of 512]
    depth: float = 0.015  # relative
    # Motion faster than this is taken for noise, in a resting and in a moving head [Hz].
    rotation_cutoff: tuple[float, float] = (2.0, 9.0)
    place_cutoff: tuple[float, float] = (3.5, 11.0)
    depth_cutoff: tuple[float, float] = (1.0, 3.0)


@dataclass(frozen=True)
class PhotometricQuality:
    """What the refinement did.

    Attributes:
        samples: skin samples that had a say; 0 where nothing was changed.
        turned_deg: RMS change of rotation [deg].
        moved_px: RMS change of the face's place in the picture [px of the original].
    """

    samples: int
    turned_deg: float
    moved_px: float


def small_grey(path: Path, size: int) -> np.ndarray:
    """[h,w] uint8 of a picture whose longer side is `size` px; JPEGs are decoded at a fraction of their size.

    Raises:
        UserError: missing or damaged.
    """
    reduced = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
    fraction = max((f for f in reduced if size >= f * _SIDE), default=0)
    picture = cv2.imread(str(path), reduced.get(fraction, cv2.IMREAD_GRAYSCALE))
    if picture is None:
        raise UserError(f"{path}: cannot be read; run geneface prepare again")
    return picture


def fine_texture(picture: np.ndarray, detail: int) -> np.ndarray:
    """[h,w,3] float32 of a grey picture uint8: the fine part of log brightness, and its derivatives along x and y.

    What is brighter by a factor differs by a constant in the logarithm, and constants are not fine.
    """
    logarithm = np.log(np.arange(256, dtype=np.float32) + 16)
    light = cv2.GaussianBlur(cv2.LUT(picture, logarithm), (0, 0), _BLUR)
    fine = light - cv2.blur(cv2.blur(light, (detail, detail)), (detail, detail))
    return np.dstack([fine, cv2.Scharr(fine, -1, 1, 0, scale=1 / 32), cv2.Scharr(fine, -1, 0, 1, scale=1 / 32)])


@dataclass
class Patch:
    """The part of a frame where the head is: `fine_texture` [h,w,3], and its corner's place in the frame [2] (px)."""

    fine: np.ndarray
    corner: np.ndarray


@dataclass
class _View:
    """Samples in one frame: camera space [S,3] (m), fine texture and derivatives [S,3], how well they are seen [S]."""

    points: np.ndarray
    seen: np.ndarray
    trust: np.ndarray


class Alignment:
    """Skin, its texture, and the steps that move a pose until the picture agrees with it.

    Attributes:
        skin: the samples.
        texture: [S] mean fine texture; precision: [S] inverse variance, 0 where the skin is not usable.
    """

    def __init__(self, camera: CameraTrack, face: FaceTrack, basis: FaceBasis, config: PhotometricConfig) -> None:
        self.config, self.face = config, face
        self.scale = min(1.0, _SIDE / max(camera.width, camera.height))
        self.size = round(camera.width * self.scale), round(camera.height * self.scale)
        self.focal = float(camera.intrinsics[0, 0]) * self.scale
        self.centre = (camera.intrinsics[:2, 2] * self.scale).astype(np.float32)
        self.skin = Skin(basis, face.identity, config.spacing)
        self.texture, self.precision = np.zeros(len(self.skin)), np.zeros(len(self.skin))
        self._visible: dict[tuple[int, ...], np.ndarray] = {}
        self.middle = self.skin.mean.mean(0).astype(np.float64)
        self.start = camera.head_to_camera.astype(np.float64)
        depth = float(np.median(self.start[:, 2, 3]))
        place, depth = config.place * max(self.size) / _SIDE * depth / self.focal, config.depth * depth
        self.prior = np.repeat([np.deg2rad(config.rotation), place, depth], (3, 2, 1)) ** -2

    def patch(self, picture: np.ndarray, index: int) -> Patch:
        """What is needed of frame `index`, from its grey picture of any size."""
        if picture.shape[::-1] != self.size:
            picture = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
        image = self.project(self._placed(self.skin.mean, self.start[index]))
        corners = np.stack([image.min(0) - _MARGIN, image.max(0) + _MARGIN])
        (left, top), (right, bottom) = np.clip(corners, 0, self.size).astype(int)
        left, top = min(left, self.size[0] - 1), min(top, self.size[1] - 1)
        picture = picture[top:max(bottom, top + 1), left:max(right, left + 1)]
        return Patch(fine_texture(picture, self.config.detail), np.array([left, top], np.float32))

    @staticmethod
    def _placed(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """[...,3] head-space points in the camera."""
        return points @ pose[:3, :3].T.astype(np.float32) + pose[:3, 3].astype(np.float32)

    def project(self, points: np.ndarray) -> np.ndarray:
        """[S,2] pixels of camera-space points [S,3]."""
        return points[:, :2] * (self.focal / points[:, 2:]) + self.centre

    def view(self, patch: Patch, points: np.ndarray, pose: np.ndarray, visible: np.ndarray) -> _View:
        """Look at head-space points [S,3] in a frame, under pose [4,4]; for `visible` [S] see there."""
        placed = self._placed(points, pose)
        image = self.project(placed) - patch.corner
        normals = self.skin.normals @ pose[:3, :3].T.astype(np.float32)
        facing = -np.einsum("si,si->s", normals, placed) / np.linalg.norm(placed, axis=1)
        inside = ((image > 2) & (image < np.array(patch.fine.shape[1::-1]) - 2)).all(1)
        seen = cv2.remap(patch.fine, (image - 0.5)[:, None], None, cv2.INTER_LINEAR)[:, 0]
        return _View(placed, seen, np.clip((facing - 0.35) / 0.3, 0, 1) * inside * visible)

    def visible(self, pose: np.ndarray) -> np.ndarray:
        """[S] bool: not behind another part of the head, by the nearest of the directions it was looked at from."""
        place = pose[:3, :3] @ self.middle + pose[:3, 3]
        direction = tuple(np.rint(pose[:3, :3].T @ place / np.linalg.norm(place) / _DIRECTION).astype(int))
        if direction not in self._visible:
            mesh, placed = self._placed(self.skin.head, pose), self._placed(self.skin.mean, pose)
            scale = min(1.0, 128 / max(self.size))
            width, height = (round(side * scale) for side in self.size)
            flat = torch.from_numpy(np.concatenate([self.project(mesh) * np.float32(scale), mesh[:, 2:]], 1))
            depth = ops.rasterize(flat, torch.from_numpy(self.skin.triangles), height, width)[2].numpy()
            at = np.clip((self.project(placed) * scale).astype(int), 0, (width - 1, height - 1))
            nearest = depth[at[:, 1], at[:, 0]]
            # The mesh's own depth changes by a few millimetres from pixel to pixel.
            self._visible[direction] = (nearest == 0) | (placed[:, 2] < nearest + 0.008)
        return self._visible[direction]

    def gain(self, view: _View) -> float:
        """Contrast of a frame over the texture's."""
        weight = view.trust * self.precision * self.texture
        return float(np.clip((weight @ view.seen[:, 0]) / max(weight @ self.texture, 1e-12), 0.3, 3.0))

    def align(self, patch: Patch, index: int, pose: np.ndarray) -> np.ndarray:
        """[4,4] pose of frame `index` at which its picture agrees with the texture, starting at `pose`."""
        config, points, first = self.config, self.skin.points(self.face.expression[index]), self.start[index]
        visible = self.visible(pose)
        place_first = first[:3, :3] @ self.middle + first[:3, 3]
        for _ in range(config.steps):
            view = self.view(patch, points, pose, visible)
            gain = self.gain(view)
            miss = view.seen[:, 0] / gain - self.texture
            weight = view.trust * self.precision / (1 + miss**2 * self.precision / config.outlier**2) ** 2
            place = pose[:3, :3] @ self.middle + pose[:3, 3]
            # The brightness' derivative by a shift of the sample, and by a turn of the head about its middle.
            x, y, z = view.points.T
            along_x, along_y = view.seen[:, 1:].T * (self.focal / gain / z)
            shift = np.stack([along_x, along_y, -(along_x * x + along_y * y) / z], 1)
            jacobian = np.concatenate([np.cross(view.points - place, shift), shift], 1)
            weighted = (config.share * weight)[:, None] * jacobian
            turned = cv2.Rodrigues(pose[:3, :3] @ first[:3, :3].T)[0][:, 0]
            away = np.concatenate([turned, place - place_first])
            step = np.linalg.solve(weighted.T @ jacobian + np.diag(self.prior), -weighted.T @ miss - self.prior * away)
            pose = pose.copy()
            pose[:3, :3] = cv2.Rodrigues(step[:3])[0] @ pose[:3, :3]
            pose[:3, 3] = place + step[3:] - pose[:3, :3] @ self.middle
        return pose

    def learn(self, pictures: list[np.ndarray], frames: Iterable[int]) -> None:
        """Make the texture from grey pictures of some frames, texture and poses in turn."""
        frames = list(frames)
        patches = [self.patch(picture, index) for picture, index in zip(pictures, frames)]
        poses = [self.start[index] for index in frames]
        for turn in range(self.config.rounds):
            if turn:
                poses = [self.align(*item) for item in zip(patches, frames, poses)]
            self._average(patches, frames, poses)
            if len(self.skin) < _LEAST:
                return

    def _average(self, patches: list[Patch], frames: list[int], poses: list[np.ndarray]) -> None:
        """Robust mean and variance of every sample over the frames; samples hardly seen are left out."""
        known = self.precision.any()
        values, trust = np.zeros((2, len(frames), len(self.skin)), np.float32)
        for k, (patch, index, pose) in enumerate(zip(patches, frames, poses)):
            view = self.view(patch, self.skin.points(self.face.expression[index]), pose, self.visible(pose))
            values[k], trust[k] = view.seen[:, 0] / (self.gain(view) if known else 1.0), view.trust
        weight, count = trust, trust.sum(0)
        for _ in range(3):
            mean = (weight * values).sum(0) / np.maximum(weight.sum(0), 1e-6)
            variance = (trust * (values - mean) ** 2).sum(0) / np.maximum(count, 1e-6)
            weight = trust / (1 + (values - mean) ** 2 / (self.config.outlier**2 * variance + 1e-9)) ** 2
        enough = count > max(0.1 * len(frames), 1)
        # No sample is known better than half the usual: chance makes some variances small.
        floor = 0.5 * float(np.median(variance[enough])) if enough.any() else 0.0
        self.skin.keep(enough)
        self._visible.clear()
        self.texture, self.precision = mean[enough], 1 / (variance[enough] + floor + 1e-9)


def refine_pose(
    read: Callable[[int], np.ndarray], camera: CameraTrack, face: FaceTrack, basis: FaceBasis,
    jumps: tuple[int, ...] = (), config: PhotometricConfig = PhotometricConfig(),
) -> tuple[CameraTrack, PhotometricQuality]:
    """Refine the head's rotation and place in every frame with a face; memory does not grow with length.

    Args:
        read: frame number to its grey picture [h,w] uint8, the frame at any scale (see `small_grey`).
        camera, face: the landmark fit, of T frames.
        basis: the head model that they were fitted with.
        jumps: first frames after jumps, across which nothing is smoothed.

    Returns:
        The camera with refined poses, and what was done. Too few frames, too little skin, or a result that the
        landmarks contradict: the camera as it was.

    Raises:
        ValueError: camera and face of different lengths.
    """
    if len(camera) != len(face):
        raise ValueError(f"face: {len(face)} frames, but the camera has {len(camera)}")
    alignment = Alignment(camera, face, basis, config)
    poses = _follow(alignment, read, face.valid, config)
    if poses is None:
        return camera, _quality(camera, camera, alignment.middle, 0)
    poses = np.concatenate([
        _smooth(poses[run], alignment.start[run], face.valid[run], alignment.middle, camera.fps, config)
        for run in pieces(face.valid, jumps)])
    refined = replace(camera, head_to_camera=poses.astype(camera.head_to_camera.dtype))
    quality = _quality(camera, refined, alignment.middle, len(alignment.skin))
    # Landmarks do not miss by that much all through a clip: the texture has lost the head.
    furthest = config.place * max(camera.width, camera.height) / _SIDE
    if quality.turned_deg > 2 * config.rotation or quality.moved_px > furthest:
        return camera, _quality(camera, camera, alignment.middle, 0)
    return refined, quality


def _follow(alignment: Alignment, read: Callable[[int], np.ndarray], valid: np.ndarray,
            config: PhotometricConfig) -> np.ndarray | None:
    """[T,4,4] the pose of every valid frame that agrees with the clip's texture; None where there is too little."""
    found = np.flatnonzero(valid)
    if len(found) < 3:
        return None
    chosen = np.unique(np.linspace(0, len(found) - 1, min(config.keyframes, len(found))).round().astype(int))
    alignment.learn([read(int(index)) for index in found[chosen]], found[chosen].tolist())
    if len(alignment.skin) < _LEAST:
        return None
    poses, last = alignment.start.copy(), int(found[0])
    for index in found.tolist():
        # What the landmarks miss now is what they missed a moment ago.
        known = poses[last] @ np.linalg.inv(alignment.start[last]) @ alignment.start[index]
        poses[index] = alignment.align(alignment.patch(read(index), index), index, known)
        last = index
    return poses


def _quality(before: CameraTrack, after: CameraTrack, middle: np.ndarray, samples: int) -> PhotometricQuality:
    rotations = [Rotation.from_matrix(camera.head_to_camera[:, :3, :3]) for camera in (before, after)]
    places = [_place(camera.head_to_camera.astype(np.float64), middle) for camera in (before, after)]
    rays = [place[:, :2] / place[:, 2:] for place in places]
    return PhotometricQuality(
        samples=samples, turned_deg=_rms(np.rad2deg((rotations[1] * rotations[0].inv()).magnitude())),
        moved_px=_rms(np.linalg.norm(rays[1] - rays[0], axis=1)) * float(after.intrinsics[0, 0]))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _place(poses: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """[T,3] the head's point `middle` in the camera [m]."""
    return poses[:, :3, :3] @ middle + poses[:, :3, 3]


def _smooth(poses: np.ndarray, start: np.ndarray, valid: np.ndarray, middle: np.ndarray, fps: float,
            config: PhotometricConfig) -> np.ndarray:
    """[T,4,4] poses whose change against `start` is smoothed: rotation, ray to the face and depth each for itself.

    Frames without a face take the change from their neighbours.
    """
    trust = np.where(valid, 1.0, 1e-3)
    turns = Rotation.from_matrix(poses[:, :3, :3] @ start[:, :3, :3].transpose(0, 2, 1)).as_rotvec()
    (ray, depth), (ray_first, depth_first) = (
        (place[:, :2] / place[:, 2:], np.log(place[:, 2:])) for place in (_place(poses, middle), _place(start, middle)))
    ray = ray_first + adaptive(ray - ray_first, *config.place_cutoff, fps, trust)
    depth = np.exp(depth_first + adaptive(depth - depth_first, *config.depth_cutoff, fps, trust))
    result = poses.copy()
    turns = adaptive(turns, *config.rotation_cutoff, fps, trust)
    result[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix() @ start[:, :3, :3]
    result[:, :3, 3] = np.concatenate([ray * depth, depth], 1) - result[:, :3, :3] @ middle
    return result
