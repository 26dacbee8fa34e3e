"""Blinks: when, of what shape, and as people were seen to make them."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face.arkit import ARKIT_NAMES
from ..speech.framing import runs
from .measures import MouthMeasures
from .reference import reference_motion

# Eyelid closure at 25 fps: about 80 ms down, 120 ms shut or nearly, 160-200 ms up (Trutoiu et al. 2011: fast down,
# slower up).
BLINK = np.array([0, 0.45, 0.95, 1.0, 0.85, 0.6, 0.35, 0.15, 0.05, 0, 0, 0], np.float32)
BLINK_PEAK = 3  # the frame of it that is deepest
_SHUT, _OPEN = 0.5, 0.25  # of a tracked blink: closed at least so far, and open again at least so far beside it
_LONGEST_BLINK = 0.6  # [s] longer is a look down or shut eyes
_FEWEST_BLINKS = 3  # to tell their shape
_BLINK_RATES = (4.0, 40.0)  # per minute; a recording beyond these was an odd minute
_SHORTEST_BLINK_GAP = 0.6  # [s]
# The weight that closes the lid, and the lid's landmarks above and below, of either eye (68 points).
_LIDS = {"eyeBlinkRight": ((37, 38), (41, 40)), "eyeBlinkLeft": ((43, 44), (47, 46))}
_LEAST_SHUT = 0.3  # a person whose lids never came this far did not blink while recorded
_DOUBLE_BLINKS = 0.08  # share of blinks followed at once by another


def blink_times(frames: int, fps: float, per_minute: float, random: np.random.Generator) -> np.ndarray:
    """[B] when spontaneous blinks begin [s].

    Gaps are log-normal (most blinks come sooner than the mean, some much later, as people's do).
    """
    if per_minute <= 0:
        return np.zeros(0)
    mean, spread = 60.0 / per_minute, 0.6
    times, time = [], random.uniform(0.3, 1.0) * mean
    while time < frames / fps:
        times.append(time)
        if random.uniform() < _DOUBLE_BLINKS:
            time += 0.45
        else:
            gap = max(mean - _SHORTEST_BLINK_GAP, 0.1)
            time += _SHORTEST_BLINK_GAP + random.lognormal(np.log(gap) - spread**2 / 2, spread)
    return np.array(times)


def blink_curve(times: np.ndarray, frames: int, fps: float, random: np.random.Generator,
                shape: np.ndarray = BLINK) -> np.ndarray:
    """Eyelid closure of blinks that begin at `times` [s], no two quite alike.

    Args:
        shape: [S] closure of one at 25 fps.

    Returns:
        [frames] in [0, 1].
    """
    out = np.zeros(frames, np.float32)
    shape_time = np.arange(len(shape)) / 25.0
    for time in times:
        length, depth = random.uniform(0.85, 1.2), random.uniform(0.9, 1.0)
        first = max(0, int(np.ceil(time * fps)))
        last = min(frames, int((time + shape_time[-1] * length) * fps) + 1)
        if first < last:
            since = (np.arange(first, last) / fps - time) / length
            out[first:last] = np.maximum(out[first:last], depth * np.interp(since, shape_time, shape))
    return out


def found_blinks(closure: np.ndarray, fps: float) -> np.ndarray:
    """[B] deepest frames of the blinks in a track of eyelid closure [T] in [0, 1]."""
    peaks = []
    for begin, end in runs(closure > _OPEN):
        if end - begin <= _LONGEST_BLINK * fps and closure[begin:end].max() > _SHUT:
            peaks.append(begin + int(closure[begin:end].argmax()))
    return np.array(peaks, int)


def rate_of(closure: np.ndarray, fps: float) -> float:
    """Rate of the blinks in a track of eyelid closure [T], within what people do."""
    return float(np.clip(60 * fps * len(found_blinks(closure, fps)) / max(len(closure), 1), *_BLINK_RATES))


def shape_of(closure: np.ndarray, fps: float) -> np.ndarray:
    """[12] median blink of a track of eyelid closure [T] at 25 fps, deepest at frame 3; the usual one where there are
    fewer than three."""
    time = (np.arange(len(BLINK)) - BLINK_PEAK) * fps / 25
    inside = [p for p in found_blinks(closure, fps) if p + time[0] >= 0 and p + time[-1] <= len(closure) - 1]
    if len(inside) < _FEWEST_BLINKS:
        return BLINK
    index = np.arange(len(closure))
    shape = np.median([np.interp(peak + time, index, closure) for peak in inside], axis=0)
    # Lids that hang are not a blink: from the higher end down to 0, and 1 at the deepest.
    floor = max(shape[0], shape[-1])
    return np.clip((shape - floor) / max(shape[BLINK_PEAK] - floor, 1e-6), 0, 1).astype(np.float32)


def wanted_blinks(script: str, frames: int, fps: float, per_minute: float, shape: np.ndarray,
                  random: np.random.Generator) -> np.ndarray:
    """Eyelid closure as asked for.

    Args:
        script: "drawn"; or when they begin, in seconds with commas between; or a motion file, a prepared person's folder
            or an avatar to copy them from (over and over where it is shorter).
        per_minute, shape: of blinks that are drawn or scripted.

    Returns:
        [frames] in [0, 1].

    Raises:
        UserError: the script is none of these.
    """
    if script == "drawn":
        return blink_curve(blink_times(frames, fps, per_minute, random), frames, fps, random, shape)
    try:
        times = np.array([float(time) for time in script.split(",") if time.strip()])
    except ValueError:
        if not Path(script).exists():
            raise UserError(f"blinks: no file {script!r}; give one of these: a motion file, a prepared person, an avatar, "
                            "seconds with commas between, or drawn") from None
        other = reference_motion(script)
        return copied_blinks(other.blink, other.fps, frames, fps)
    if not np.isfinite(times).all():
        raise UserError(f"blinks: {script!r} holds a time that is no number of seconds")
    return blink_curve(times, frames, fps, random, shape)


def copied_blinks(closure: np.ndarray, rate: float, frames: int, fps: float) -> np.ndarray:
    """[frames] at `fps` of the blinks in a track of eyelid closure at `rate`, over and over where it is shorter; lids
    that hang stay the other person's."""
    out = np.zeros(len(closure), np.float32)
    for peak in found_blinks(closure, rate):
        around = around_blink(closure, peak, rate)
        floor = min(closure[around][0], closure[around][-1])
        out[around] = np.maximum(out[around], (closure[around] - floor) / max(1 - floor, 1e-6))
    if not len(out):
        return np.zeros(frames, np.float32)
    at = np.arange(frames) / fps * rate % len(out)
    return np.clip(np.interp(at, np.arange(len(out)), out), 0, 1).astype(np.float32)


def around_blink(closure: np.ndarray, peak: int, fps: float) -> slice:
    """The frames that a blink takes, of a track of eyelid closure [T]."""
    return slice(max(0, peak - round(0.16 * fps)), min(len(closure), peak + round(0.36 * fps)))


def shut_weights(measures: MouthMeasures, reference: np.ndarray | None = None) -> dict[str, float]:
    """Weight at which each lid is shut: the 99 % quantile of the person's own [R, 52] where they blinked, else where
    the lids of the mean face meet."""
    out = {}
    for name, (upper, lower) in _LIDS.items():
        i = ARKIT_NAMES.index(name)
        opening = measures.neutral[list(lower), 1].mean() - measures.neutral[list(upper), 1].mean()
        travel = measures.offsets[i, list(upper), 1].mean() - measures.offsets[i, list(lower), 1].mean()
        out[name] = float(np.clip(opening / max(travel, 1e-6), _LEAST_SHUT, 1))
        if reference is not None and (own := float(np.quantile(reference[:, i], 0.99))) > _LEAST_SHUT:
            out[name] = own
    return out
