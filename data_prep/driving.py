"""A driving video to motion: prepare's crop, landmarks and tracking, without what only an avatar needs."""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from geneface import media
from geneface.errors import UserError
from geneface.face.basis import load_basis
from geneface.face.motion import tracked_motion
from geneface.media import Timing
from geneface.progress import say
from geneface.progress import track as progress
from geneface.speech.framing import close_gaps, runs
from geneface.types import MotionSequence

from .ingest import EVERY, Scan, scan
from .preflight import measure
from .preflight.checks import CHECKS
from .preflight.examine import place_crops
from .preflight.shots import Take, longest_take
from .tracking.fit import fit_track
from .tracking.landmarks import STRETCH, Detections, detect_in_stretches

RATES = 10.0, 60.0  # frames per second that can be tracked; faster video is thinned to half, a third ...
SIZE = 512  # side of the tracked square [px]
SHORTEST = 0.5  # [s]
BRIDGED = 0.5  # time without a face that is filled in from around it [s]


@dataclass(frozen=True)
class DrivingVideo:
    """What somebody does in a video.

    Attributes:
        motion: of the part that was tracked.
        start, stop: where that part lies in the video [s].
        sound: of that part; None where the video has none.
    """

    motion: MotionSequence
    start: float
    stop: float
    sound: media.SoundPart | None


def track_video(video: str | Path, fps: float | None = None) -> DrivingVideo:
    """Expression, gaze and head pose of the person in a video.

    Of a video with cuts the longest shot is taken, of that the longest part in which the face is never away for more
    than `BRIDGED`; what is left out is said.

    Args:
        fps: frames per second of the motion, by default the video's own.

    Raises:
        UserError: the video cannot be read, shows no face, several, a still picture, or too short a time.
    """
    video = Path(video)
    info = media.probe(video)
    measure.check_source(info)
    timing = media.timing(video)
    if fps is None:
        fps = own_rate(info.fps, timing)
    elif not RATES[0] <= fps <= RATES[1]:
        raise UserError(f"--fps {fps:g}: a video is tracked at {RATES[0]:g} to {RATES[1]:g} frames per second")
    seen = scan(video, fps)
    measure.check_scan(info, seen, None)
    shot = longest_take(seen.frames, list(seen.cuts), seen.usable())
    take = _part(shot, longest_stretch(seen.usable()[shot.start:shot.stop], round(BRIDGED * fps) + EVERY))
    _check_length(video, take, fps)
    measure.check_scan(info, seen, take)
    with threadpool_limits(1, "blas"):
        found = _detect(video, seen, take, fps, True if measure.is_combed(info, seen) else None)
        if not found.valid.any():
            raise UserError(f"{video}: no face that can be tracked; film the person from the front, in good light")
        stretch = longest_stretch(found.valid, round(BRIDGED * fps))
        found, take = found[stretch], _part(take, stretch)
        _check_length(video, take, fps)
        _say_part(video, shot, take, found, seen.frames, fps)
        say("Fitting head and camera ...")
        camera, face, _ = fit_track(found, SIZE, SIZE, fps, load_basis(), jumps=take.jumps)
    start, stop = take.start / fps, take.stop / fps
    motion = tracked_motion(face, camera, source=f"tracked: {video.name}").after(f"track {video.name}")
    return DrivingVideo(motion, start, stop, media.SoundPart(video, start) if info.has_audio else None)


def own_rate(average: float, timing: Timing) -> float:
    """Frames per second to track a video at: its own where that is even, else the rate it mostly has."""
    usual = 1 / timing.usual
    fps = average if abs(average / usual - 1) < 0.01 else float(round(usual))
    return float(np.clip(fps / math.ceil(fps / RATES[1] - 1e-3), *RATES))


def longest_stretch(found: np.ndarray, bridged: int) -> slice:
    """The longest run of frames that begins and ends with a face, and never lacks one for more than `bridged` frames.

    Args:
        found: [T] bool, at least one True.
    """
    stretches = runs(close_gaps(found, bridged + 1))
    begin, end = max(stretches, key=lambda run: run[1] - run[0])
    return slice(int(begin), int(end))


def _part(take: Take, stretch: slice) -> Take:
    """Some frames of a take, counted from its start."""
    jumps = tuple(jump - stretch.start for jump in take.jumps if stretch.start < jump < stretch.stop)
    return replace(take, start=take.start + stretch.start, stop=take.start + stretch.stop, jumps=jumps)


def _check_length(video: Path, take: Take, fps: float) -> None:
    if len(take) < SHORTEST * fps:
        raise UserError(f"{video}: its longest shot of a face is {len(take) / fps:.1f} s long, at least {SHORTEST:g} s "
                        "are needed; give a longer one")


def _detect(video: Path, seen: Scan, take: Take, fps: float, interlaced: bool | None) -> Detections:
    crop = place_crops([seen], [take], fps)[0]

    def read(frames: range) -> Iterable[np.ndarray]:
        pictures = media.read_frames(video, fps, take.start + frames.start, take.start + frames.stop, interlaced)
        return (crop.apply(picture, SIZE, frames.start + index) for index, picture in enumerate(pictures))

    stretches = detect_in_stretches(read, len(take), fps)
    return Detections.joined(progress(stretches, "Landmarks", math.ceil(len(take) / STRETCH), "stretches"))


def _say_part(video: Path, shot: Take, take: Take, found: Detections, frames: int, fps: float) -> None:
    """What of the video is used, and what is filled in."""
    used = f"{take.start / fps:.2f} s to {take.stop / fps:.2f} s is used"
    if shot.cuts:
        at = ", ".join(f"{frame / fps:.2f} s" for frame in shot.cuts)
        say(f"{video.name}: cut at {at}; of the longest shot {used}")
    elif len(take) < frames:
        say(f"{video.name}: no face for a while before or after; {used}")
    if take.jumps:
        at = ", ".join(f"{(take.start + frame) / fps:.2f} s" for frame in take.jumps)
        say(f"{video.name}: jumps within the shot at {at}; nothing is smoothed across them")
    if not found.valid.all():
        at = ", ".join(f"{(take.start + first) / fps:.2f} s" for first, _ in runs(~found.valid)[:5])
        say(f"{video.name}: no face at {at}; filled in from around")
