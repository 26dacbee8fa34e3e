"""Motion at other frame rates: what stays, what a lower rate leaves out."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.basis import load_basis
from geneface.face.motion import motion_from_weights
from geneface.motion.blinks import BLINK, BLINK_PEAK
from geneface.motion.resample import frame_rate, frames_at, resample, resample_poses, resample_series

RATES = (24.0, 30000 / 1001, 30.0, 48.0, 60.0, 120.0, 12.5)
LID = ARKIT_NAMES.index("eyeBlinkLeft")


def waves(frames: int, fps: float, highest: float = 5.0, seed: int = 0) -> np.ndarray:
    """[frames, 52] sums of sines up to `highest` Hz, from 0 to 1, some cut off at 0 as weights of speech are."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / fps
    rate, phase = random.uniform(0.2, highest, (2, 4, 52))
    curve = np.sin(2 * np.pi * (time * rate + phase)).mean(1)
    return np.clip(0.5 + 0.45 * curve - 0.4 * (np.arange(52) % 2), 0, 1)


def swaying(frames: int, fps: float) -> np.ndarray:
    """[frames, 4, 4] poses that turn by up to 200 degrees."""
    time = np.arange(frames)[:, None] / fps
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, :3] = Rotation.from_euler("YXZ", np.sin(time * [0.9, 1.7, 2.3]) * [3.5, 0.3, 0.2]).as_matrix()
    pose[:, :3, 3] = [0, 0, 0.6] + 0.02 * np.sin(time * [1.1, 0.7, 0.4])
    return pose


@pytest.mark.parametrize("fps", RATES)
def test_slow_curves_are_read_between_their_samples(fps):
    motion = replace(motion_from_weights(waves(125, 25, 2.0), 25, "made up"), words=((0.5, 4.9, "word"),))
    other = resample(motion, fps)
    assert len(other) == round(5 * fps) and other.fps == fps and other.words == motion.words
    inside = slice(2, min(len(other), int(4.8 * fps)))
    expected = waves(len(other), fps, 2.0)
    smooth = np.arange(0, 52, 2)  # the others were cut off at 0
    np.testing.assert_allclose(other.expression[inside, smooth], expected[inside, smooth],
                               atol=4e-3 if fps > 20 else 0.03)
    np.testing.assert_allclose(other.landmarks, load_basis().landmarks68(other.expression), atol=1e-7)
    assert other.expression.min() >= 0 and other.expression.max() <= 1 and other.expression.dtype == np.float32


@pytest.mark.parametrize("fps", [30000 / 1001, 30.0, 50.0, 60.0])
def test_there_and_back_is_within_two_percent_of_amplitude(fps):
    motion = replace(motion_from_weights(waves(251, 25), 25, "made up"), head_pose=swaying(251, 25.0))
    back = resample(resample(motion, fps), 25)
    assert len(back) == 251 and back.history[0].startswith("resample")
    amplitude = np.ptp(motion.expression, axis=0)
    error = back.expression - motion.expression
    assert (np.sqrt((error**2).mean(0)) / amplitude).max() < 0.01
    assert np.abs(error[:, ::2]).max() < 1e-5 and (np.abs(error).max(0) / amplitude).max() < 0.04
    turned = Rotation.from_matrix(back.head_pose[:, :3, :3]).inv() * Rotation.from_matrix(motion.head_pose[:, :3, :3])
    assert np.degrees(turned.magnitude()).max() < 0.02
    np.testing.assert_allclose(back.head_pose[:, :3, 3], motion.head_pose[:, :3, 3], atol=1e-5)


def test_bounds_are_kept_without_ripples():
    step = np.repeat([0.0, 1.0, 0.0], 20)
    finer = resample_series(step, 25, 60, (0, 1))
    assert finer.min() == 0 and finer.max() == 1
    rest = resample_series(np.full((50, 3), 0.3), 25, 30, (0, 1))
    np.testing.assert_allclose(rest, 0.3, atol=1e-12)
    assert np.abs(finer[:40]).max() < 0.02  # a tenth of a second before the step


def test_a_lower_rate_does_not_fold_fast_movement_back():
    time = np.arange(600) / 60
    jitter = 0.5 + 0.3 * np.sin(2 * np.pi * 26 * time)  # beyond what 24 frames a second hold; would fold back to 2 Hz
    picked = jitter[::5]
    lower = resample_series(jitter, 60, 12, (0, 1))
    assert np.ptp(picked) > 0.5 and np.ptp(lower[5:-5]) < 0.06
    slow = 0.5 + 0.3 * np.sin(2 * np.pi * 1.5 * time)
    expected = 0.5 + 0.3 * np.sin(3 * np.pi * np.arange(240) / 24)
    np.testing.assert_allclose(resample_series(slow, 60, 24, (0, 1)), expected, atol=0.01)


@pytest.mark.parametrize("fps", RATES[:5])
def test_blinks_are_as_deep_as_they_were(fps):
    weights = np.zeros((100, 52))
    for first in (11, 40, 70):
        weights[first:first + len(BLINK), LID] = BLINK
    other = resample(motion_from_weights(weights, 25, "blinks"), fps)
    for first in (11, 40, 70):
        about = round((first + BLINK_PEAK) / 25 * fps)
        assert other.expression[about - 2:about + 3, LID].max() > 0.93


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 4, 5, 31])
@pytest.mark.parametrize("fps", [0.5, 24.0, 30.0, 1000.0])
def test_short_motions(frames, fps):
    motion = replace(motion_from_weights(waves(frames, 25), 25, "short"), head_pose=swaying(frames, 25.0))
    other = resample(motion, fps)
    assert len(other) == frames_at(frames, 25, fps) and (len(other) > 0) == (frames > 0)
    if frames == 1:
        np.testing.assert_allclose(other.expression, np.repeat(motion.expression, len(other), 0), atol=1e-6)


def test_poses_turn_the_short_way_and_stay_rigid():
    own = swaying(100, 25.0)
    np.testing.assert_array_equal(resample_poses(own, 25.0, 25.0), own)
    twice = resample_poses(own, 25.0, 50.0)
    assert len(twice) == 200
    np.testing.assert_allclose(twice[:199], swaying(199, 50.0), atol=2e-4)
    np.testing.assert_allclose(twice[::2], own, atol=1e-12)
    np.testing.assert_allclose(twice[:, :3, :3] @ twice[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)),
                               atol=1e-12)


def test_rates_that_are_none():
    motion = motion_from_weights(waves(25, 25), 25, "made up")
    assert resample(motion, 25) is motion
    for fps in (0.0, -25.0, float("nan"), float("inf"), 1e6):
        with pytest.raises(UserError, match="fps: must be more than 0"):
            resample(motion, fps)
    assert np.isnan(frame_rate(float("nan")))
    slow = replace(motion, fps=1e-4)
    with pytest.raises(UserError, match="at most"):
        resample(slow, 60)
