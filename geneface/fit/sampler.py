"""Training rays of a prepared person: which pixels of which frames, and what they should show."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..progress import track
from ..types import PreparedPerson

# Shares of rays: over the whole frame, the boxes of torso and head, the mouth, the eyes. Torso rays cost
# next to nothing beside head rays, which pass through many samples.
SHARES = {"frame": 0.20, "torso": 0.20, "head": 0.30, "mouth": 0.18, "eyes": 0.12}
# Where the patches of the perceptual loss lie.
PATCHES = {"frame": 0.15, "torso": 0.15, "head": 0.35, "mouth": 0.25, "eyes": 0.10}
# Around what the head hides of the torso, so far as the head is there too, the torso is known to end [image sides].
HIDDEN_MARGIN = 0.03


class FrameStore:
    """Frames, masks and hidden torso of a person as uint8, in memory where they fit, else decoded on demand."""

    def __init__(self, person: PreparedPerson, frames: Sequence[int], cache_mb: float, threads: int = 2) -> None:
        """Args: frames: frame numbers; positions in this list index the store. cache_mb: memory to use."""
        self._person, self._frames = person, list(frames)
        width, height = person.size
        self._picture: np.ndarray | None = None
        if len(self._frames) * width * height * 7 <= cache_mb * 1e6:  # the hidden part is well below a byte a pixel
            self._picture = np.empty((len(self._frames), height, width, 6), np.uint8)
            self._hidden: list[Patch] = [Patch.EMPTY] * len(self._frames)

            def read(slot: int) -> None:
                self._picture[slot], self._hidden[slot] = self._decode(slot)

            with ThreadPoolExecutor(threads) as pool:
                list(track(pool.map(read, range(len(self._frames))), "reading frames", len(self._frames)))
        else:
            self._read = lru_cache(maxsize=64)(self._decode)

    def _decode(self, slot: int) -> tuple[np.ndarray, "Patch"]:
        index = self._frames[slot]
        mask = self._person.mask(index)
        hidden = Patch.behind(mask[..., 0], self._person.torso(index))
        return np.concatenate([self._person.frame(index), mask], axis=-1), hidden

    def __len__(self) -> int:
        return len(self._frames)

    def picture(self, slot: int) -> np.ndarray:
        """[H,W,6] uint8: RGB, then head, torso and background masks."""
        return self._picture[slot] if self._picture is not None else self._read(slot)[0]

    def hidden(self, slot: int) -> "Patch":
        """The torso around the part of it that the head hides."""
        return self._hidden[slot] if self._picture is not None else self._read(slot)[1]


@dataclass(frozen=True)
class Patch:
    """A piece of a picture.

    Attributes:
        left, top: where it lies [px].
        rgba: [h,w,4] uint8.
    """

    EMPTY: ClassVar["Patch"]

    left: int
    top: int
    rgba: np.ndarray

    @classmethod
    def behind(cls, head: np.ndarray, torso: np.ndarray) -> "Patch":
        """The piece of a torso [H,W,4] uint8 that lies behind a head mask [H,W] uint8, and some around it."""
        both = (head > 0) & (torso[..., 3] > 0)
        ys, xs = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
        if not len(ys):
            return cls.EMPTY
        margin = round(HIDDEN_MARGIN * max(head.shape))
        top, left = max(0, ys[0] - margin), max(0, xs[0] - margin)
        return cls(left, top, torso[top:ys[-1] + 1 + margin, left:xs[-1] + 1 + margin].copy())

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the pixels [N] it covers, bool [N], and its values there [N,4], zero elsewhere."""
        height, width = self.rgba.shape[:2]
        x, y = x - self.left, y - self.top
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        values = np.zeros((len(x), 4), np.uint8)
        values[inside] = self.rgba[y[inside], x[inside]]
        return inside, values


Patch.EMPTY = Patch(0, 0, np.zeros((0, 0, 4), np.uint8))


