"""Avatar and motion to video, streamed: memory does not grow with the length."""
from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .config import RenderConfig
from .errors import UserError
from .fit.monitor import peak_memory_mb
from .frame.choice import check_framing, choose_framing, open_writer
from .media import SoundPart
from .motion.resample import resample, resample_poses
from .nerf.render import AvatarRenderer
from .nerf.views import View
from .progress import track
from .types import Avatar, MotionSequence, require


@dataclass(frozen=True)
class RenderResult:
    """What `render` did.

    Attributes:
        frames, seconds: length of the video.
        fps_delivered: frames rendered and encoded per second of wall clock.
        frame_ms_p95: 95th percentile of the time of a frame [ms].
        peak_memory_mb: largest memory of the process so far, None where the system does not tell.
        output: the file.
    """

    frames: int
    seconds: float
    fps_delivered: float
    frame_ms_p95: float
    peak_memory_mb: float | None
    output: str


def ping_pong(length: int, start: int = 0) -> Iterator[int]:
    """0, 1, ..., length - 1, length - 2, ..., 1, 0, 1, ...: neighbours all the way, from `start`."""
    require(length > 0, "length: must be positive")
    period = max(2 * (length - 1), 1)
    phase = start % length
    while True:
        yield phase if phase < length else period - phase
        phase = (phase + 1) % period


def head_poses(avatar: Avatar, motion: MotionSequence, start: int) -> Iterator[np.ndarray]:
    """Head poses [4,4] at the motion's rate: its own, or, without end, those of the training video from frame `start`,
    running back and forth past its ends so that the head never jumps."""
    if motion.head_pose is not None:
        yield from motion.head_pose
        return
    recorded = resample_poses(avatar.camera.head_to_camera, avatar.camera.fps, motion.fps)
    for index in ping_pong(len(recorded), round(start * motion.fps / avatar.camera.fps)):
        yield recorded[index]


def render(
    avatar: Avatar, motion: MotionSequence, out: str | Path, config: RenderConfig = RenderConfig(),
    audio: np.ndarray | str | Path | SoundPart | None = None, rate: int = 16000,
) -> RenderResult:
    """Write a video of the avatar making the motion.

    Args:
        out: file to write (.mp4, .m4v, .mov, .mkv); with `config.frame` "alpha", .mov, or a folder for numbered PNGs
            and their sound; with "depth" or "normals", such a folder.
        config: options. `frame` "full" needs the video that the avatar was made from, whose frames from
            `start` on, back and forth at the avatar's rate, are what surrounds the portrait, also where the
            motion has head poses of its own.
        audio: sound: [N] float32 at `rate`, or a file, or a part of one, or None for a silent video.

    Raises:
        UserError: the motion is empty, the start frame is outside the training video, the camera goes too far round
            the head, options do not go together, the original video or the background cannot be used, or `out` cannot
            be written.
    """
    if not len(motion):
        raise UserError(f"{motion.source}: motion of no frames; nothing to render")
    if not 0 <= config.start < len(avatar.camera):
        raise UserError(f"start: frame {config.start} is outside the training video (0 to {len(avatar.camera) - 1})")
    check_framing(avatar, config, out)
    view = View(config.yaw, config.pitch)
    renderer = AvatarRenderer(avatar, config.size, config.step_mm, device=config.device)
    fps = config.fps or avatar.camera.fps
    framing = choose_framing(avatar, renderer, config, ping_pong(len(avatar.camera), config.start), fps)
    motion = resample(motion, fps)
    count = len(motion)
    times = []
    began = time.perf_counter()
    with open_writer(out, framing.size, fps, audio, rate, config) as writer:
        frames = zip(motion.driving, head_poses(avatar, motion, config.start))
        for index, (landmarks, pose) in enumerate(track(frames, "rendering", total=count)):
            start = time.perf_counter()
            writer.write(framing.frame(landmarks, pose, view=view.swayed(config.orbit, index / fps)))
            times.append(time.perf_counter() - start)
    return RenderResult(
        frames=count, seconds=count / fps, fps_delivered=count / (time.perf_counter() - began),
        frame_ms_p95=float(np.percentile(times, 95)) * 1000, peak_memory_mb=peak_memory_mb(), output=str(out),
    )
