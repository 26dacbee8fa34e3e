"""The plots of a preparation's report: each function returns what `report.Section.plot` draws with."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d

from geneface.face.landmarks import MEDIAPIPE_TO_68
from geneface.speech.framing import runs

from .coverage import NOD, TURN, ShapeReference

_CELL = 2.5  # of the histogram of directions [degrees]
_MOST = 3000  # points of a line: more do not show
_CLOSE_UP = 3.0  # seconds of the alignment's window
_QUIETER = 6.0  # dB by which a shut mouth is quieter than the sound around it
_SHUT = 0.1  # of the usual range of opening
_RIGID_68 = np.array([27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45])  # nose and corners of the eyes


def poses(angles: np.ndarray) -> Callable[[Any], None]:
    """Histogram of turn and nod of [T,3] angles [degrees]."""
    def draw(axes) -> None:
        reach = max(20.0, float(np.abs(angles[:, :2]).max()) + _CELL)
        edges = np.arange(-np.ceil(reach / _CELL), np.ceil(reach / _CELL) + 1) * _CELL
        counts = np.histogram2d(angles[:, 1], angles[:, 0], bins=(edges, edges))[0]
        shown = axes.pcolormesh(edges, edges, np.where(counts > 0, 100 * counts / len(angles), np.nan), cmap="viridis")
        axes.figure.colorbar(shown, ax=axes, label="% of the frames")
        turn, nod = np.median(angles[:, 0]), np.median(angles[:, 1])
        axes.plot(turn, nod, "r+", markersize=12)
        axes.plot(turn + TURN * np.array([-1, 1, 1, -1, -1]), nod + NOD * np.array([-1, -1, 1, 1, -1]), "--",
                  color="grey", linewidth=1)
        axes.set(xlabel="turn [degrees], right in the picture", ylabel="nod [degrees], up", aspect="equal")

    return draw


def shapes(found: np.ndarray, reference: ShapeReference) -> Callable[[Any], None]:
    """Mouth shapes [T,2] of the recording over those of natural speech."""
    def draw(axes) -> None:
        opening, width = reference.opening, reference.width
        clipped = [np.clip(found[:, i], edges[0], edges[-1]) for i, edges in enumerate((opening, width))]
        counts = np.histogram2d(*clipped, bins=(opening, width))[0]
        across, down = (width[:-1] + width[1:]) / 2, (opening[:-1] + opening[1:]) / 2
        natural = reference.share > 0.0005
        axes.pcolormesh(width, opening, np.where(natural, 0.8, np.nan), cmap="gray", vmin=0, vmax=1)
        shown = axes.pcolormesh(width, opening, np.where(counts > 0, 100 * counts / len(found), np.nan), cmap="viridis")
        axes.figure.colorbar(shown, ax=axes, label="% of the frames")
        lacking = np.argwhere(natural & ~reference.seen(found))
        axes.plot(across[lacking[:, 1]], down[lacking[:, 0]], "rx", markersize=5)
        rows, columns = np.flatnonzero((natural | (counts > 0)).any(1)), np.flatnonzero((natural | (counts > 0)).any(0))
        axes.set(xlabel="width (1 = at rest)", ylabel="opening",
                 ylim=(opening[0], opening[min(rows[-1] + 2, len(down))]),
                 xlim=(width[max(columns[0] - 1, 0)], width[min(columns[-1] + 2, len(across))]))

    return draw


def over_time(time: np.ndarray, lines: dict[str, np.ndarray], unit: str,
              jumps: list[float] = []) -> Callable[[Any], None]:
    """Courses [T] over `time` [T] in seconds; jumps of the recording as dotted lines."""
    def draw(axes) -> None:
        step = -(-len(time) // _MOST)
        for name, values in lines.items():
            axes.plot(time[::step], values[::step], label=name, linewidth=0.9, alpha=0.9)
        for jump in jumps:
            axes.axvline(jump, color="grey", linewidth=0.8, linestyle=":")
        axes.set(xlabel="s", ylabel=unit)
        axes.margins(x=0.01)

    return draw


def alignment(audio: np.ndarray, rate: int, opening: np.ndarray, fps: float,
              frames: range) -> Callable[[Any], None]:
    """Waveform above the mouth's opening [T] during `frames`, grey where the lips are shut."""
    def draw(rows) -> None:
        start, stop = (round(edge / fps * rate) for edge in (frames.start, frames.stop))
        piece = audio[start:stop]
        step = max(1, len(piece) // _MOST)
        blocks = piece[:len(piece) // step * step].reshape(-1, step)
        time = (start + (np.arange(len(blocks)) + 0.5) * step) / rate
        rows[0].fill_between(time, blocks.min(1, initial=0), blocks.max(1, initial=0), linewidth=0, color="tab:blue")
        rows[0].set(ylabel="sound")
        moments = (np.arange(frames.start, frames.stop) + 0.5) / fps
        rows[1].plot(moments, opening[frames.start:frames.stop], color="tab:red", linewidth=1.2, marker=".",
                     markersize=3)
        rows[1].set(ylabel="opening / face", xlabel="s")
        for first, last in runs(shut(opening)):
            for axes in rows:
                if first < frames.stop and last > frames.start:
                    axes.axvspan(max(first, frames.start) / fps, min(last, frames.stop) / fps, color="grey", alpha=0.2,
                                 linewidth=0)
        rows[1].margins(x=0.01)

    return draw


def shut(opening: np.ndarray) -> np.ndarray:
    """[T] bool: where the lips touch, of the mouth's opening [T]."""
    low, high = np.percentile(opening, [0.5, 90])
    return opening < low + _SHUT * (high - low)


def clearest_closures(opening: np.ndarray, level: np.ndarray, fps: float) -> range:
    """The few seconds in which the lips shut most often between sounds, for looking at sound and mouth together.

    Args:
        opening: [T]; level: [T] dB.
    """
    length = min(round(_CLOSE_UP * fps), len(opening))
    clear = 1e-6 * np.abs(np.diff(opening, prepend=opening[:1]))
    for first, last in runs(shut(opening)):
        before, after = level[max(0, first - 5):first], level[last:last + 5]
        if last - first <= 0.3 * fps and len(before) and len(after):
            clear[first] += min(before.max(), after.max()) - level[first:last].min() > _QUIETER
    total = np.concatenate([[0], np.cumsum(clear)])
    first = int(np.argmax(total[length:] - total[:len(total) - length]))
    return range(first, first + length)


def rigid(landmarks: np.ndarray) -> np.ndarray:
    """[T,11,2] nose and corners of the eyes, of 478 or 68 landmarks [T,N,2]."""
    return landmarks[:, _RIGID_68 if landmarks.shape[1] == 68 else MEDIAPIPE_TO_68[_RIGID_68]]


def trembling(points: np.ndarray, valid: np.ndarray, jumps: list[int], fps: float) -> np.ndarray:
    """[T] how much points [T,N,2] shake: RMS over half a second of fourth differences, which movement hardly has, scaled
    to the noise of one frame [px]; NaN around jumps and where no face was found."""
    out = np.full(len(points), np.nan)
    if len(points) < 5:
        return out
    power = np.square(np.diff(points, n=4, axis=0)).sum(-1).mean(-1) / 70  # 70: of independent noise (1, 4, 6, 4, 1)
    usable = sliding_window_view(valid, 5).all(axis=1)
    for jump in jumps:
        usable[max(0, jump - 4):jump] = False
    width = max(3, round(fps / 2))
    known = uniform_filter1d(usable.astype(np.float64), width)
    mean = uniform_filter1d(np.where(usable, power, 0.0), width) / np.maximum(known, 1e-9)
    out[2:-2] = np.where(known > 1e-9, np.sqrt(np.maximum(mean, 0)), np.nan)
    return out
