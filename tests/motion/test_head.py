"""Head poses sampled from recorded ones."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.motion.head import sample_poses


def recorded(frames: int, seed: int = 0) -> np.ndarray:
    """A head that sways smoothly about all axes."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 25
    rate, phase = random.uniform(0.1, 0.4, (2, 6))
    wave = np.sin(2 * np.pi * (time * rate + phase * 10))
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = Rotation.from_rotvec(0.1 * wave[:, :3]).as_matrix()
    pose[:, :3, 3] = (0, 0, 0.6) + 0.01 * wave[:, 3:]
    return pose


def steps(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn [rad] and move [m] from frame to frame."""
    turned = Rotation.from_matrix(poses[:, :3, :3])
    return (turned[:-1].inv() * turned[1:]).magnitude(), np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)


def test_continuous_and_as_the_person_moves():
    own = recorded(1000)
    sampled = sample_poses(own, 3000, 25.0, np.random.default_rng(0))
    for mine, theirs in zip(steps(sampled), steps(own)):
        assert mine.max() <= 1.5 * theirs.max()  # no jump anywhere
        assert 0.7 < mine.mean() / theirs.mean() < 1.3
    assert np.abs(sampled[:, :3, 3].std(0) / own[:, :3, 3].std(0) - 1).max() < 0.5
    np.testing.assert_allclose(np.linalg.det(sampled[:, :3, :3]), 1, atol=1e-9)


def test_not_the_recording_over_again():
    own = recorded(1000)
    sampled = sample_poses(own, 1000, 25.0, np.random.default_rng(0))
    nearest = [int(np.abs(own - pose).sum((1, 2)).argmin()) for pose in sampled[::5]]
    assert np.count_nonzero(np.abs(np.diff(nearest) - 5) > 3) >= 5  # jumps
    assert np.ptp(nearest) > 500


def test_seeds():
    own = recorded(500)
    one, again, other = (sample_poses(own, 700, 25.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("length", [1, 2, 31, 98, 99, 130])
@pytest.mark.parametrize("frames", [0, 1, 33, 400])
def test_short_recordings(length, frames):
    own = recorded(length)
    sampled = sample_poses(own, frames, 25.0, np.random.default_rng(0))
    assert sampled.shape == (frames, 4, 4) and np.isfinite(sampled).all()
    if length > 1 and frames > 1:
        assert steps(sampled)[0].max() <= 1.5 * steps(own)[0].max() + 1e-9
