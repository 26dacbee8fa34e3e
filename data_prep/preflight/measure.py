"""Whether a video can become an avatar: what makes preparation pointless stops it, the rest is a verdict.

Figures are measured here and judged by the table in `checks.py`.
"""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import Crop, MediaInfo, Timing
from geneface.report import Verdict

from ..ingest import Scan
from .checks import CHECKS, judge
from .looks import Look
from .shots import Take

_STILL = 3.0  # grey levels: less change than this over a whole clip is coding noise
_SECOND = 0.4  # height of a second face, relative to the first, that makes the speaker ambiguous
_TURNED = 0.55  # asymmetry of the face at a head turn of about 35 degrees
_HAND = 0.04  # share of the face under a hand that counts
_ODD = 0.14  # share of the skin points with an unusual colour that counts
_CHANGED = 0.2  # share of the features that counts, in a head turned as usual
_COMBED = 12.0  # grey levels; whole pictures stay below 1
_ROUNDED = 0.5  # less than this missing from the declared length is nothing: sound ends later than the picture [s]
_FOLLOW = 0.03  # movement of the camera, over the crop's side, from which the crop follows the speaker


def check_source(info: MediaInfo) -> None:
    """What the header alone can say.

    Raises:
        UserError: no video, a picture, or sides so small that no face can be in it.
    """
    if not info.has_video:
        raise UserError(f"{info.path}: holds only sound; give a video of a person talking")
    if info.still:
        raise UserError(f"{info.path}: is a still picture; give a video of the person talking, a minute or more")
    if CHECKS["picture size"].unusable(min(info.width, info.height)):
        raise UserError(f"{info.path}: its picture is {info.width}x{info.height} px, too small for a face; "
                        "give a video of at least 256x256")


def check_timing(info: MediaInfo, timing: Timing, config: PrepareConfig) -> None:
    """What the time stamps say.

    Raises:
        UserError: too short, or too few pictures a second.
    """
    check_length(info, timing.seconds, config)
    rate = 1 / timing.usual  # not the average: a gap is another fault
    check = CHECKS["frame rate"]
    if check.unusable(rate):
        raise UserError(f"{info.path}: has {rate:.3g} pictures a second, at least {check.refused:g} are needed to see "
                        "the mouth move; film at 25 or more")


def check_length(info: MediaInfo, seconds: float, config: PrepareConfig, what: str = "the video") -> None:
    """Raises UserError where `seconds` is too short to learn a person from."""
    if seconds < config.min_seconds - 0.5 / config.fps:
        raise UserError(f"{info.path}: {what} is {seconds:.1f} s long, at least {config.min_seconds:g} s are needed; "
                        "a minute or more is better: record a longer one")


def check_scan(info: MediaInfo, scan: Scan, take: Take | None) -> None:
    """What makes a video unusable.

    Raises:
        UserError: nothing moves, no face, more than one face.
    """
    found = [look.face is not None for look in scan.looks]
    if not any(found):
        raise UserError(f"{info.path}: no face was found in it; film the person from the front, in good light, "
                        "the head filling a third of the picture's height")
    if scan.movement < _STILL:
        raise UserError(f"{info.path}: nothing moves in it, it is a still picture; give a video of the person talking")
    if take is None:
        return
    looks = scan.within(take.start, take.stop)
    share = _percent(look.face is not None for look in looks)
    if CHECKS["face found"].unusable(share):
        raise UserError(f"{info.path}: a face is visible in only {share:.0f} % of the longest shot; cut out a "
                        "part where the speaker faces the camera throughout")
    crowded = _percent(look.second > _SECOND for look in looks)
    if CHECKS["one person"].unusable(crowded):
        raise UserError(f"{info.path}: two faces are in the picture ({crowded:.0f} % of the time); crop the "
                        "video to one person")


def is_combed(info: MediaInfo, scan: Scan) -> bool:
    """Whether pictures consist of two fields although the video does not say so.

    The scan's own pictures were taken apart already where it does.
    """
    return not info.interlaced and bool(np.mean([look.combed > _COMBED for look in scan.looks] or [0]) > 0.1)


def is_covered(look: Look, usual: float = 0.0) -> bool:
    """Whether a hand or an object is before the face.

    Args:
        usual: how far the head is usually turned (`Look.turned`); turned otherwise it looks otherwise.
    """
    return look.hand > _HAND or look.odd > _ODD or look.changed > _CHANGED + 0.5 * abs(look.turned - usual)


