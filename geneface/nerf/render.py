"""Whole frames of an avatar."""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import ops
from ..devices import AUTO, find_device
from ..types import Avatar
from .cameras import camera_rays, image_pixels, invert_rigid
from .pack import unpack_portrait
from .portrait import MIN_NEAR_M, Portrait, over
from .torso import pose_values
from .views import CameraMove, View, close_gaps

CHUNK = 65536  # torso pixels evaluated at once: bounds memory
MAX_SAMPLES = 64
TILE = 8  # rays are rendered in square tiles of pixels: neighbours read the same table rows
HIDDEN = 0.999  # head opacity behind which nothing can be seen: neither the torso nor further samples of the head


@dataclass(frozen=True)
class Layers:
    """A rendered frame, layer by layer.

    Attributes:
        rgb: [H,W,3] composited picture in [0,1].
        head_rgb: [H,W,3] head, premultiplied. head_alpha: [H,W] its opacity. depth: [H,W] its distance
            [m], premultiplied.
        torso_rgb: [H,W,3]. torso_alpha: [H,W] (zero behind the head).
    """

    rgb: Tensor
    head_rgb: Tensor
    head_alpha: Tensor
    depth: Tensor
    torso_rgb: Tensor
    torso_alpha: Tensor


@dataclass(frozen=True)
class Constants:
    """What is the same in all frames of a portrait.

    Attributes:
        field: the head field as its `draw` takes it.
        box: [6] the box in head space [m] that holds all occupied cells.
    """

    field: ops.MovingField | None
    box: Tensor

    @classmethod
    def of(cls, portrait: Portrait, amp: bool) -> "Constants":
        """Args: amp: grids and networks in bfloat16."""
        return cls(portrait.head.fused(torch.bfloat16 if amp else torch.float32), _occupied_box(portrait))


@torch.no_grad()
def render_layers(
    portrait: Portrait, landmarks: Tensor, head_to_camera: Tensor, intrinsics: Tensor, plate: Tensor, step: float,
    amp: bool, constants: Constants | None = None, move: CameraMove | None = None,
) -> Layers:
    """Render one frame.

    Args:
        landmarks: [68,3] canonical driving landmarks [m], or [69,3] `MotionSequence.driving` values.
        head_to_camera: [4,4] rigid transform [m], as tracked.
        intrinsics: [3,3] pinhole matrix of the picture to be made [px].
        plate: [H,W,3] background in [0,1]; its size is the picture's.
        step: sample distance [m].
        amp: grids and networks in bfloat16.
        constants: made once for many frames; None makes them anew.
        move: to another camera than the one that `head_to_camera` leads to.
    """
    height, width = plate.shape[:2]
    pixels = image_pixels(width, height, plate.device)
    constants = constants or Constants.of(portrait, amp)
    image, alpha, depth = (plate.new_zeros(len(pixels), *shape) for shape in ((3,), (), ()))
    corrected = portrait.pose.head_to_camera(head_to_camera[None], portrait.head.whole(landmarks[None]))[0]
    seen_from = corrected if move is None else move.pose(corrected)
    rows = _box_pixels(constants.box, seen_from, intrinsics, width, height)
    rays_o, rays_d = camera_rays(intrinsics, invert_rigid(seen_from), pixels[rows])
    image[rows], alpha[rows], depth[rows] = portrait.head.draw(
        constants.field, rays_o, rays_d, landmarks, portrait.occupancy, step, MAX_SAMPLES, MIN_NEAR_M, 1 - HIDDEN
    )
    if move is not None:
        closed = close_gaps(image.view(height, width, 3), alpha.view(height, width), depth.view(height, width))
        image, alpha, depth = (value.flatten(0, 1) for value in closed)
        pixels = move.torso_pixels(pixels, width, height)
    landmarks, pose = landmarks[None], head_to_camera[None]
    torso_rgb, torso_alpha = torch.zeros_like(image), torch.zeros_like(alpha)
    region = F.interpolate(portrait.torso_region[None, None].float(), size=(height, width))[0, 0] > 0
    column, row = pixels.long().unbind(1)
    region = region[row, column]
    side = max(width, height)
    motion = portrait.torso.predict(pose_values(landmarks, pose, intrinsics, side))
    for rows in torch.nonzero(region & (alpha < HIDDEN)).flatten().split(CHUNK):
        torso_rgb[rows], torso_alpha[rows] = portrait.torso(
            pixels[rows] / side, motion, bf16=amp
        )
    behind = over(torso_rgb * torso_alpha[:, None], torso_alpha, plate.reshape(-1, 3))
    rgb = over(image, alpha, behind)
    shape = (height, width)
    return Layers(
        rgb.view(*shape, 3), image.view(*shape, 3), alpha.view(shape), depth.view(shape),
        torso_rgb.view(*shape, 3), torso_alpha.view(shape),
    )


