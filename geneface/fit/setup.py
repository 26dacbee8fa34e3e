"""What a fit needs before its first step: boxes, statistics, and a carved, untrained portrait."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..config import FitConfig
from ..errors import UserError
from ..face.landmarks import BROWS, EYE_LEFT, EYE_RIGHT, EYES_68, FACE_OVAL, LIPS, LIPS_INNER_68
from ..nerf.condition import LEAST_DEVIATION_M
from ..nerf.head import HeadSpec
from ..nerf.occupancy import DepthBand
from ..nerf.portrait import Portrait
from ..nerf.radnerf import RadNerfSpec
from ..nerf.torso import TorsoSpec, pose_values
from ..types import CANONICAL_LANDMARKS, MotionSequence, PreparedPerson
from .sampler import FrameStore, landmark_boxes, mask_boxes
from .start import HeadStart

CARVE_VIEWS = 80
MOVING, RAD_NERF = "moving", "rad-nerf"  # head fields
BEHIND_FACE_M = 0.12  # room behind the deepest landmark (before the ears) for ears and hair
BEFORE_FACE_M = 0.03


def check_field(config: FitConfig) -> None:
    """Raises UserError for a head field that there is not."""
    if config.field not in (MOVING, RAD_NERF):
        raise UserError(f"field: {config.field!r} is not known; give {MOVING} or {RAD_NERF}")


def training_frames(person: PreparedPerson) -> list[int]:
    """Training frames in which a face was tracked."""
    valid = person.face.valid
    frames = [index for index in person.train_frames if valid[index]]
    if len(frames) < 10:
        raise UserError(
            f"{person.path}: a face was tracked in {len(frames)} training frames, at least 10 are needed; "
            "film the face longer and from the front"
        )
    return frames


def focus_boxes(person: PreparedPerson, frames: list[int], store: FrameStore) -> dict[str, np.ndarray]:
    """Boxes that `RaySampler` draws from, [T,4] each [px]."""
    landmarks = person.face.landmarks[frames].astype(float)
    return {
        "head": mask_boxes(store, 3, 0.04), "torso": mask_boxes(store, 4, 0.02),
        "mouth": landmark_boxes(landmarks, LIPS, 0.25),
        "eyes": landmark_boxes(landmarks, [*EYE_LEFT, *EYE_RIGHT, *BROWS], 0.1),
        "face": landmark_boxes(landmarks, FACE_OVAL, 0.05),
    }


def head_box(store: FrameStore, poses: Tensor, intrinsics: Tensor, landmarks: Tensor) -> Tensor:
    """[6] box of head space [m] that holds the head in all training frames.

    Sideways and in height from the head masks, carried back to the depth of the head's origin; in
    depth from the landmarks.
    """
    slots = np.linspace(0, len(store) - 1, CARVE_VIEWS).astype(int)
    low, high = [], []
    for slot in np.unique(slots):
        ys, xs = np.nonzero(store.picture(int(slot))[..., 3] > 127)
        if not len(xs):
            continue
        corners = torch.tensor([[a, b, 1.0] for a in (xs.min(), xs.max() + 1) for b in (ys.min(), ys.max() + 1)])
        pose = poses[slot]
        camera = corners @ torch.linalg.inv(intrinsics).T * pose[2, 3]
        head = (camera - pose[:3, 3]) @ pose[:3, :3]
        low.append(head[:, :2].amin(0))
        high.append(head[:, :2].amax(0))
    if not low:
        raise UserError("the head masks are empty; run geneface prepare again and look at its report")
    # Extremes of single frames are mask errors more often than hair.
    low, high = torch.stack(low).quantile(0.02, 0), torch.stack(high).quantile(0.98, 0)
    depth = landmarks[..., 2]
    margin = 0.03 * (high - low)
    return torch.cat([
        low - margin, (depth.min() - BEFORE_FACE_M)[None], high + margin, (depth.max() + BEHIND_FACE_M)[None],
    ])


def build_portrait(
    person: PreparedPerson, motion: MotionSequence, frames: list[int], store: FrameStore, config: FitConfig,
    band: DepthBand | None, start: HeadStart | None = None,
) -> Portrait:
    """An untrained portrait with box, occupancy, torso region and statistics of the training frames.

    Args:
        motion: driving landmarks of all frames of the person.
        band: depths where the head can be; None if unknown.
        start: what its head takes over from other people's, if it suits; None to start at random.
    """
    width, height = person.size
    side = max(width, height)
    intrinsics = torch.from_numpy(person.camera.intrinsics).float()
    poses = torch.from_numpy(person.camera.head_to_camera[frames]).float()
    driving = torch.from_numpy(motion.driving[frames])
    landmarks = driving[:, :CANONICAL_LANDMARKS]
    # Two grid cells a pixel suffice: the head covers about half of the image.
    finest = int(np.clip(side * 2, 128, 2048))
    head = (RadNerfSpec if config.field == RAD_NERF else HeadSpec)(
        driving=driving[0].numel(), levels=config.levels, max_resolution=finest,
        log2_table_size=config.log2_table_size, hidden=config.hidden,
    )
    torso = TorsoSpec(
        levels=config.levels, max_resolution=int(np.clip(side, 128, 2048)), log2_table_size=config.log2_table_size,
        hidden=config.hidden,
    )
    portrait = Portrait(head, torso, len(frames), config.grid_size, width, height)
    portrait.head.aabb.copy_(head_box(store, poses, intrinsics, landmarks))
    portrait.head.encoder.standardise.set(driving.flatten(1), LEAST_DEVIATION_M)
    if start is not None and start.suits(portrait.head):
        start.begin(portrait.head)
    portrait.pose.set(poses, driving.flatten(1))
    portrait.torso.predict.set(pose_values(landmarks, poses, intrinsics, side))

    views = np.unique(np.linspace(0, len(store) - 1, CARVE_VIEWS).astype(int))
    masks = (
        # What something in front hides may be head.
        (poses[slot], 1 - torch.from_numpy(store.picture(int(slot))[..., 4:].sum(-1, dtype=np.float32) / 255))
        for slot in views
    )
    portrait.occupancy.carve(portrait.head.aabb, intrinsics, masks, face_front=band)

    seen = np.zeros((height, width), bool)
    for slot in range(0, len(store), 5):
        seen |= store.picture(slot)[..., 4] > 25
        hidden = store.hidden(slot)
        height_, width_ = hidden.rgba.shape[:2]
        seen[hidden.top:hidden.top + height_, hidden.left:hidden.left + width_] |= hidden.rgba[..., 3] > 25
    margin = max(2, round(0.08 * side))
    grown = torch.nn.functional.max_pool2d(torch.from_numpy(seen)[None, None].float(), 2 * margin + 1, 1, margin)
    portrait.torso_region.copy_(grown[0, 0] > 0)
    return portrait


def rarity(motion: MotionSequence, frames: list[int]) -> np.ndarray:
    """[T] how far the mouth or the eyes of each frame are from their mean, in their own deviations."""
    out = np.zeros(len(frames))
    for part in (EYES_68, LIPS_INNER_68):
        points = motion.landmarks[frames][:, part].reshape(len(frames), -1).astype(float)
        distance = np.linalg.norm(points - points.mean(0), axis=1)
        out += np.minimum(distance, np.quantile(distance, 0.99)) / max(distance.mean(), 1e-9)
    return out.clip(min=1e-6)
