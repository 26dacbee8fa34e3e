"""A prepared person made of formulas: an ellipsoid head with a moving mouth over a trapezoid torso.

Everything about it is known exactly, and it is quick to make: for tests of the renderer and the fit
that should not depend on face tracking.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from geneface.face.landmarks import EYE_LEFT, EYE_RIGHT, LIPS
from geneface.types import CameraTrack, FaceTrack, MotionSequence, PreparedPerson

RADII = np.array([0.075, 0.11, 0.09])  # half axes of the head [m]
MOUTH = np.array([0.0, 0.05])  # x and y of the mouth in head space [m]


def surface(xy: np.ndarray) -> np.ndarray:
    """[N,3] points of the head's front at x and y [N,2] [m]."""
    inside = np.clip(1 - ((xy / RADII[:2]) ** 2).sum(-1), 0, None)
    return np.concatenate([xy, -RADII[2] * np.sqrt(inside)[:, None]], axis=1)


def landmarks68(opening: np.ndarray) -> np.ndarray:
    """[T,68,3] landmarks for mouth openings [T] [m]: jaw line, brows, nose, eyes, and lips that part."""
    angle = np.linspace(0, np.pi, 17)
    jaw = np.stack([-0.07 * np.cos(angle), 0.095 * np.sin(angle)], -1)
    brows = np.stack([np.r_[np.linspace(-0.05, -0.015, 5), np.linspace(0.015, 0.05, 5)], np.full(10, -0.04)], -1)
    nose_x = np.r_[np.zeros(4), np.linspace(-0.012, 0.012, 5)]
    nose = np.stack([nose_x, np.r_[np.linspace(-0.02, 0.01, 4), np.full(5, 0.018)]], -1)
    ring6, ring12, ring8 = (np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (6, 12, 8))
    eye = np.stack([0.012 * np.cos(ring6), -0.02 + 0.005 * np.sin(ring6)], -1)
    eyes = np.concatenate([eye + [x, 0] for x in (-0.03, 0.03)])
    rest = np.concatenate([jaw, brows, nose, eyes])
    out = []
    for amount in opening:
        lips = [
            MOUTH + np.stack([width * np.cos(ring), (thick + amount / 2) * np.sin(ring)], -1)
            for ring, width, thick in ((ring12, 0.025, 0.008), (ring8, 0.018, 0.0))
        ]
        out.append(surface(np.concatenate([rest, *lips])))
    return np.array(out)


def _paint(points: np.ndarray, opening: float) -> np.ndarray:
    """[N,3] colours in [0,1] of head points [N,3]."""
    x, y, z = points.T
    colour = np.stack([0.75 + 0.1 * y / 0.11, 0.55 + 0.05 * x / 0.075, 0.45 + 0 * x], -1)
    colour[(y < -0.05) | (z > 0.01)] = (0.25, 0.17, 0.1)
    for side in (-0.03, 0.03):
        colour[((x - side) / 0.012) ** 2 + ((y + 0.02) / 0.006) ** 2 < 1] = (0.95, 0.95, 0.95)
        colour[(x - side) ** 2 + (y + 0.02) ** 2 < 0.005**2] = (0.1, 0.2, 0.3)
    across, up = (x - MOUTH[0]) / 0.025, y - MOUTH[1]
    colour[across**2 + (up / (0.008 + opening / 2)) ** 2 < 1] = (0.7, 0.25, 0.25)
    colour[(across / 0.72) ** 2 + (up / max(opening / 2, 1e-5)) ** 2 < 1] = (0.15, 0.03, 0.03)
    return colour


