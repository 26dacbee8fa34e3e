"""Everything that is found out about a video before any long work: which part, which crop, and 28 verdicts."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneface import media
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.media import Crop, MediaInfo, Timing
from geneface.progress import say
from geneface.report import Verdict

from ..crop import choose_crop, follow_crop
from ..ingest import Scan, scan
from . import measure
from .checks import judge
from .listen import check_silence, sound_verdicts
from .shots import Take, longest_take


_WIDER = 1.15  # how much wider than its own a crop may be that a clip shares with others


@dataclass(frozen=True)
class Source:
    """A video whose header and time stamps have been found usable."""

    path: Path
    info: MediaInfo
    timing: Timing


@dataclass(frozen=True)
class Examination:
    """What a video is good for.

    Attributes:
        scan: what was seen.
        take: the part that is used.
        crop: the square of it.
        interlaced: how its frames are to be read, see `media.read_frames`.
        sound: [N] float32 of the whole video at the configured rate.
        verdicts: of all checks up to here.
    """

    scan: Scan
    take: Take
    crop: Crop
    interlaced: bool | None
    sound: np.ndarray
    verdicts: list[Verdict]


def open_source(video: str | Path, config: PrepareConfig) -> Source:
    """The video, its header and time stamps.

    Raises:
        UserError: unreadable, no video, too short, too small, or too few pictures a second.
    """
    info = media.probe(video)
    measure.check_source(info)
    timing = media.timing(video)
    measure.check_timing(info, timing, config)
    return Source(Path(video), info, timing)


def examine_all(sources: Sequence[Source], config: PrepareConfig,
                look: Callable[[Source], Scan] | None = None) -> list[Examination]:
    """Look and listen through the clips of one person, each by itself; where one camera may have filmed them all, they
    get one crop.

    Args:
        look: gives the scan where it is kept; by default the videos are looked through now.

    Raises:
        UserError: a video that cannot become an avatar; with `config.strict`, one that has a warning.
    """
    sounds, scans, takes = [], [], []
    for source in sources:
        info = source.info
        sounds.append(media.read_audio(source.path, config.sample_rate) if info.has_audio else np.zeros(0, np.float32))
        check_silence(info, sounds[-1], config.sample_rate, config)
        seen = look(source) if look is not None else scan(source.path, config.fps)
        measure.check_scan(info, seen, None)
        take = longest_take(seen.frames, list(seen.cuts), seen.usable())
        measure.check_length(info, len(take) / config.fps, config,
                             "its longest shot without a cut" if take.cuts else "the video")
        measure.check_scan(info, seen, take)
        scans.append(seen)
        takes.append(take)
    found, length = [], sum(map(len, takes)) / config.fps
    for source, sound, seen, take, crop in zip(sources, sounds, scans, takes, place_crops(scans, takes, config.fps)):
        info = source.info
        piece, covered = cut_sound(sound, take, config)
        verdicts = measure.recording_verdicts(info, source.timing, seen, take, config)
        if len(sources) > 1:  # short clips make a long person
            verdicts = [judge("length", length, "all clips") if v.check == "length" else v for v in verdicts]
        verdicts += measure.picture_verdicts(seen, take, crop, config)
        verdicts += sound_verdicts(info, piece, config.sample_rate, config, covered)
        stop_if_strict(source.path, verdicts, config)
        _say_take(source.path, take, config.fps)
        interlaced = True if measure.is_combed(info, seen) else None
        found.append(Examination(seen, take, crop, interlaced, sound, verdicts))
    return found


def place_crops(scans: Sequence[Scan], takes: Sequence[Take], fps: float) -> list[Crop]:
    """Fixed; following the speaker where the camera moves. One for all clips where that holds them nearly as closely:
    the background then lies in one place."""
    crops = [_place_crop(seen, take, fps) for seen, take in zip(scans, takes)]
    if len({(seen.width, seen.height) for seen in scans}) == 1 and not any(crop.path for crop in crops):
        looks = [look for seen, take in zip(scans, takes) for look in seen.within(take.start, take.stop)]
        faces = np.array([look.face for look in looks if look.face is not None])
        shared = choose_crop(scans[0].width, scans[0].height, faces)
        if shared.side <= _WIDER * max(crop.side for crop in crops):
            return [shared] * len(crops)
    return crops


def _place_crop(seen: Scan, take: Take, fps: float) -> Crop:
    looks = seen.within(take.start, take.stop)
    found = [look for look in looks if look.face is not None]
    faces = np.array([look.face for look in found])
    crop = choose_crop(seen.width, seen.height, faces)
    if not measure.camera_moves(looks, crop):
        return crop
    looked = np.array([look.frame - take.start for look in found])
    return follow_crop(seen.width, seen.height, faces, looked, len(take), fps)


def cut_sound(audio: np.ndarray, take: Take, config: PrepareConfig, later: float = 0.0) -> tuple[np.ndarray, float]:
    """The take's part of the sound, and the share of it that was recorded.

    Args:
        audio: [N] float32 of the whole video.
        later: how much later than the picture the sound is [frames].

    Returns:
        [n] float32 of the take's exact length, silence where there is no sound; and a share in 0..1.
    """
    start, stop = (round(frame / config.fps * config.sample_rate) for frame in (take.start, take.stop))
    shift = round(later / config.fps * config.sample_rate)
    piece = np.zeros(stop - start, np.float32)
    first, last = max(0, start + shift), min(len(audio), stop + shift)
    if last <= first:
        return piece, 0.0
    piece[first - start - shift:last - start - shift] = audio[first:last]
    return piece, (last - first) / len(piece)


def stop_if_strict(video: Path, verdicts: list[Verdict], config: PrepareConfig) -> None:
    """Raises UserError at the first warning, where the configuration is strict."""
    bad = [verdict for verdict in verdicts if verdict.verdict != "ok"]
    if config.strict and bad:
        more = f" (strict: {len(bad)} warnings)" if len(bad) > 1 else " (strict)"
        raise UserError(f"{video}: {bad[0].check}: {bad[0].value}; {bad[0].advice}{more}")


def _say_take(video: Path, take: Take, fps: float) -> None:
    if take.cuts:
        at = ", ".join(f"{frame / fps:.2f} s" for frame in take.cuts)
        say(f"{video.name}: cut at {at}; the longest shot is used, {take.start / fps:.2f} s to {take.stop / fps:.2f} s")
    if take.jumps:
        at = ", ".join(f"{(take.start + frame) / fps:.2f} s" for frame in take.jumps)
        say(f"{video.name}: jumps within the shot at {at}; nothing is smoothed across them")
