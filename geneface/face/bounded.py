"""Bounded least squares over time: the weights in [0,1] of all frames at once.

Every frame has its own quadratic, and neighbouring frames are tied by a penalty on each weight's change. Put one
after another, frames give one banded matrix, which LAPACK factorises in time linear in their number. Projected Newton
steps (Bertsekas 1982) find which weights lie at a bound, and coordinate descent over every other frame, which always
descends, tidies up after them.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded

_CHUNK = 256  # frames solved together
_MARGIN = 32  # those on either side that are solved with them and thrown away

_STILL = 1e-3  # a weight that moves less has arrived


def bounded(quadratic: np.ndarray, linear: np.ndarray, tie: np.ndarray, rounds: int = 12) -> np.ndarray:
    """Minimise sum_t (w_t.H_t.w_t / 2 - g_t.w_t) + sum_t tie.(w_t - w_t-1)^2 / 2 over w in [0,1].

    Args:
        quadratic: H, [T,N,N] positive definite, or [N,N] for the same in every frame.
        linear: g, [T,N].
        tie: [N] penalty on a change from frame to frame; 0 for frames on their own.
        rounds: of Newton step and descent, at most; fewer where they no longer move any weight by 1e-3.

    Returns:
        [T,N] float64.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    count, width = linear.shape
    if quadratic.shape not in ((count, width, width), (width, width)) or tie.shape != (width,):
        raise ValueError(f"quadratic: {quadratic.shape} and tie {tie.shape} do not fit linear {linear.shape}")
    result = np.empty((count, width))
    for kept, wide in overlapping(count, _CHUNK):
        length = wide.stop - wide.start
        piece = np.broadcast_to(quadratic if quadratic.ndim == 2 else quadratic[wide], (length, width, width))
        solved = _Chunk(piece, linear[wide], tie).solve(rounds)
        result[kept] = solved[kept.start - wide.start:kept.stop - wide.start]
    return result


def overlapping(count: int, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of up to `chunk` of `count` frames, each with the wider piece to solve for it: what is farther off hardly
    matters."""
    for first in range(0, count, chunk):
        last = min(count, first + chunk)
        yield slice(first, last), slice(max(0, first - _MARGIN), min(count, last + _MARGIN))


class _Chunk:
    """The problem of consecutive frames; arguments as for `bounded`, with quadratic [T,N,N]."""

    def __init__(self, quadratic: np.ndarray, linear: np.ndarray, tie: np.ndarray) -> None:
        count, width = linear.shape
        self.linear, self.tie = linear, tie
        self.columns = np.ascontiguousarray(quadratic.transpose(2, 0, 1), np.float64)  # [N,T,N]
        # Lower bands of the whole matrix, [TN,N+1]: row tN+i holds, at k, the element i+k of column i of frame t;
        # the last is the tie to the next frame.
        self.bands = np.zeros((count, width, width + 1))
        for i in range(width):
            self.bands[:, i, :width - i] = self.columns[i][:, i:]
        neighbours = np.full(count, 2.0)
        neighbours[0] -= 1
        neighbours[-1] -= 1
        self.bands[:, :, 0] += tie * neighbours[:, None]
        self.bands[:-1, :, width] = -tie
        self.diagonal = self.bands[:, :, 0].copy()  # [T,N]

    def solve(self, rounds: int) -> np.ndarray:
        """[T,N]."""
        value = np.zeros_like(self.linear)
        self._descend(value)
        for _ in range(rounds):
            before = value.copy()
            self._newton(value)
            self._descend(value)
            if np.abs(value - before).max() < _STILL:
                break
        return value

    def _slope(self, value: np.ndarray) -> np.ndarray:
        """[T,N] downhill direction: g - (H + ties) w."""
        slope = self.linear - np.einsum("itn,ti->tn", self.columns, value, optimize=False)
        change = np.diff(value, axis=0) * self.tie
        slope[:-1] += change
        slope[1:] -= change
        return slope

    def _newton(self, value: np.ndarray) -> None:
        """A step to the minimum over the weights that are free, as far as it descends. In place."""
        slope = self._slope(value)
        free = ~(((value <= 0) & (slope < 0)) | ((value >= 1) & (slope > 0)))
        count, width = value.shape
        flat = np.concatenate([free.ravel(), np.zeros(width, bool)])
        reach = np.lib.stride_tricks.sliding_window_view(flat, width + 1)[:count * width]
        bands = self.bands.reshape(count * width, width + 1) * (reach & flat[:count * width, None])
        bands[:, 0] += ~flat[:count * width]
        try:
            step = solveh_banded(bands.T, (slope * free).ravel(), overwrite_ab=True, lower=True, check_finite=False)
        except LinAlgError:  # not positive definite to rounding: descent alone goes on
            return
        step = step.reshape(count, width)
        for _ in range(4):
            move = np.clip(value + step, 0, 1) - value
            if (move * (slope + self._slope(value + move))).sum() >= 0:  # twice the descent, for a quadratic
                value += move
                return
            step /= 4

    def _descend(self, value: np.ndarray) -> None:
        """One weight after another to its minimum, in even frames and then in odd ones. In place."""
        slope = self._slope(value)
        padded = np.zeros((len(value) + 2, value.shape[1]))  # so that every frame has neighbours
        padded[1:-1] = slope
        for first in (0, 1):
            of, before, after = (slice(first + by, len(value) + by, 2) for by in (1, 0, 2))
            frames = slice(first, None, 2)
            for i, column in enumerate(self.columns):
                old = value[frames, i]
                move = np.clip(old + padded[of, i] / self.diagonal[frames, i], 0, 1) - old
                padded[of] -= move[:, None] * column[frames]
                padded[of, i] -= move * (self.diagonal[frames, i] - column[frames, i])
                padded[before, i] += move * self.tie[i]
                padded[after, i] += move * self.tie[i]
                value[frames, i] += move