def make_mock_person(
    path: Path, frames: int = 55, width: int = 72, height: int = 64, seed: int = 0
) -> tuple[PreparedPerson, MotionSequence]:
    """Write a prepared person to `path`; also its motion."""
    random = np.random.default_rng(seed)
    time = np.arange(frames) / 25
    opening = 0.012 * (1 + np.sin(2 * np.pi * 2.1 * time + random.random())) * (np.sin(2 * np.pi * 0.4 * time) > -0.6)
    nod, turn = 0.12 * np.sin(2 * np.pi * 0.5 * time), 0.25 * np.sin(2 * np.pi * 0.37 * time + 1)
    angles = np.stack([nod, turn, 0.05 * np.sin(time)], -1)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    poses[:, :3, 3] = np.stack([0.012 * np.sin(2 * time), -0.03 + 0.006 * np.cos(3 * time), 0.6 + 0 * time], -1)
    focal = 1.5 * height
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    y, x = np.mgrid[:height, :width] + 0.5
    plate = np.stack([40 + 60 * x / width, 90 + 50 * y / height, 120 + 0 * x], -1).astype(np.uint8)
    for folder in ("frames", "masks", "torso"):
        (path / folder).mkdir(parents=True)
    canonical = landmarks68(opening)
    images = np.zeros((frames, 478, 2))
    for index, pose in enumerate(poses):
        picture, mask, torso = _picture(x, y, intrinsics, pose, opening[index], plate)
        Image.fromarray(picture).save(path / "frames" / f"{index:06d}.jpg", quality=98, subsampling=0)
        Image.fromarray(mask).save(path / "masks" / f"{index:06d}.png")
        Image.fromarray(torso).save(path / "torso" / f"{index:06d}.png")
        image = (canonical[index] @ pose[:3, :3].T + pose[:3, 3]) @ intrinsics.T
        image = image[:, :2] / image[:, 2:]
        images[index] = image[np.arange(478) % 27]
        for indices, part in ((LIPS, slice(48, 68)), (EYE_LEFT, slice(36, 42)), (EYE_RIGHT, slice(42, 48))):
            images[index][list(indices)] = image[part][np.arange(len(indices)) % (part.stop - part.start)]
    Image.fromarray(plate).save(path / "background.png")
    poses, intrinsics = poses.astype(np.float32), intrinsics.astype(np.float32)
    CameraTrack(intrinsics, poses, width, height, 25.0).save(path / "camera.npz")
    expression = np.zeros((frames, 52), np.float32)
    expression[:, 24] = opening / 0.024
    FaceTrack(
        images.astype(np.float32), np.ones(frames, bool), np.zeros(8, np.float32), expression,
        np.ones((frames, 2), np.float32), np.zeros((frames, 2), np.float32), 25.0,
    ).save(path / "face.npz")
    manifest = {
        "schema_version": 1, "finished": True, "frames": frames, "fps": 25.0, "width": width, "height": height,
        "train_frames": frames * 10 // 11, "source": {"name": "mock"}, "consent": {"text": "a formula"},
    }
    (path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    motion = MotionSequence(
        canonical.astype(np.float32), expression, np.zeros(frames, np.float32), np.zeros((frames, 2), np.float32),
        25.0, "mock",
    )
    return PreparedPerson.open(path), motion


def _picture(x, y, intrinsics, pose, opening: float, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[H,W,3] uint8 picture and masks of one frame, and its whole torso [H,W,4]."""
    height, width = x.shape
    pixels = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    rays = pixels @ np.linalg.inv(intrinsics).T @ pose[:3, :3]
    origin = -pose[:3, :3].T @ pose[:3, 3]
    # |(o + t d) / radii| = 1
    o, d = origin / RADII, rays / RADII
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
    inside = b * b - a * c
    hit = inside > 0
    t = (-b - np.sqrt(np.clip(inside, 0, None))) / a
    colour = plate.reshape(-1, 3) / 255
    centre = width / 2 + 0.3 * intrinsics[0, 0] * pose[0, 3] / pose[2, 3]
    torso = (np.abs(pixels[:, 0] - centre) < 0.11 * height) & (pixels[:, 1] > 0.5 * height)
    torso |= np.abs(pixels[:, 0] - centre) < (pixels[:, 1] - 0.78 * height) * 2.5
    colour[torso] = np.where(pixels[torso, 1:2] > 0.85 * height, [[0.2, 0.2, 0.5]], [[0.65, 0.45, 0.38]])
    whole = np.concatenate([colour * torso[:, None], torso[:, None]], -1)
    colour[hit] = _paint((origin + t[:, None] * rays)[hit], opening)
    mask = np.stack([hit, torso & ~hit, ~torso & ~hit], -1) * 255
    shape = (height, width, -1)
    pictures = (colour * 255).round(), mask, (whole * 255).round()
    return tuple(value.clip(0, 255).astype(np.uint8).reshape(shape) for value in pictures)
