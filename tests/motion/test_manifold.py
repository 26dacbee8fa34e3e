"""Locally linear embedding and clamping."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.motion.manifold import PersonSpace, local_weights


def person(frames: int = 200, seed: int = 0) -> tuple[PersonSpace, np.ndarray]:
    """A person whose mouth has one degree of freedom, a curve in landmark space; returns also the offsets of the
    weights."""
    random = np.random.default_rng(seed)
    offsets = random.standard_normal((52, 68, 3)) * 0.01
    share = np.linspace(0, 1, frames)
    expression = np.zeros((frames, 52), np.float32)
    expression[:, 24], expression[:, 37] = 0.1 + 0.5 * share, 0.3 * share**2
    return PersonSpace(np.einsum("tk,kpc->tpc", expression, offsets).astype(np.float32), expression), offsets


def test_weights_sum_to_one_and_rebuild():
    random = torch.Generator().manual_seed(0)
    references = torch.randn(50, 3, generator=random, dtype=torch.double)
    queries = torch.randn(7, 3, generator=random, dtype=torch.double) * 0.3
    indices, weights = local_weights(queries, references, 10)
    torch.testing.assert_close(weights.sum(1), torch.ones(7, dtype=torch.double))
    distances = torch.cdist(queries, references)
    assert torch.equal(indices.sort(1).values, distances.topk(10, largest=False).indices.sort(1).values)
    # Ten points span the space of three dimensions: the rebuilt point is nearly the query.
    rebuilt = (weights[..., None] * references[indices]).sum(1)
    assert (rebuilt - queries).norm(dim=1).max() < 0.02


def test_projection_pulls_onto_the_person():
    space, offsets = person()
    strange = space.expression[[20, 90, 150]].copy()
    strange[:, 43] += 0.2  # a smile they never make
    landmarks = np.einsum("tk,kpc->tpc", strange, offsets)
    fitted = space.project(strange, landmarks, 10, 1.0)
    assert np.abs(fitted[:, 43]).max() < 0.02
    half = space.project(strange, landmarks, 10, 0.5)
    np.testing.assert_allclose(half, (strange + fitted) / 2, atol=1e-6)
    np.testing.assert_array_equal(space.project(strange, landmarks, 10, 0.0), strange)


def test_own_frames_stay():
    space, _ = person()
    fitted = space.project(space.expression, space.landmarks, 10, 1.0)
    assert np.abs(fitted - space.expression)[5:-5].max() < 0.01


@pytest.mark.parametrize("frames", [1, 2, 7, 200])
def test_range_is_of_quantiles(frames):
    space, _ = person(frames)
    for quantile in (0.0, 0.01, 0.25, 0.5):
        low, high = np.quantile(space.expression, [quantile, 1 - quantile], axis=0)
        np.testing.assert_allclose(space.clamp(np.ones((1, 52)), quantile)[0], np.maximum(high, space.rest), atol=1e-6)
        np.testing.assert_allclose(space.clamp(-np.ones((1, 52)), quantile)[0], np.minimum(low, space.rest), atol=1e-6)


@pytest.mark.parametrize("frames", [1, 3, 10, 600])
def test_few_references_and_many_frames(frames):
    space, offsets = person(frames=4)
    weights = np.tile(space.expression[1], (frames, 1))
    out = space.project(weights, np.einsum("tk,kpc->tpc", weights, offsets), 10, 1.0)
    assert out.shape == (frames, 52) and np.isfinite(out).all()


def test_clamp_keeps_the_persons_range_and_rest():
    space, _ = person()
    low, high = np.quantile(space.expression[:, 24], [0.03, 0.97])
    wild = np.full((3, 52), 5.0)
    assert space.clamp(wild, 0.03)[0, 24] == pytest.approx(high)
    assert space.clamp(-wild, 0.03)[0, 24] == pytest.approx(min(low, space.rest[24]))
    np.testing.assert_allclose(space.clamp(space.rest[None], 0.03)[0], space.rest, atol=1e-7)


def test_rest_is_the_closed_mouth():
    random = np.random.default_rng(0)
    opening = random.uniform(0, 1, 300)
    expression = np.zeros((300, 52), np.float32)
    expression[:, 24] = opening
    landmarks = np.zeros((300, 68, 3), np.float32)
    landmarks[:, 66, 1] = opening * 0.02
    assert PersonSpace(landmarks, expression).rest[24] < 0.1


def test_rejects_an_empty_person():
    with pytest.raises(ValueError, match="no recorded frame"):
        PersonSpace(np.zeros((0, 68, 3), np.float32), np.zeros((0, 52), np.float32))
