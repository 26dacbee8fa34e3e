"""How far sound and picture are apart.

Mouth opening is predicted from the sound's spectrum by a linear model that is fitted on most of the clip and
tried on the rest, once for each shift of one against the other. The shift at which it predicts best is the
offset. Loudness alone is too weak a clue: its correlation with mouth opening in fluent speech is about 0.2,
that of the spectrum 0.5.
"""
from __future__ import annotations

import numpy as np

from geneface.face.landmarks import mouth_opening
from geneface.types import require

REACH = 12  # largest shift tried, both ways [frames]
_BANDS = 24  # on the mel scale from 80 Hz to 6 kHz
_WINDOW = 0.04  # [s]
_FOLDS = 6
_RIDGE = 0.03
_SLOW = 25  # frames; slower change of mouth or sound says nothing about timing
_LEAST = 250  # frames: ten seconds of speech
_CLEAR = 0.25  # least correlation at the best shift
_STANDS_OUT = 0.12  # by how much it exceeds all shifts farther than four frames from it


def relative_mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """[T] inner lip distance over face height, from [T,478,2] image landmarks."""
    height = np.linalg.norm(landmarks[:, 10] - landmarks[:, 152], axis=-1)
    return mouth_opening(landmarks) / np.maximum(height, 1e-6)


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


def audio_offset(opening: np.ndarray, audio: np.ndarray, rate: int, fps: float) -> float | None:
    """How much later the sound is than the picture [frames].

    Args:
        opening: [T] mouth opening.
        audio: [N] float32, starting with the first frame.

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
    for shift in range(-REACH, REACH + 1):
        first, last = max(0, shift), frames + min(shift, 0)
        scores.append(_predictability(sound[first:last], mouth[max(0, -shift):frames - max(shift, 0)]))
    best = int(np.argmax(scores))
    far = [score for index, score in enumerate(scores) if abs(index - best) > 4]
    if best in (0, len(scores) - 1) or scores[best] < _CLEAR or scores[best] - max(far) < _STANDS_OUT:
        return None
    left, middle, right = scores[best - 1:best + 2]
    curve = left - 2 * middle + right
    return best - REACH + (0.5 * (left - right) / curve if curve < 0 else 0.0)
