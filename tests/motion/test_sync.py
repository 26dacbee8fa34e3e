"""The sync expert: unit embeddings, known shifts found, padding without effect, gradients that improve agreement."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.motion.sync import LAGS, SyncExpert, audible, contrast, offset_of


@pytest.fixture(scope="module")
def clip():
    """Content, melody, mouth and mask of two clips of random numbers, all of it heard."""
    torch.manual_seed(0)
    mouth = 0.002 * torch.randn(2, 40, 20, 3).cumsum(1)
    return torch.randn(2, 512, 80), torch.zeros(2, 3, 80), mouth, torch.ones(2, 40)


def test_embeddings_are_unit_vectors(clip):
    content, melody, mouth, mask = clip
    expert = SyncExpert().eval()
    for embedding in (expert.embed_sound(content, melody, mask), expert.embed_mouth(mouth, mask)):
        assert embedding.shape == (2, 64, 40)
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2, 40))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_clips(clip, frames):
    mouth = clip[2][:, :frames]
    embedding = SyncExpert().eval().embed_mouth(mouth, torch.ones(2, frames))
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2, frames))


def test_padding_changes_nothing(clip):
    content, melody, mouth, mask = clip
    expert = SyncExpert().eval()
    whole = expert.loss(content, melody, mouth, mask)

    def padded(x, frames, axis, value):
        shape = list(x.shape)
        shape[axis] = frames
        return torch.cat([x, torch.full(shape, value)], axis)

    longer = expert.loss(padded(content, 18, 2, float("nan")), padded(melody, 18, 2, float("nan")),
                         padded(mouth, 9, 1, 7.0), padded(mask, 9, 1, 0.0))
    assert longer.item() == pytest.approx(whole.item(), rel=1e-5)
    # Not so where the same frames count.
    counted = expert.loss(padded(content, 18, 2, 1.0), padded(melody, 18, 2, 0.0), padded(mouth, 9, 1, 7.0),
                          padded(mask, 9, 1, 1.0))
    assert counted.item() != pytest.approx(whole.item(), rel=1e-3)


def test_contrast_of_known_embeddings():
    frames = 12
    own = torch.eye(frames)[None]  # every frame its own direction
    mask = torch.ones(1, frames)
    perfect = contrast(own, own, mask, mask, 0.01)
    shifted = contrast(own, own.roll(3, 2), mask, mask, 0.01)
    alike = own[:, :, :1].expand(1, frames, frames)
    ignorant = contrast(alike, alike, mask, mask, 0.01)
    assert float(perfect) == pytest.approx(0, abs=1e-6)
    assert float(shifted) == pytest.approx(100, rel=0.05)  # 1 / temperature
    # Candidates are the frames without the direct neighbours: 10 for inner frames, 11 at either end.
    assert float(ignorant) == pytest.approx((10 * np.log(10) + 2 * np.log(11)) / 12, rel=1e-5)
    neighbour = own.clone()
    neighbour[0, :, 5] = own[0, :, 6]  # a frame that looks like the next one
    # Its right pair is gone, the wrong one does not count: 10 candidates of which none is right.
    assert float(contrast(own, neighbour, mask, mask, 0.01)) == pytest.approx(np.log(10) / 12, rel=1e-4)
    weight = mask.clone()
    weight[0, 5] = 0
    assert float(contrast(own, neighbour, weight, mask, 0.01)) == pytest.approx(0, abs=1e-3)  # and no other minds


@pytest.mark.parametrize("shift", [-5, -3, 0, 3, 5])
def test_offset_of_shifted_similarity(shift):
    frames = 60
    lag = np.arange(frames)[None] - np.arange(frames)[:, None]
    result = offset_of(np.exp(-((lag - shift - 0.25) / 2) ** 2), np.ones(frames))
    assert result.frames == pytest.approx(shift + 0.25, abs=0.05)
    assert result.curve.shape == (2 * LAGS + 1,) and result.distance == pytest.approx(0.18, abs=0.03)
    assert result.confidence == pytest.approx(np.sqrt(2) - result.distance, abs=0.01)


def test_silence_decides_nothing():
    assert offset_of(np.random.default_rng(0).random((40, 40)), np.zeros(40)).confidence == 0
    melody = torch.zeros(1, 3, 80)
    melody[:, 1] = -2
    melody[0, 1, 40:44] = 0
    weight = audible(melody, torch.ones(1, 40))[0]
    assert weight[20] == weight[21] == weight[16] == weight[25] == 1 and weight[15] == weight[26] == 0


def test_gradient_reaches_the_mouth_only(clip):
    content, melody, mouth, mask = clip
    expert = SyncExpert().eval().requires_grad_(False)
    moved = mouth.clone().requires_grad_()
    expert.loss(content, melody, moved, mask).backward()
    assert moved.grad.isfinite().all() and float(moved.grad.abs().max()) > 0
    assert all(value.grad is None for value in expert.parameters())


def test_offset_refuses_lengths_that_disagree(clip):
    content, melody, mouth, _ = clip
    with pytest.raises(ValueError, match="mouth: 40 frames"):
        SyncExpert().offset(content[0, :, :60], melody[0], mouth[0])


def test_file(clip, tmp_path):
    content, melody, mouth, mask = clip
    expert = SyncExpert().eval()
    path = tmp_path / "sync.safetensors"
    expert.save(path, {"note": 1})
    again = SyncExpert.load(path)
    assert again.loss(content, melody, mouth, mask).item() == pytest.approx(
        expert.loss(content, melody, mouth, mask).item(), rel=1e-2)
    with pytest.raises(UserError, match="no such sync expert"):
        SyncExpert.load(tmp_path / "other.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable sync expert") as error:
        SyncExpert.load(tmp_path / "bad.safetensors")
    assert "\n" not in str(error.value)
