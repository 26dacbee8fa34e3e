"""The person's post-net: a temporal filter learned by ridge regression."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geneface.motion.postnet import REACH, PostNet, Regression, fingerprint, per_frame
from geneface.motion.vae import GeneratorSpec, MotionGenerator

DRIVEN = np.array([24, 37], np.int32)


def recording(frames: int = 400, channels: int = 6, seed: int = 0):
    """Speech, generic motion, and a correction that is a filter of both, reaching two frames back and three ahead."""
    random = np.random.default_rng(seed)
    content = random.standard_normal((frames, channels)).astype(np.float32)
    generic = np.zeros((frames, 52), np.float32)
    generic[:, DRIVEN] = random.uniform(0, 1, (frames, 2))
    inputs = np.concatenate([content, generic[:, DRIVEN]], axis=1)
    filters = np.zeros((2 * REACH + 1, channels + 2, 2))
    filters[REACH - 2], filters[REACH + 3] = random.standard_normal((2, channels + 2, 2))
    padded = np.pad(inputs, ((REACH, REACH), (0, 0)), mode="edge")
    target = sum(padded[i:i + frames] @ taps for i, taps in enumerate(filters)) + (0.3, -0.2)
    return content, generic, target


def learned(content, generic, target, penalty, rows) -> PostNet:
    regression = Regression(content, generic[:, DRIVEN], rows)
    filters, bias = regression.solve(target[rows], penalty, np.ones(len(rows), bool))
    return PostNet(filters, bias, DRIVEN, np.ones(1, np.float32), np.zeros(2, np.float32), np.zeros(8, np.uint8),
                   np.stack([content.mean(0), content.std(0)]))


def test_learns_a_filter_and_holds_on_frames_it_has_not_seen():
    content, generic, target = recording()
    net = learned(content, generic, target, 1e-3, np.arange(300))
    out = net.correction(content, generic)
    np.testing.assert_allclose(out[:, DRIVEN], target, atol=5e-3)
    assert not np.delete(out, DRIVEN, axis=1).any()


def test_a_heavy_penalty_leaves_the_mean():
    content, generic, target = recording()
    net = learned(content, generic, target, 1e9, np.arange(400))
    out = net.correction(content, generic)[:, DRIVEN]
    np.testing.assert_allclose(out, np.tile(target.mean(0), (400, 1)), atol=1e-3)


def test_learns_only_from_the_rows_kept():
    content, generic, target = recording()
    rows = np.arange(0, 400, 2)
    kept = rows < 200
    spoiled = target.copy()
    spoiled[200:] = 1e3
    regression = Regression(content, generic[:, DRIVEN], rows)
    for got, expected in zip(regression.solve(spoiled[rows], 0.1, kept), regression.solve(target[rows], 0.1, kept)):
        np.testing.assert_array_equal(got, expected)


def test_a_channel_that_never_changes_is_ignored():
    content, generic, target = recording()
    content[:, 0] = 7.0
    net = learned(content, generic, target, 1.0, np.arange(400))
    assert not net.filters[:, 0].any() and np.isfinite(net.filters).all()


@pytest.mark.parametrize("frames", [0, 1, 2, 31, 32, 33])
def test_any_length(frames):
    content, generic, target = recording()
    net = learned(content, generic, target, 1.0, np.arange(400))
    out = net.correction(content[:frames], generic[:frames])
    assert out.shape == (frames, 52) and np.isfinite(out).all()
    # Far from the end, an excerpt is what the whole is.
    inside = max(0, frames - REACH - 1)
    np.testing.assert_allclose(out[:inside], net.correction(content, generic)[:inside], atol=1e-5)


def test_odd_features_end_on_a_frame_of_their_own():
    np.testing.assert_allclose(per_frame(np.array([[1.0], [3.0], [8.0]])), [[2.0], [8.0]])


def test_widening_keeps_the_centre():
    content, generic, target = recording()
    net = replace(learned(content, generic, target, 1.0, np.arange(400)), gain=np.array([1.5], np.float32),
                  centre=np.array([0.2, 0.4], np.float32))
    weights = np.zeros((2, 52))
    weights[0, DRIVEN], weights[1, DRIVEN] = (0.2, 0.4), (0.4, 0.0)
    np.testing.assert_allclose(net.widen(weights, 1.0)[:, DRIVEN], [[0.2, 0.4], [0.5, -0.2]], atol=1e-6)
    np.testing.assert_allclose(net.widen(weights, 0.0), weights, atol=1e-6)


def test_tensors_and_back():
    net = learned(*recording(), 1.0, np.arange(400))
    again = PostNet.of_tensors(net.tensors())
    for name, value in net.tensors().items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with pytest.raises(ValueError, match="lacks bias"):
        PostNet.of_tensors({name: value for name, value in net.tensors().items() if name != "bias"})


def test_fingerprint_tells_generators_apart():
    one, other = (MotionGenerator(GeneratorSpec(("jawOpen",), content=4, hidden=8)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(fingerprint(one), fingerprint(other))
    other.rest[0] = 1
    assert (fingerprint(one) != fingerprint(other)).any()


def test_a_voice_is_told_from_another():
    content, generic, target = recording(frames=1000)
    net = learned(content, generic, target, 1.0, np.arange(1000))
    assert net.familiarity(content[:500]) == 1 and net.familiarity(content) == 1
    assert net.familiarity(content + 0.5) == 0 and net.familiarity(content[:0]) == 0
    nearly = content.copy()
    nearly += 0.165 * content.std(0)
    assert net.familiarity(nearly) == pytest.approx(0.5, abs=0.1)
