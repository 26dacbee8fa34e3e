"""Frames of an avatar, as `render` makes them; encoding the video is not counted."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nerf.render import AvatarRenderer, Layers
from ..ops import native
from ..progress import say
from ..types import Avatar


def time_frames(avatar: Avatar, size: int, count: int, device: torch.device, reference: bool) -> dict[str, Any]:
    """Time `count` successive frames, after one that is not counted.

    Args:
        size: longer side [px]; 0 for the avatar's own.
        reference: compare the head with plain PyTorch's, too, which takes seconds a frame (CPU only).

    Returns:
        fps (of the mean time), ms_p50, ms_p95 of whole frames, width, height, frames, and `head`: ms and fps of
        frames without the torso, in bfloat16 and float32, the pixels where there is any head, and with `reference`,
        at half the size, the reference's ms, how many times faster float32 is, and how far the head's pixels are
        from it: mean absolute difference of float32 [%] and PSNR of bfloat16 [dB].
    """
    say("frames ...")
    renderer = AvatarRenderer(avatar, size, device=device)
    times = _times(renderer, avatar, count)
    width, height = renderer.size
    return {
        "fps": 1e3 / float(np.mean(times)), "ms_p50": float(np.percentile(times, 50)),
        "ms_p95": float(np.percentile(times, 95)), "width": width, "height": height, "frames": count,
        "head": _head(avatar, size, count, device, reference and device.type == "cpu"),
    }


def _times(renderer: AvatarRenderer, avatar: Avatar, count: int) -> list[float]:
    """Milliseconds of frames 0 to count - 1, replaying the avatar's own motion and poses."""
    times = []
    for index in range(-1, count):
        began = time.perf_counter()
        renderer.frame(*_driving(avatar, index))  # ends in the memory of the CPU
        if index >= 0:
            times.append(1e3 * (time.perf_counter() - began))
    return times


def _driving(avatar: Avatar, index: int) -> tuple[np.ndarray, np.ndarray]:
    poses, motion = avatar.camera.head_to_camera, avatar.motion_reference
    return motion[index % len(motion)], poses[index % len(poses)]


def _head(avatar: Avatar, size: int, count: int, device: torch.device, reference: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, half in (("bf16", True), ("fp32", False)):
        renderer = _head_renderer(avatar, size, half, device)
        median = float(np.median(_times(renderer, avatar, count)))
        figures |= {f"ms_{name}": median, f"fps_{name}": 1e3 / median}
    figures["pixels"] = int((renderer.layers(*_driving(avatar, 0)).head_alpha > 0).sum())
    nothing = dict.fromkeys(("ms_reference", "ratio_to_reference", "difference", "psnr_bf16"))
    return figures | (_compared(avatar, max(renderer.size) // 2, count, device) if reference else nothing)


def _head_renderer(avatar: Avatar, size: int, half: bool, device: torch.device) -> AvatarRenderer:
    renderer = AvatarRenderer(avatar, size, amp=half, device=device)
    renderer.portrait.torso_region.zero_()
    return renderer


def _compared(avatar: Avatar, size: int, count: int, device: torch.device) -> dict[str, Any]:
    """The head beside the reference's, on a small picture: a large one would take minutes."""
    layers: dict[str, Layers] = {}
    for name, half in (("bf16", True), ("fp32", False)):
        renderer = _head_renderer(avatar, size, half, device)
        layers[name] = renderer.layers(*_driving(avatar, 0))
    native_ms = min(_times(renderer, avatar, count))
    with native.use_cpu_library(None):
        began = time.perf_counter()
        truth = renderer.layers(*_driving(avatar, 0))
        spent = 1e3 * (time.perf_counter() - began)
    shown = truth.head_alpha > 0

    def off(name: str) -> Tensor:
        return (layers[name].rgb - truth.rgb)[shown].double()

    square = float(off("bf16").square().mean())
    return {
        "ms_reference": spent, "ratio_to_reference": spent / native_ms,
        "difference": 100 * float(off("fp32").abs().mean()),
        "psnr_bf16": -10 * float(np.log10(square)) if square > 0 else None,
    }