def _occupied_box(portrait: Portrait) -> Tensor:
    """[6] the box of the occupied cells [m]; of no extent where there are none."""
    size, aabb = portrait.occupancy.size, portrait.head.aabb
    bits = portrait.occupancy.bits[:, None] >> torch.arange(8, device=aabb.device, dtype=torch.uint8) & 1
    cells = bits.flatten()[: size**3].view(size, size, size) > 0
    low, high = torch.zeros(3, device=aabb.device), torch.zeros(3, device=aabb.device)
    for axis, others in enumerate([(0, 1), (0, 2), (1, 2)]):  # x is the last dimension
        occupied = torch.nonzero(cells.any(others[1]).any(others[0])).flatten()
        if len(occupied):
            low[axis], high[axis] = occupied[0], occupied[-1] + 1
    corner, extent = aabb[:3], aabb[3:] - aabb[:3]
    return torch.cat([corner + low / size * extent, corner + high / size * extent])


def _box_pixels(box: Tensor, head_to_camera: Tensor, intrinsics: Tensor, width: int, height: int) -> Tensor:
    """Numbers of the pixels in the image rectangle of a box in head space, tile by tile."""
    corners = torch.cartesian_prod(*torch.stack([box[:3], box[3:]], dim=1))
    camera = corners @ head_to_camera[:3, :3].T + head_to_camera[:3, 3]
    if bool((camera[:, 2] <= 0.01).any()):  # the camera is beside the box: no rectangle bounds it
        return _tiled(torch.arange(width * height, device=camera.device).view(height, width))
    image = camera @ intrinsics.T
    image = image[:, :2] / image[:, 2:]
    left, top = image.amin(0).floor().long().tolist()
    right, bottom = image.amax(0).ceil().long().tolist()
    # Clamped at both ends: a head that has left the picture leaves an empty rectangle.
    columns = torch.arange(width, device=camera.device)[max(left, 0) : max(right, 0)]
    rows = torch.arange(height, device=camera.device)[max(top, 0) : max(bottom, 0)]
    return _tiled(rows[:, None] * width + columns)


def _tiled(numbers: Tensor) -> Tensor:
    """[H*W] values of [H,W], one square tile after another."""
    height, width = numbers.shape
    if numbers.numel() == 0:
        return numbers.flatten()
    padded = F.pad(numbers, (0, -width % TILE, 0, -height % TILE), value=-1)
    tiles = padded.unflatten(1, (-1, TILE)).unflatten(0, (-1, TILE)).transpose(1, 2).flatten()
    return tiles[tiles >= 0]


