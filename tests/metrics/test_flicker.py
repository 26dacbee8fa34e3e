import numpy as np
import pytest
from scipy import ndimage

from geneface.face import landmarks as sets
from geneface.metrics.flicker import Flicker, static_skin

SIDE = 512
SEEN = np.ones((SIDE, SIDE), bool)


def face():
    """[478,2]: an oval outline, two eyes under brows, a nose: what `static_skin` looks at."""
    points = np.full((478, 2), 256.0)
    angle = np.linspace(0, 2 * np.pi, len(sets.FACE_OVAL), endpoint=False)
    points[sets.FACE_OVAL] = 256 + np.stack([110 * np.sin(angle), -140 * np.cos(angle)], -1)
    for eye, brow, x in ((sets.EYE_RIGHT, sets.BROW_RIGHT, 206), (sets.EYE_LEFT, sets.BROW_LEFT, 306)):
        points[eye] = (x, 220) + np.random.default_rng(0).uniform((-20, -6), (20, 6), (len(eye), 2))
        points[brow] = (x, 195) + np.random.default_rng(1).uniform((-25, -4), (25, 4), (len(brow), 2))
    points[[98, 2, 327]] = (240, 290), (256, 295), (272, 290)
    return points


SKIN = ndimage.gaussian_filter(np.random.default_rng(0).uniform(0, 255, (2 * SIDE, 2 * SIDE)), 3)
SKIN = 128 + 60 * (SKIN - SKIN.mean()) / SKIN.std()


def frame(shift, brighter=0.0, noise=0.0, seed=0):
    """[512,512,3] uint8 of a texture moved by `shift` = (x, y) px."""
    moved = ndimage.shift(SKIN[:600, :600], (shift[1], shift[0]), order=3, mode="nearest")[40:552, 40:552] + brighter
    moved = moved + np.random.default_rng(seed).normal(0, noise, moved.shape) if noise else moved
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)[..., None].repeat(3, -1)


def test_skin_is_between_forehead_and_nose_without_eyes_and_brows():
    skin = static_skin(face(), SIDE, SIDE)
    assert skin[150, 256] and skin[250, 200] and skin[280, 256]
    assert not skin[220, 206] and not skin[195, 306] and not skin[350, 256] and not skin[100, 256]
    assert not static_skin(face() + 2000, SIDE, SIDE).any()


def test_motion_alone_is_no_flicker_and_pumping_is():
    flicker = Flicker()
    for index in range(3):
        shift = (3.0 * index, -2.0 * index)
        pictures = {"truth": frame(shift), "pumping": frame(shift, brighter=6 * (index % 2)), "still": frame((0, 0))}
        found = flicker.step(index, pictures, face(), SEEN)
        if index == 0:
            assert found is None
            continue
        assert found["truth"] < 1
        assert found["pumping"] == pytest.approx(6, abs=0.7)
        assert found["still"] > 5  # does not follow truth's motion


def test_fine_noise_counts_little():
    flicker = Flicker()
    for index in range(2):
        pictures = {"truth": frame((0, 0)), "noisy": frame((0, 0), noise=5, seed=index)}
        found = flicker.step(index, pictures, face(), SEEN)
    # The mean absolute difference of two noises is 5.6 levels; smoothed by 1.5 px it is that over 2 sqrt(pi) 1.5.
    assert found["truth"] == 0 and found["noisy"] == pytest.approx(5.64 / 5.32, rel=0.2)


def test_only_neighbours_in_sight_are_compared():
    flicker = Flicker()
    picture = {"truth": frame((0, 0))}
    assert flicker.step(4, picture, face(), SEEN) is None
    assert flicker.step(6, picture, face(), SEEN) is None
    assert flicker.step(7, picture, None, SEEN) is None
    assert flicker.step(8, picture, face(), SEEN) == {"truth": 0}
    assert flicker.step(9, picture, face(), ~SEEN) is None
    assert flicker.step(10, picture, face(), SEEN) is None
