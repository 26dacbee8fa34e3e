"""How far two courses of the same mouth, or sound and picture, are apart.

Mouth opening is predicted from the sound's spectrum by a linear model that is fitted on most of the clip and
tried on the rest, once for each shift of one against the other. The shift at which it predicts best is the
offset. Loudness alone is too weak a clue: its correlation with mouth opening in fluent speech is about 0.2,
that of the spectrum 0.5.
"""
from __future__ import annotations

import numpy as np

from ..types import require

MIN_OVERLAP = 12
"""Fewer shared frames than this (about half a second) say nothing about a correlation."""

MIN_PEAK = 0.3
"""Below this correlation the two signals do not resemble each other at any lag: no offset is given."""

CHANCE = 4.0
"""Nor is one below this over the root of the number of frames: unrelated signals correlate by one over the root
of their independent values, of which a talking mouth gives about one every four frames, and the largest of many
lags by about twice that."""

REACH = 25  # largest shift tried, both ways [frames]
_BANDS = 24  # on the mel scale from 80 Hz to 6 kHz
_WINDOW = 0.04  # [s]
_FOLDS = 6
_RIDGE = 0.03
_SLOW = 25  # frames; slower change of mouth or sound says nothing about timing
_LEAST = 250  # frames: ten seconds of speech
_SURE = 375  # frames of speech that make an estimate reliable enough to act on
_WORTH = 1.0  # smallest offset that is corrected [frames]
_AGREE = 1.0  # how far the halves of a clip may lie from the whole [frames]
_CLEAR = 0.25  # least correlation at the best shift
_STANDS_OUT = 0.12  # by how much it exceeds all shifts farther than four frames from it


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson correlation of two signals over the frames where both are finite.

    Args:
        a, b: [T], NaN where there is no measurement.

    Returns:
        a value in [-1,1]; None with fewer than `MIN_OVERLAP` shared frames or where one signal does
        not move at all (the correlation is then undefined).

    Raises:
        ValueError: for signals of different lengths.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"a, b: expected two signals of one length, got {a.shape} and {b.shape}")
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_OVERLAP:
        return None
    a, b = a[both] - a[both].mean(), b[both] - b[both].mean()
    # Rounding leaves a constant signal with some 1e-16 of its size; that is not movement.
    length = np.linalg.norm(a) * np.linalg.norm(b)
    if np.abs(a).max() < 1e-9 or np.abs(b).max() < 1e-9:
        return None
    return float(np.clip(a @ b / length, -1, 1))


def sync_offset_frames(signal: np.ndarray, truth: np.ndarray, max_lag: int = 10) -> float | None:
    """By how many frames `signal` comes after `truth`: the lag of greatest correlation.

    A parabola through the peak and its neighbours gives the fraction of a frame.

    Args:
        signal, truth: [T], NaN where there is no measurement.
        max_lag: lags from -max_lag to +max_lag frames are tried, as far as the length allows.

    Returns:
        the offset [frames], positive where the signal is late; None where the signals resemble each
        other nowhere in that range (see `MIN_PEAK` and `CHANCE`), most at its very end, or are too short.
    """
    signal, truth = np.asarray(signal, np.float64), np.asarray(truth, np.float64)
    if signal.shape != truth.shape or signal.ndim != 1:
        raise ValueError(f"signal, truth: expected two signals of one length, got {signal.shape} and {truth.shape}")
    max_lag = min(max_lag, len(truth) - MIN_OVERLAP)
    if max_lag < 0:
        return None
    lags = np.arange(-max_lag, max_lag + 1)
    scores = np.array([_score(signal, truth, int(lag)) for lag in lags])
    best = int(np.argmax(scores))
    least = max(MIN_PEAK, CHANCE / np.sqrt(len(truth) - abs(lags[best])))
    # At the end of the range there is no peak, only a slope towards one outside it.
    if scores[best] < least or (best in (0, len(lags) - 1) and max_lag > 0):
        return None
    if max_lag == 0:
        return 0.0
    return float(lags[best]) + _between(scores, best)


def _score(signal: np.ndarray, truth: np.ndarray, lag: int) -> float:
    """Correlation of signal[t + lag] with truth[t], minus infinity where there is none."""
    late, early = signal[max(0, lag):], truth[max(0, -lag):]
    count = min(len(late), len(early))
    value = correlation(late[:count], early[:count])
    return -np.inf if value is None else value


def _between(scores: np.ndarray, best: int) -> float:
    """How far the summit of a parabola through a peak and its neighbours lies from the peak, in steps."""
    before, peak, after = scores[best - 1:best + 2]
    curvature = before - 2 * peak + after
    return float(0.5 * (before - after) / curvature) if np.isfinite(curvature) and curvature < 0 else 0.0