@dataclass(frozen=True)
class RayBatch:
    """Rays of a few training frames.

    Attributes:
        frames: [F] positions of the frames in the training set.
        slot: [N] which of them each ray belongs to.
        pixels: [N,2] image positions [px].
        rgb: [N,3] in [0,1], what the video shows.
        head, torso, background: [N] masks in [0,1]; what their sum lacks of 1 is hidden by something in front.
        plate: [N,3] background plate.
        on_face: [N] bool, inside the box of the face's landmarks.
        hidden: [N] share of the pixel in which the head hides what is known of the torso, in [0,1].
        hidden_torso: [N,4] colour and alpha of the torso there.
        patch: side of the square of pixels that the last patch**2 rays are, row by row; 0 for none.
    """

    frames: Tensor
    slot: Tensor
    pixels: Tensor
    rgb: Tensor
    head: Tensor
    torso: Tensor
    background: Tensor
    plate: Tensor
    on_face: Tensor
    hidden: Tensor
    hidden_torso: Tensor
    patch: int = 0

    def __len__(self) -> int:
        return len(self.slot)

    def to(self, device: torch.device) -> "RayBatch":
        """The same batch on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "patch"}
        return RayBatch(**{name: value.to(device) for name, value in tensors.items()}, patch=self.patch)


class RaySampler:
    """Draws `RayBatch`es: a few frames at a time, more rays where people look (mouth and eyes)."""

    def __init__(
        self, store: FrameStore, boxes: dict[str, np.ndarray], plate: np.ndarray, seed: int, frames_per_batch: int,
        rarity: np.ndarray | None = None,
    ) -> None:
        """
        Args:
            boxes: "head", "torso", "mouth", "eyes", "face" -> [T,4] left, top, right, bottom of each frame [px].
            plate: [H,W,3] uint8 background.
            seed: of the order of frames and pixels.
            rarity: [T] how unusual each frame's motion is: half of all draws are in proportion to it
                (blinks and wide-open mouths are few, and matter). None draws all frames alike.
        """
        self._store, self._plate = store, plate
        self._height, self._width = plate.shape[:2]
        limit = np.array([self._width, self._height] * 2)
        clipped = {name: np.clip(box, 0, limit) for name, box in boxes.items()}
        clipped["frame"] = np.tile([0, 0, self._width, self._height], (len(store), 1)).astype(float)
        for box in clipped.values():  # at least one pixel
            box[:, :2] = np.minimum(box[:, :2], limit[:2] - 1)
            box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 1)
        self._boxes = clipped
        self._random = np.random.default_rng(seed)
        self._frames_per_batch = min(frames_per_batch, len(store))
        even = np.full(len(store), 1 / len(store))
        self._odds = even if rarity is None else 0.5 * even + 0.5 * rarity / rarity.sum()

    def state(self) -> dict:
        """JSON state of the random generator, for checkpoints."""
        return self._random.bit_generator.state

    def restore(self, state: dict) -> None:
        self._random.bit_generator.state = state

    def next(self, rays: int, patch: int = 0) -> RayBatch:
        """Draw about `rays` rays, and those of a square patch of `patch` pixels a side of one of the frames."""
        frames = self._random.choice(len(self._store), self._frames_per_batch, replace=False, p=self._odds)
        parts = [
            self._read(slot, int(frame), self._scattered(int(frame), rays // len(frames)))
            for slot, frame in enumerate(frames)
        ]
        patch = min(patch, self._width, self._height)
        if patch:
            parts.append(self._read(0, int(frames[0]), self._square(int(frames[0]), patch)))
        columns = [np.concatenate(column) for column in zip(*parts)]
        slot, xy, picture, on_face, covered, torso = columns
        picture = torch.from_numpy(picture).float() / 255
        x, y = xy.T
        return RayBatch(
            frames=torch.from_numpy(frames), slot=torch.from_numpy(slot), pixels=torch.from_numpy(xy).float() + 0.5,
            rgb=picture[:, :3], head=picture[:, 3], torso=picture[:, 4], background=picture[:, 5],
            plate=torch.from_numpy(self._plate[y, x]).float() / 255, on_face=torch.from_numpy(on_face),
            hidden=picture[:, 3] * torch.from_numpy(covered), hidden_torso=torch.from_numpy(torso).float() / 255,
            patch=patch,
        )

    def _scattered(self, frame: int, rays: int) -> np.ndarray:
        """[N,2] pixels of a frame."""
        points = []
        for name, share in SHARES.items():
            low, high = np.split(self._boxes[name][frame], 2)
            points.append(low + self._random.random((max(1, round(share * rays)), 2)) * (high - low))
        return np.minimum(np.concatenate(points).astype(np.int64), [self._width - 1, self._height - 1])

    def _square(self, frame: int, side: int) -> np.ndarray:
        """[side**2,2] pixels of a square about a point of one of the boxes."""
        name = self._random.choice(list(PATCHES), p=list(PATCHES.values()))
        low, high = np.split(self._boxes[name][frame], 2)
        corner = low + self._random.random(2) * (high - low) - side / 2
        corner = np.clip(corner, 0, np.array([self._width, self._height]) - side).astype(np.int64)
        y, x = np.divmod(np.arange(side * side), side)
        return np.stack([x, y], axis=1) + corner

    def _read(self, slot: int, frame: int, xy: np.ndarray) -> tuple[np.ndarray, ...]:
        """What a frame shows at pixels [N,2], column by column of the batch."""
        picture = self._store.picture(frame)
        x, y = xy.T
        values = picture[y, x]
        left, top, right, bottom = self._boxes["face"][frame]
        on_face = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return np.full(len(xy), slot, np.int64), xy, values, on_face, *self._store.hidden(frame).at(x, y)


def landmark_boxes(landmarks: np.ndarray, indices: Sequence[int], margin: float) -> np.ndarray:
    """[T,4] boxes (left, top, right, bottom) around landmarks [T,478,2], grown by `margin` of their size."""
    points = landmarks[:, list(indices)]
    low, high = points.min(1), points.max(1)
    grow = (high - low).max(1, keepdims=True) * margin
    return np.concatenate([low - grow, high + grow], axis=1)


def mask_boxes(store: FrameStore, channel: int, margin: float, every: int = 10) -> np.ndarray:
    """[T,4] boxes of a mask, measured on every tenth frame and interpolated between them."""
    slots = list(range(0, len(store), every)) + ([len(store) - 1] if (len(store) - 1) % every else [])
    boxes = []
    for slot in slots:
        mask = store.picture(slot)[..., channel] > 127
        ys, xs = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        if len(ys):
            box = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], float)
            grow = margin * (box[2:] - box[:2]).max()
            boxes.append(box + np.array([-grow, -grow, grow, grow]))
        else:
            boxes.append(np.array([0, 0, mask.shape[1], mask.shape[0]], float))
    columns = np.array(boxes).T
    return np.stack([np.interp(np.arange(len(store)), slots, column) for column in columns], axis=1)
