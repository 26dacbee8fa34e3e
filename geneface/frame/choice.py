"""Which of the ways to frame a person a render asks for."""
from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import tee
from pathlib import Path
from typing import Protocol

import numpy as np

from ..config import RenderConfig
from ..errors import UserError
from ..media import PictureFolder, SoundPart, VideoWriter, check_folder
from ..nerf.render import AvatarRenderer
from ..nerf.views import MAX_YAW, View
from ..origin import Origin
from ..types import Avatar
from .backdrop import BeforeBackdrop, backdrop
from .maps import DepthMaps, NormalMaps
from .paste import PastedBack
from .person import PersonAlone

CROP, FULL, ALPHA, DEPTH, NORMALS = "crop", "full", "alpha", "depth", "normals"
MAPS = (DEPTH, NORMALS)
RATES = 1, 120  # frames per second
SIZES = 16, 8192  # of the longer side of a portrait [px]


class Framing(Protocol):
    """Makes the pictures of a video, in order. Attributes: size: their width and height [px]."""

    size: tuple[int, int]

    def frame(self, landmarks: np.ndarray, head_to_camera: np.ndarray, view: View = View()) -> np.ndarray:
        """[H,W,3] uint8 RGB, [H,W,4] RGBA, or [H,W] uint16: the next. Arguments as of `AvatarRenderer.frame`."""


def check_framing(avatar: Avatar, config: RenderConfig, out: str | Path) -> None:
    """Raise UserError where options do not go together, or what they name cannot be used. Said before any long work."""
    known = (CROP, FULL, ALPHA, *MAPS)
    if config.frame not in known:
        nearest = difflib.get_close_matches(config.frame, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        raise UserError(f"--frame {config.frame}: no such frame; {hint}")
    if config.background and config.frame != CROP:
        raise UserError(f"--background {config.background}: only --frame crop can have another background; leave one "
                        "of the two out")
    if config.original and config.frame != FULL:
        raise UserError(f"--original {config.original}: only --frame full needs the original video; add that, or "
                        "leave this out")
    if config.frame == FULL and (config.yaw or config.pitch or config.orbit):
        raise UserError("--frame full: the camera stays where it filmed the video; leave --yaw, --pitch, --orbit out")
    if config.fps and not RATES[0] <= config.fps <= RATES[1]:
        raise UserError(f"fps: must lie from {RATES[0]} to {RATES[1]}, or be 0 for the avatar's own, got {config.fps:g}")
    if config.fps and config.frame == FULL:
        raise UserError("--frame full: is made at the avatar's own rate; leave fps out")
    if config.size and not SIZES[0] <= config.size <= SIZES[1]:
        raise UserError(f"--size {config.size}: must be {SIZES[0]} to {SIZES[1]} px, or 0 for the avatar's own")
    View(config.yaw, config.pitch)  # says what is wrong with them
    if not abs(config.yaw) + abs(config.orbit) <= MAX_YAW:
        raise UserError(f"--orbit {config.orbit:g}: goes too far round the head; together with --yaw at most "
                        f"{MAX_YAW:g} degrees")
    if config.frame == ALPHA and Path(out).suffix.lower() not in (".mov", ""):
        raise UserError(f"{out}: cannot hold alpha; name it .mov (ProRes 4444), or without an ending for a folder of "
                        "PNGs")
    if config.frame in MAPS and Path(out).suffix:
        raise UserError(f"{out}: --frame {config.frame} writes a folder of PNGs; give it a name without an ending")
    if config.frame in (ALPHA, *MAPS) and not Path(out).suffix:
        check_folder(out)
    if config.background:
        backdrop(config.background, 2, 2, avatar.camera.fps)
    if config.frame == FULL:
        Origin.of_avatar(avatar).find(config.original or None)


def choose_framing(avatar: Avatar, renderer: AvatarRenderer, config: RenderConfig, replayed: Iterator[int],
                   fps: float) -> Framing:
    """What makes the pictures.

    Args:
        replayed: numbers of the avatar's camera frames in the order in which they are replayed, without end.
        fps: of the video to be made.
    """
    if config.frame == ALPHA:
        return PersonAlone(renderer)
    if config.frame in MAPS:
        return DepthMaps(renderer) if config.frame == DEPTH else NormalMaps(renderer)
    if config.frame == FULL:
        return _pasted_back(avatar, renderer, config, replayed)
    if config.background:
        return BeforeBackdrop(renderer, backdrop(config.background, *renderer.size, fps))
    return renderer


def _pasted_back(avatar: Avatar, renderer: AvatarRenderer, config: RenderConfig, replayed: Iterator[int]) -> PastedBack:
    origin = Origin.of_avatar(avatar)
    video = origin.find(config.original or None)
    numbers, read = tee(replayed)
    pictures = origin.pictures(video, read)
    frames = ((number, avatar.camera.head_to_camera[number], next(pictures)) for number in numbers)
    return PastedBack(renderer, origin.crop, frames)


def open_writer(out: str | Path, size: tuple[int, int], fps: float, audio: np.ndarray | str | Path | SoundPart | None,
                rate: int, config: RenderConfig) -> AbstractContextManager:
    """A `VideoWriter`, or a `PictureFolder` where alpha or maps are asked for and the output has no ending."""
    if config.frame in (ALPHA, *MAPS) and not Path(out).suffix:
        return PictureFolder(out, *size, fps, audio, rate)
    return VideoWriter(out, *size, fps, audio, rate, config.quality, alpha=config.frame == ALPHA)