def spectrum(audio: np.ndarray, rate: int, fps: float, frames: int) -> np.ndarray:
    """[T,24] power in mel bands [dB] around the middle of each video frame.

    Args:
        audio: [N] float32.
    """
    length = round(_WINDOW * rate)
    centres = np.round((np.arange(frames) + 0.5) / fps * rate).astype(int)
    padded = np.pad(audio, (length, length + max(0, int(centres[-1]) - len(audio)) + length))
    starts = centres + length - length // 2
    pieces = np.lib.stride_tricks.sliding_window_view(padded, length)[starts]
    power = np.square(np.abs(np.fft.rfft(pieces * np.hanning(length), 1024)))
    frequencies = np.fft.rfftfreq(1024, 1 / rate)
    mel = 2595 * np.log10(1 + frequencies / 700)
    edges = np.linspace(2595 * np.log10(1 + 80 / 700), 2595 * np.log10(1 + 6000 / 700), _BANDS + 1)
    bands = [power[:, (mel >= low) & (mel < high)] for low, high in zip(edges[:-1], edges[1:])]
    return 10 * np.log10(np.stack([band.mean(1) if band.shape[1] else np.zeros(frames) for band in bands], 1) + 1e-5)


def _fast(values: np.ndarray) -> np.ndarray:
    """[T,...] without what changes slower than about a second."""
    from scipy.ndimage import gaussian_filter1d

    return values - gaussian_filter1d(values, _SLOW, axis=0)


def _predictability(sound: np.ndarray, mouth: np.ndarray) -> float:
    """Correlation of held-out mouth opening [T] with its ridge prediction from sound [T,C]."""
    fold = np.arange(len(mouth)) * _FOLDS // len(mouth)
    predicted = np.zeros(len(mouth))
    for held_out in range(_FOLDS):
        train = fold != held_out
        x, y = sound[train], mouth[train]
        weights = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        predicted[~train] = sound[~train] @ weights
    return float(np.corrcoef(predicted, mouth)[0, 1]) if predicted.std() > 0 and mouth.std() > 0 else 0.0


def audio_offset(
    opening: np.ndarray, audio: np.ndarray, rate: int, fps: float, reach: int = REACH
) -> float | None:
    """How much later the sound is than the picture [frames].

    Args:
        opening: [T] mouth opening.
        audio: [N] float32, starting with the first frame.
        reach: largest shift tried, both ways [frames].

    Returns:
        None where the clip is too short or mouth and sound do not clearly belong together.
    """
    require(fps > 0 and rate > 0, f"fps and rate must be positive, got {fps} and {rate}")
    frames = len(opening)
    if frames < _LEAST or opening.std() < 1e-6:
        return None
    sound, mouth = _fast(spectrum(audio, rate, fps, frames)), _fast(np.asarray(opening, np.float64))
    sound = (sound - sound.mean(0)) / np.maximum(sound.std(0), 0.5)
    scores = []
    for shift in range(-reach, reach + 1):
        first, last = max(0, shift), frames + min(shift, 0)
        scores.append(_predictability(sound[first:last], mouth[max(0, -shift):frames - max(shift, 0)]))
    best = int(np.argmax(scores))
    far = [score for index, score in enumerate(scores) if abs(index - best) > 4]
    if best in (0, len(scores) - 1) or scores[best] < _CLEAR or scores[best] - max(far) < _STANDS_OUT:
        return None
    return best - reach + _between(np.array(scores), best)


def audio_drift(opening: np.ndarray, audio: np.ndarray, rate: int, fps: float) -> float | None:
    """By how much later the sound is in the last third than in the first [frames]: it runs at another speed.

    On clips of 50 s it errs by about a frame.

    Args:
        opening: [T] mouth opening.
        audio: [N] float32, starting with the first frame.

    Returns:
        None where it cannot be told in both.
    """
    third = len(opening) // 3
    ends = []
    for start in (0, len(opening) - third):
        first, last = (round(frame / fps * rate) for frame in (start, start + third))
        ends.append(audio_offset(opening[start:start + third], audio[first:last], rate, fps))
    return None if None in ends else ends[1] - ends[0]


def correction(opening: np.ndarray, audio: np.ndarray, rate: int, fps: float) -> tuple[float | None, float]:
    """Offset between sound and picture, and by how much it is safe to correct it.

    An estimate is acted on when it comes from fifteen seconds at least, exceeds a frame, and neither half of the clip
    (where it is long enough to tell) says otherwise.

    Args:
        opening: [T] mouth opening.
        audio: [N] float32, starting with the first frame.

    Returns:
        how much later the sound is than the picture [frames], None where it cannot be told; and how much of that
        to take away, 0 where it had better be left alone.
    """
    offset = audio_offset(opening, audio, rate, fps)
    if offset is None or len(opening) < _SURE or abs(offset) < _WORTH:
        return offset, 0.0
    middle = len(opening) // 2
    sample = round(middle / fps * rate)
    for part in (audio_offset(opening[:middle], audio[:sample], rate, fps),
                 audio_offset(opening[middle:], audio[sample:], rate, fps)):
        if part is not None and abs(part - offset) > _AGREE:
            return offset, 0.0
    return offset, offset