class AvatarRenderer:
    """Renders frames of an avatar.

    ```
    renderer = AvatarRenderer(Avatar.load("me.avatar"))
    picture = renderer.frame(motion.driving[0], avatar.camera.head_to_camera[0])
    ```

    Args:
        avatar: the person.
        size: longer side of the pictures [px]; 0 for the size that the avatar was fitted at.
        step_mm: sample distance in head space; 0 for the avatar's own.
        amp: networks in bfloat16.
        device: where to render; see `devices.find_device`.
    """

    def __init__(
        self, avatar: Avatar, size: int = 0, step_mm: float = 0.0, amp: bool = True,
        device: str | torch.device = AUTO,
    ) -> None:
        self.device = find_device(device) if isinstance(device, str) else device
        self.portrait = unpack_portrait(avatar, self.device)
        self._constants = Constants.of(self.portrait, amp)
        self._step = step_mm / 1000 or avatar.field["step_m"]
        self._amp = amp
        plate = torch.from_numpy(np.array(avatar.background)).float() / 255  # a copy: files give read-only arrays
        scale = size / max(plate.shape[:2]) if size else 1.0
        if scale != 1.0:
            shape = tuple(round(n * scale) for n in plate.shape[:2])
            plate = F.interpolate(
                plate.permute(2, 0, 1)[None], size=shape, mode="bicubic", antialias=True, align_corners=False
            )[0].permute(1, 2, 0).clamp(0, 1)
        self._plate = plate.contiguous().to(self.device)
        # Scaling an image scales the intrinsics: pixel centres are at +0.5, so there is no further shift.
        scaling = torch.diag(torch.tensor([scale, scale, 1.0]))
        self._intrinsics = (scaling @ torch.from_numpy(np.array(avatar.camera.intrinsics)).float()).to(self.device)
        self._camera = avatar.camera

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures [px]."""
        return self._plate.shape[1], self._plate.shape[0]

    @property
    def background(self) -> np.ndarray:
        """[H,W,3] float32 in [0,1]: the plate that the pictures have behind the person."""
        return self._plate.cpu().numpy()

    @property
    def intrinsics(self) -> np.ndarray:
        """[3,3] pinhole matrix of the pictures [px]."""
        return self._intrinsics.cpu().numpy()

    @property
    def head_box(self) -> np.ndarray:
        """[2,3] lowest and highest corner of the box in head space [m] that holds all of the head."""
        return self._constants.box.view(2, 3).cpu().numpy().astype(float)

    @torch.no_grad()
    def trace(
        self, landmarks: np.ndarray, rays_o: np.ndarray, rays_d: np.ndarray, near: float = MIN_NEAR_M
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The head along rays of its own space, in steps of half the sample distance.

        Args:
            landmarks: [68,3] canonical driving landmarks [m], or [69,3] `MotionSequence.driving` values.
            rays_o, rays_d: [N,3] origins [m] and unit directions.
            near: distance at which rays begin [m].

        Returns:
            rgb [N,3] and distance [N] [m], both premultiplied, and alpha [N].
        """
        move = partial(torch.as_tensor, dtype=torch.float32, device=self.device)
        rgb, alpha, distance = self.portrait.head.draw(
            self._constants.field, move(rays_o), move(rays_d), move(landmarks), self.portrait.occupancy,
            self._step / 2, 2 * MAX_SAMPLES, near, 1 - HIDDEN,
        )
        return rgb.cpu().numpy(), distance.cpu().numpy(), alpha.cpu().numpy()

    @torch.no_grad()
    def rays(self, landmarks: np.ndarray, pixels: np.ndarray, head_to_camera: np.ndarray) -> tuple[Tensor, Tensor]:
        """The head alone at image positions: colours [N,3], premultiplied, and opacity [N].

        Args:
            landmarks, head_to_camera: as for `frame`. pixels: [N,2] image positions [px].
        """
        move = partial(torch.as_tensor, dtype=torch.float32, device=self.device)
        head, driving = self.portrait.head, move(np.array(landmarks))
        pose = self.portrait.pose.head_to_camera(move(np.array(head_to_camera))[None], head.whole(driving[None]))[0]
        rgb, alpha, _ = head.draw(
            self._constants.field, *camera_rays(self._intrinsics, invert_rigid(pose), move(pixels)), driving,
            self.portrait.occupancy, self._step, MAX_SAMPLES, MIN_NEAR_M, 1 - HIDDEN,
        )
        return rgb, alpha

    def layers(
        self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()
    ) -> Layers:
        """Like `frame`, with head, torso and opacities apart, as float tensors."""
        return render_layers(
            self.portrait, torch.from_numpy(np.array(landmarks, np.float32)).to(self.device),
            torch.from_numpy(np.array(head_to_camera, np.float32)).to(self.device), self._intrinsics, self._plate,
            self._step, self._amp, self._constants, CameraMove.of(view, self._camera, self.intrinsics),
        )

    def frame(
        self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()
    ) -> np.ndarray:
        """One picture.

        Args:
            landmarks: [68,3] canonical driving landmarks [m], or [69,3] `MotionSequence.driving` values.
            head_to_camera: [4,4] rigid head pose [m].
            view: of a camera that goes round the head; the recorded one's by default.

        Returns:
            [H,W,3] uint8 RGB.
        """
        rgb = self.layers(landmarks, head_to_camera, view).rgb
        return (rgb * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
