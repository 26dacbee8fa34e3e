"""What is in front of a person: nothing is found where nothing is; things of several looks are found where they are."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.layers.occluders import Usual, occluder, references
from data_prep.layers.segment import to_bytes

FACE = np.random.default_rng(0).uniform(-1, 1, (478, 2)).astype(np.float32)  # MediaPipe's points, roughly a face
FRAMES, SIZE = 90, 160


def place(points: dict[int, tuple[float, float]]) -> None:
    for index, (x, y) in points.items():
        FACE[index] = 2 * x - 1, 2 * y - 1


FACE *= 0.8
place({33: (0.19, 0.31), 133: (0.38, 0.32), 362: (0.62, 0.32), 263: (0.81, 0.31), 1: (0.5, 0.54), 4: (0.5, 0.5),
       6: (0.5, 0.34), 61: (0.33, 0.73), 291: (0.67, 0.73), 152: (0.5, 1.0), 234: (0.0, 0.43), 454: (1.0, 0.43),
       10: (0.5, 0.0)})


def frame_of(t: int):
    """A drawn head that sways and talks over a torso: frame, mask, landmarks."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    x, y = 80 + 5 * np.sin(t / 9), 62 + 3 * np.cos(t / 7)
    landmarks = FACE * (30, 40) + (x, y)
    u, v = (columns - x) / 30, (rows - y) / 40
    frame = np.full((SIZE, SIZE, 3), (70, 110, 150), np.float32)
    torso = (rows > 112) & (np.abs(columns - 80) < 22 + (rows - 112) * 1.4) | (np.abs(columns - 80) < 16) & (rows > 80)
    head = (u / 1.15) ** 2 + (v / 1.15) ** 2 < 1
    frame[torso] = (60, 40, 90)
    frame[head] = (60, 45, 30)
    face = (u ** 2 + (v + 0.02) ** 2 < 1) & (v > -0.75)
    frame[face] = (215, 165, 145)
    for side in (-0.4, 0.4):
        frame[((u - side) / 0.16) ** 2 + ((v + 0.36) / 0.06) ** 2 < 1] = (40, 30, 30)
    frame[(np.abs(u) < 0.1) & (v > -0.2) & (v < 0.1)] = (190, 140, 120)
    frame[(u / 0.3) ** 2 + ((v - 0.46) / (0.06 + 0.05 * np.sin(t / 2))) ** 2 < 1] = (160, 60, 60)
    grain = np.random.default_rng(t).normal(0, 2, frame.shape)
    parts = np.stack([head, torso & ~head, ~torso & ~head], -1).astype(np.float32)
    return (frame + grain).clip(0, 255).astype(np.uint8), to_bytes(parts), landmarks.astype(np.float32)


def thing(kind: str, t: int) -> tuple[np.ndarray, np.ndarray]:
    """[H,W] bool and colour of a thing in front."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    x, y = 80 + 18 * np.sin(t / 5), 80 + 8 * np.cos(t / 4)
    if kind == "microphone":
        return (columns - x) ** 2 + (rows - y) ** 2 < 11 ** 2, (35, 35, 38)
    if kind == "paper":
        return (np.abs(columns - x) < 18) & (np.abs(rows - y) < 13), (238, 238, 235)
    if kind == "hand":  # skin of another shade, before face and torso
        return (np.abs(columns - x) < 9) & (rows > y - 22), (165, 110, 85)
    return (np.abs(columns - x) < 10) & (np.abs(rows - 140) < 10), (190, 60, 50)  # a cup before the torso


@pytest.fixture(scope="module")
def clip():
    return [frame_of(t) for t in range(FRAMES)]


def usual_of(clip, covered=None) -> Usual:
    chosen = references(np.stack([landmarks for _, _, landmarks in clip]))
    assert len(chosen) == len(set(chosen.tolist())) and 40 < len(chosen) <= 64
    return Usual((*(covered or {}).get(int(i), clip[i]), int(i)) for i in chosen)


def test_nothing_is_found_where_nothing_is(clip):
    usual = usual_of(clip)
    for t in range(0, FRAMES, 6):
        frame, mask, landmarks = clip[t]
        assert occluder(frame, landmarks, t, 1 - mask[..., 2] / np.float32(255), usual) is None


def test_another_shirt_in_a_short_second_clip_is_no_thing(clip):
    def second(t: int):
        frame, mask, landmarks = frame_of(t)
        striped = (mask[..., 1] > 127) & (np.arange(SIZE) // 20 % 2 == 0)
        return np.where(striped[..., None], 255 - frame, frame), mask, landmarks

    both, start = [*clip, *clip[:60], *(second(t) for t in range(50, 90))], FRAMES + 60
    landmarks = np.stack([points for _, _, points in both])

    def found(starts: tuple[int, ...]) -> int:
        usual = Usual(((*both[i], int(i)) for i in references(landmarks, starts)), starts)
        return sum(occluder(frame, points, t, 1 - mask[..., 2] / np.float32(255), usual) is not None
                   for t, (frame, mask, points) in enumerate(both) if t % 7 == 0)

    assert found((start,)) == 0 < found(())


@pytest.mark.parametrize("kind", ["microphone", "paper", "hand", "cup"])
def test_things_are_found_where_they_are(clip, kind):
    """In front for a fifth of the clip, references included."""
    covered = {}
    for t in range(40, 58):
        frame, mask, landmarks = clip[t]
        region, colour = thing(kind, t)
        frame = frame.copy()
        frame[region] = colour + np.random.default_rng(t).normal(0, 3, (region.sum(), 3))
        covered[t] = frame, mask, landmarks
    usual = usual_of(clip, covered)
    both = either = real = 0
    for t in (41, 46, 51, 56):
        frame, mask, landmarks = covered[t]
        person = mask[..., 2] < 128
        share = occluder(frame, landmarks, t, person.astype(np.float32), usual)
        assert share is not None and share.shape == (SIZE, SIZE) and 0 <= share.min() and share.max() <= 1
        found, true = (share > 0.5) & person, thing(kind, t)[0] & person
        both, either, real = both + (found & true).sum(), either + (found | true).sum(), real + true.sum()
    assert both > 0.8 * real and both > 0.65 * either


def test_what_is_always_in_front_is_not_found(clip):
    """The known gap: it is taken for the person's."""
    always = []
    for frame, mask, landmarks in clip:
        frame = frame.copy()
        frame[100:130, 70:84] = (30, 30, 30)
        always.append((frame, mask, landmarks))
    usual = usual_of(always)
    frame, mask, landmarks = always[30]
    assert occluder(frame, landmarks, 30, 1 - mask[..., 2] / np.float32(255), usual) is None


def test_a_clip_too_short_to_compare_is_not_judged(clip):
    usual = Usual((*clip[i], i) for i in range(12))
    frame, mask, landmarks = clip[3]
    frame = frame.copy()
    frame[60:100, 60:100] = 0
    assert occluder(frame, landmarks, 3, 1 - mask[..., 2] / np.float32(255), usual) is None


def test_masks_lack_what_is_in_front():
    parts = np.zeros((2, 3, 3), np.float32)
    parts[..., 0], parts[..., 2] = 0.6, 0.4
    parts[1] *= 0.25
    masks = to_bytes(parts)
    assert (masks[0].sum(-1) == 255).all() and (masks[1].sum(-1) == 64).all() and masks[1, 0].tolist() == [38, 0, 26]
