"""Whether a video can become an avatar: checks with a verdict, a figure and advice.

What makes preparation pointless is a `UserError` at once; the rest is a `Verdict` for the report.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np

from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import MediaInfo
from geneface.report import Verdict

from .crop import Crop
from .ingest import Scan
from .shots import Take

_STILL = 3.0  # grey levels: less change than this over a whole clip is coding noise
_SECOND = 0.4  # height of a second face, relative to the first, that makes the speaker ambiguous
_SILENT_DB = -60.0  # loudest 20 ms blocks of a track without speech [dB full scale]


def check_source(info: MediaInfo) -> None:
    """What the header alone can say.

    Raises:
        UserError: no video, a picture, or sides so small that no face can be in it.
    """
    if not info.has_video:
        raise UserError(f"{info.path}: holds only sound; give a video of a person talking")
    if info.still:
        raise UserError(f"{info.path}: is a still picture; give a video of the person talking, a minute or more")
    if min(info.width, info.height) < 64:
        raise UserError(f"{info.path}: its picture is {info.width}x{info.height} px, too small for a face; "
                        "give a video of at least 256x256")


def check_length(info: MediaInfo, seconds: float, config: PrepareConfig, what: str = "the video") -> None:
    """Raises UserError where `seconds` is too short to learn a person from."""
    if seconds < config.min_seconds:
        raise UserError(f"{info.path}: {what} is {seconds:.1f} s long, at least {config.min_seconds:g} s are needed; "
                        "a minute or more is better: record a longer one")


def check_sound(info: MediaInfo, audio: np.ndarray, rate: int, config: PrepareConfig) -> list[Verdict]:
    """Silence, clipping, level.

    Args:
        audio: [N] float32 of the chosen take.

    Raises:
        UserError: silent, unless the configuration allows it.
    """
    block = rate // 50
    whole = audio[:len(audio) // block * block].reshape(-1, block)
    energy = np.square(whole).mean(1) if len(whole) else np.zeros(1)
    loud = 10 * np.log10(np.percentile(energy, 98) + 1e-12)
    quiet = 10 * np.log10(np.percentile(energy, 10) + 1e-12)
    if loud < _SILENT_DB:
        if not config.allow_silent:
            raise UserError(f"{info.path}: its sound is silent ({loud:.0f} dB); record it again with the microphone "
                            "on, or set allow_silent: true to go without speech")
        return [Verdict("sound", "warn", "silent", "mouth shapes are learned from the picture alone")]
    clipped = float((np.abs(audio) > 0.99).mean())
    verdicts = [Verdict("sound level", "ok" if loud > -40 else "warn", f"{loud:.0f} dB",
                        "" if loud > -40 else "speak closer to the microphone")]
    verdicts.append(Verdict("clipping", "ok" if clipped < 1e-3 else "warn", f"{100 * clipped:.2f} % of samples",
                            "" if clipped < 1e-3 else "lower the recording level"))
    span = loud - quiet
    verdicts.append(Verdict("noise", "ok" if span > 20 else "warn", f"pauses {span:.0f} dB below speech",
                            "" if span > 20 else "record in a quieter room"))
    return verdicts


def check_scan(info: MediaInfo, scan: Scan, take: Take | None, config: PrepareConfig) -> None:
    """What makes a video unusable.

    Raises:
        UserError: nothing moves, no face, more than one face.
    """
    found = [face is not None for face in scan.faces]
    if not any(found):
        raise UserError(f"{info.path}: no face was found in it; film the person from the front, in good light, "
                        "the head filling a third of the picture's height")
    if scan.movement < _STILL:
        raise UserError(f"{info.path}: nothing moves in it, it is a still picture; give a video of the person talking")
    if take is None:
        return
    looks = scan.within(take.start, take.stop)
    share = float(np.mean([found[i] for i in looks])) if looks else 0.0
    if share < 0.5:
        raise UserError(f"{info.path}: a face is visible in only {100 * share:.0f} % of the longest shot; cut out a "
                        "part where the speaker faces the camera throughout")
    crowded = float(np.mean([scan.second[i] > _SECOND for i in looks]))
    if crowded > 0.2:
        raise UserError(f"{info.path}: two faces are in the picture ({100 * crowded:.0f} % of the time); crop the "
                        "video to one person")


def take_verdicts(info: MediaInfo, scan: Scan, take: Take, crop: Crop, config: PrepareConfig) -> list[Verdict]:
    """The checks of a usable take, for the report."""
    looks = scan.within(take.start, take.stop)
    found = [i for i in looks if scan.faces[i] is not None]
    faces = np.array([scan.faces[i] for i in found])
    seconds = len(take) / config.fps
    height = float(np.median(faces[:, 3] - faces[:, 1]))
    share = height / crop.side
    light = np.array([scan.exposure[i] for i in found])
    sharp = float(np.median([scan.sharpness[i] for i in found]))
    verdicts = [
        _verdict("length", seconds >= 30, f"{seconds:.1f} s", "one to three minutes give the best result"),
        _verdict("shots", not take.cuts, f"{len(take.cuts)} cuts",
                 f"the longest shot is used: {take.start / config.fps:.2f} s to {take.stop / config.fps:.2f} s"),
        _verdict("jumps", not take.jumps, f"{len(take.jumps)} within the shot",
                 "words were cut out; head movement jumps there: record in one go"),
        _verdict("face found", len(found) == len(looks),
                 f"in {100 * len(found) / max(1, len(looks)):.0f} % of the looks",
                 "keep the face in view, hands and microphone away from it"),
        _verdict("face size", share >= 0.22, f"{100 * share:.0f} % of the crop's height", "come closer to the camera"),
        _verdict("resolution", crop.side >= 0.9 * config.size, f"{crop.side} px for a crop of {config.size} px",
                 "the crop is enlarged: film at a higher resolution, or give a smaller size"),
        _verdict("frame rate", 23 <= info.fps, f"{info.fps:.4g} fps",
                 "film at 25 fps or more: at fewer, mouth movement is lost"),
        _verdict("exposure", 50 <= np.median(light) <= 220, f"face brightness {np.median(light):.0f} of 255",
                 "light the face evenly, from the front"),
        _verdict("steady light", float(np.ptp(np.percentile(light, [2, 98]))) < 40,
                 f"face brightness varies by {np.ptp(np.percentile(light, [2, 98])):.0f}",
                 "switch off automatic exposure, stay out of changing light"),
        _verdict("sharpness", sharp >= 4.0, f"{sharp:.1f}", "focus on the face, hold the camera still, compress less"),
        _verdict("one person", max((scan.second[i] for i in looks), default=0) == 0,
                 "a second face at times" if any(scan.second[i] for i in looks) else "one face",
                 "keep others, pictures and screens out of view"),
    ]
    return verdicts


def _verdict(check: str, good: bool, value: str, advice: str) -> Verdict:
    return Verdict(check, "ok" if good else "warn", value, "" if good else advice)


def check_room(out: Path, frames: int, size: int) -> None:
    """Raises UserError where the disk has clearly too little room for the frames and masks."""
    import shutil

    folder = out
    while not folder.exists():
        folder = folder.parent
    needed = int(frames * size * size * 0.55) + 20_000_000  # JPEG at quality 95 and masks: 0.3 to 0.5 B a pixel
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(f"{out}: the disk has {free / 1e6:.0f} MB left, about {needed / 1e6:.0f} MB are needed; "
                        "free some, or write somewhere else")
