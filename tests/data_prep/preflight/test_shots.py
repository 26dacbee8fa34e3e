"""Cuts and takes."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.preflight.shots import Cut, CutFinder, find_steps, longest_take


def scene(seed: int, frames: int, size: int = 96) -> np.ndarray:
    """[frames,size,size,3]: a smooth picture with a patch that wanders, and grain."""
    rng = np.random.default_rng(seed)
    base = np.kron(rng.uniform(40, 215, (4, 4, 3)), np.ones((size // 4, size // 4, 1)))
    out = np.repeat(base[None], frames, 0)
    for t in range(frames):
        at = size // 3 + int(8 * np.sin(t / 6))
        out[t, at:at + 20, 40:60] += 40
    return (out + rng.normal(0, 2, out.shape)).clip(0, 255).astype(np.uint8)


def found(frames: np.ndarray) -> CutFinder:
    finder = CutFinder()
    for frame in frames:
        finder.add(frame)
    return finder


def test_cut_is_found_at_its_frame():
    finder = found(np.concatenate([scene(0, 30), scene(1, 40)]))
    assert len(finder) == 70
    assert finder.cuts() == [Cut(30, True)]


def test_jump_in_the_same_picture_is_no_change_of_framing():
    frames = scene(2, 60)
    # The head jumps, shoulders and walls stay.
    frames[30:, 20:60, 30:70] = np.roll(frames[30:, 20:60, 30:70], 9, axis=2)
    frames[30:, 20:60, 30:70] //= 2
    assert found(frames).cuts() == [Cut(30, False)]


def test_movement_blinks_and_noise_are_no_cuts():
    assert found(scene(3, 80)).cuts() == []


def test_blended_cut_is_one_cut():
    a, b = scene(4, 20), scene(5, 20)
    frames = np.concatenate([a, ((a[:1].astype(int) + b[:1]) // 2).astype(np.uint8), b])
    cuts = found(frames).cuts()
    assert len(cuts) == 1 and cuts[0].frame in (20, 21)


def test_short_and_empty_clips():
    assert find_steps(np.zeros(0)) == []
    assert found(scene(6, 1)).cuts() == [] and found(scene(6, 2)).cuts() == []
    assert len(CutFinder()) == 0 and CutFinder().movement == 0


def test_still_picture_does_not_move():
    still = np.repeat(scene(7, 1), 20, 0)
    assert found(still).movement == 0
    assert found(scene(7, 20)).movement > 10


def test_longest_take_counts_usable_frames():
    cuts = [Cut(10, False), Cut(40, True), Cut(60, False), Cut(100, True)]
    take = longest_take(130, cuts)
    assert (take.start, take.stop, take.jumps, take.cuts) == (40, 100, (20,), (40, 100))
    usable = np.ones(130, bool)
    usable[40:100] = False
    take = longest_take(130, cuts, usable)
    assert (take.start, take.stop, take.jumps) == (0, 40, (10,))
    assert len(longest_take(5, [])) == 5
    with pytest.raises(ValueError, match="empty"):
        longest_take(0, [])


def test_footage_cut_is_found(footage):
    from geneface.media import read_frames

    finder = CutFinder()
    for frame in read_frames(footage / "identities" / "cnn2.mp4", 25, 1390, 1460):
        finder.add(frame)
    reframed = [cut.frame + 1390 for cut in finder.cuts() if cut.reframed]
    assert len(reframed) == 1 and abs(reframed[0] - 57.16 * 25) <= 2
