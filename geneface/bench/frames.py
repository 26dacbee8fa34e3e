"""Whole frames of an avatar, as `render` makes them; encoding the video is not counted."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ..nerf.render import AvatarRenderer
from ..progress import say
from ..types import Avatar


def time_frames(avatar: Avatar, size: int, count: int, device: torch.device) -> dict[str, Any]:
    """Time `count` successive frames, after one that is not counted.

    Args:
        size: longer side [px]; 0 for the avatar's own.

    Returns:
        fps (of the mean time), ms_p50, ms_p95, width, height, frames.
    """
    say("frames ...")
    renderer = AvatarRenderer(avatar, size, device=device)
    poses, motion = avatar.camera.head_to_camera, avatar.motion_reference
    times = []
    for index in range(-1, count):
        began = time.perf_counter()
        renderer.frame(motion[index % len(motion)], poses[index % len(poses)])  # ends in the memory of the CPU
        if index >= 0:
            times.append(1e3 * (time.perf_counter() - began))
    width, height = renderer.size
    return {
        "fps": 1e3 / float(np.mean(times)), "ms_p50": float(np.percentile(times, 50)),
        "ms_p95": float(np.percentile(times, 95)), "width": width, "height": height, "frames": count,
    }
