"""How a track compares with the landmarks it was fitted to: noise taken away, lag, trembling.

All signals are compared within pieces (runs of frames between jumps), at the landmarks that the fit predicts.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from geneface.face import landmarks as lm

from .smooth import jitter, whittaker

# Ridge of the nose and corners of the eyes: bone, more or less.
RIGID = np.array([168, 6, 197, 195, 33, 133, 263, 362])
# The landmarks that the measures below look at, in this order.
WATCHED = np.unique(np.concatenate([RIGID, lm.EYE_RIGHT, lm.EYE_LEFT, [13, 14]]))
_SLOW = 3.0  # Hz
_LAGS = 3  # frames looked at either way
_LEAST_MOVEMENT = 0.8  # correlation of raw and fitted movement, below which it is mostly noise, with nothing to time


def rotation_jitter(rotation: np.ndarray, fps: float, pieces: Sequence[slice]) -> float:
    """RMS of the rotations' [T,3,3] part faster than 5 Hz [deg]."""
    fast = []
    for piece in pieces:
        turn = Rotation.from_matrix(rotation[piece])
        fast.append(jitter((turn.mean().inv() * turn).as_rotvec(), fps))
    return float(np.rad2deg(np.sqrt((np.concatenate(fast) ** 2).sum(1).mean())))


def noise_ratio(raw: np.ndarray, fitted: np.ndarray, fps: float) -> float:
    """RMS second difference of rigid landmarks [T,n,2] as detected over the same as fitted; NaN for short clips.

    Second differences are noise where the head does not accelerate: in the quarter of frames whose slow movement
    (under 3 Hz, of the detected landmarks) accelerates least.
    """
    if len(raw) < 12:
        return float("nan")
    slow = whittaker(raw.reshape(len(raw), -1), _SLOW, fps)
    acceleration = np.linalg.norm(np.diff(slow, n=2, axis=0), axis=1)
    calm = acceleration <= np.quantile(acceleration, 0.25)
    noise = [np.sqrt((np.diff(points, n=2, axis=0)[calm] ** 2).mean()) for points in (raw, fitted)]
    return float(noise[0] / max(noise[1], 1e-12))


def lag(fitted: np.ndarray, raw: np.ndarray) -> float:
    """How many frames `fitted` [T] follows `raw` [T]; NaN where they share too little movement to tell.

    The peak of the cross-correlation of their first differences, a parabola through it and its neighbours.
    """
    if len(raw) < 4 * _LAGS + 2:
        return float("nan")
    moves = [np.diff(signal) - np.diff(signal).mean() for signal in (fitted, raw)]
    if min(move.std() for move in moves) < 1e-9:
        return float("nan")
    count = len(moves[0])
    shifts = np.arange(-_LAGS, _LAGS + 1)
    score = []
    for shift in shifts:
        a = moves[0][max(shift, 0):count + min(shift, 0)]
        b = moves[1][max(-shift, 0):count + min(-shift, 0)]
        score.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    best = int(np.argmax(score))
    if score[best] < _LEAST_MOVEMENT:
        return float("nan")
    if best in (0, len(shifts) - 1):
        return float(shifts[best])
    before, peak, after = score[best - 1:best + 2]
    return float(shifts[best] + 0.5 * (before - after) / (before - 2 * peak + after))


def watched_signals(points: np.ndarray) -> dict[str, np.ndarray]:
    """Curves [T] of watched landmarks [T,W,2]: opening of lips and lids, and where the head is [px]."""
    whole = np.zeros((len(points), 478, 2))
    whole[:, WATCHED] = points
    middle = whole[:, RIGID].mean(1)
    return {"lips": lm.mouth_opening(whole), "lids": lm.eye_aspect(whole).mean(1),
            "across": middle[:, 0], "down": middle[:, 1]}


def compare(raw: np.ndarray, fitted: np.ndarray, fps: float, pieces: Sequence[slice]) -> tuple[float, float]:
    """Noise ratio and the largest lag [frames] of watched landmarks [T,W,2], as detected against as fitted.

    Pieces are weighed by their length (noise) or stand for themselves (lag, the median over pieces of each signal).
    """
    rigid = np.searchsorted(WATCHED, RIGID)
    ratios, lengths, lags = [], [], []
    for piece in pieces:
        ratios.append(noise_ratio(raw[piece][:, rigid], fitted[piece][:, rigid], fps))
        lengths.append(piece.stop - piece.start)
        seen, found = watched_signals(raw[piece]), watched_signals(fitted[piece])
        lags.append([lag(found[name], seen[name]) for name in seen])
    known = np.flatnonzero(np.isfinite(ratios))
    ratio = np.exp(np.average(np.log(ratios)[known], weights=np.array(lengths)[known])) if len(known) else 0.0
    late = np.array(lags)
    worst = [np.median(column[np.isfinite(column)]) for column in late.T if np.isfinite(column).any()]
    return float(ratio), float(max(worst, key=abs, default=0.0))


def closed_lips_gap(raw: np.ndarray, fitted: np.ndarray, scale: float = 1.0) -> float:
    """Median opening of the fitted lips where the detected ones touch (within a pixel), landmarks [T,478,2]; NaN where
    they never do. `scale` takes pixels to those of a picture of 512."""
    touching = lm.mouth_opening(raw) * scale < 1
    return float(np.median(lm.mouth_opening(fitted)[touching]) * scale) if touching.any() else float("nan")


def blink_depth(raw: np.ndarray, fitted: np.ndarray) -> float:
    """How much of the detected closing of the lids the fitted ones do, median over blinks, landmarks [T,478,2]; NaN
    without a blink."""
    seen, found = (lm.eye_aspect(points).mean(1) for points in (raw, fitted))
    awake, fitted_awake = np.quantile(seen, 0.8), np.quantile(found, 0.8)
    lows = [t for t in range(3, len(seen) - 3) if seen[t] == seen[t - 3:t + 4].min() and seen[t] < 0.55 * awake]
    depths = [(fitted_awake - found[t - 1:t + 2].min()) / (awake - seen[t]) for t in lows]
    return float(np.median(depths)) if depths else float("nan")