def camera_travel(looks: list[Look]) -> float | None:
    """How far the surroundings move about their middle place, 98th percentile [source px]; None where unknown."""
    places = np.array([look.camera for look in looks if look.camera is not None])
    if len(places) < max(3, 0.3 * len(looks)):
        return None
    return float(np.percentile(np.linalg.norm(places - np.median(places, axis=0), axis=1), 98))


def camera_moves(looks: list[Look], crop: Crop) -> bool:
    """Whether the crop had better follow the speaker."""
    travel = camera_travel(looks)
    return travel is not None and travel > _FOLLOW * crop.side


def recording_verdicts(info: MediaInfo, timing: Timing, scan: Scan, take: Take, config: PrepareConfig) -> list[Verdict]:
    """The checks of the recording as a whole."""
    shown = f"{take.start / config.fps:.2f} s to {take.stop / config.fps:.2f} s is used" if take.cuts else ""
    fields = np.mean([look.combed > _COMBED for look in scan.looks]) if not info.interlaced else 1.0
    missing = info.duration - timing.seconds
    return [
        judge("length", len(take) / config.fps),
        judge("cuts", len(take.cuts), shown),
        judge("jumps", len(take.jumps)),
        judge("frame rate", timing.frames / max(timing.seconds, 1e-3)),
        judge("even timing", 100 * timing.uneven),
        judge("standstill", scan.standstill(take, config.fps)),
        judge("whole file", 100.0 if missing < _ROUNDED else 100 * timing.seconds / info.duration),
        judge("interlacing", 100 * float(fields) if info.interlaced or is_combed(info, scan) else 0.0),
        judge("dynamic range", float(bool(info.dynamic_range)), info.dynamic_range),
    ]


def picture_verdicts(scan: Scan, take: Take, crop: Crop, config: PrepareConfig) -> list[Verdict]:
    """The checks of framing, light and focus in a usable take."""
    looks = scan.within(take.start, take.stop)
    seen = [look for look in looks if look.face is not None]
    heights = [look.face[3] - look.face[1] for look in seen]
    usual = float(np.median([look.turned for look in seen]))
    covered = [look for look in seen if is_covered(look, usual)]
    where = ", ".join(f"{look.frame / config.fps:.1f} s" for look in covered[:3])
    travel = camera_travel(looks)
    steps = looks[1:]  # the first look of a take follows a cut
    light = np.array([look.brightness for look in seen])

    def at(name: str) -> tuple[float, str]:
        worst = max(steps, key=lambda look: getattr(look, name), default=None)
        if worst is None or not getattr(worst, name):
            return 0.0, ""
        return getattr(worst, name), f"at {worst.frame / config.fps:.1f} s"

    return [
        judge("face found", _percent(look.face is not None for look in looks)),
        judge("face size", 100 * float(np.median(heights)) / crop.side),
        judge("picture size", min(scan.width, scan.height)),
        judge("resolution", 100 * crop.side / config.size, f"{crop.side} px"),
        judge("one person", _percent(look.second > 0.2 for look in looks)),
        judge("facing the camera", _percent(abs(look.turned) > _TURNED for look in seen)),
        judge("nothing in front", 100 * len(covered) / len(seen), f"at {where}" if where else ""),
        judge("camera", 100 * (travel or 0.0) / crop.side,
              "plain surroundings: cannot be seen" if travel is None else
              "the crop follows the speaker" if crop.path else ""),
        judge("brightness", float(np.median(light))),
        judge("black and white", 100 * float(np.median([look.clipped for look in seen]))),
        judge("steady light", float(np.ptp(np.percentile(light, [2, 98])))),
        judge("exposure jumps", *at("light_step")),
        judge("white-balance jumps", *at("colour_step")),
        judge("sharpness", float(np.median([look.sharpness for look in seen]))),
    ]


def _percent(flags) -> float:
    return 100 * float(np.mean(list(flags) or [0]))


def check_room(out: Path, frames: int, size: int) -> None:
    """Raises UserError where the disk has clearly too little room for the pictures."""
    folder = out
    while not folder.exists():
        folder = folder.parent
    needed = int(frames * size * size * 0.9) + 20_000_000  # JPEG at quality 95, masks and torso: 0.6 to 0.85 B a pixel
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(f"{out}: the disk has {free / 1e6:.0f} MB left, about {needed / 1e6:.0f} MB are needed; "
                        "free some, or write somewhere else")
