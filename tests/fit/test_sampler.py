"""Rays of training frames: what they show, where they fall, what comes after an interruption."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.face.landmarks import FACE_OVAL, LIPS
from geneface.fit.sampler import FrameStore, Patch, RaySampler, landmark_boxes, mask_boxes
from geneface.fit.setup import focus_boxes, rarity, training_frames
from tests.nerf.mock_person import make_mock_person


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    return make_mock_person(tmp_path_factory.mktemp("mock") / "person", frames=33)


@pytest.fixture(scope="module")
def store(mock):
    return FrameStore(mock[0], training_frames(mock[0]), cache_mb=100)


def sampler(mock, store, seed: int = 0, odds=None) -> RaySampler:
    boxes = focus_boxes(mock[0], training_frames(mock[0]), store)
    return RaySampler(store, boxes, mock[0].background, seed, 4, odds)


def test_decoding_on_demand_gives_the_same_pictures(mock, store):
    demand = FrameStore(mock[0], training_frames(mock[0]), cache_mb=0)
    for slot in (0, 7, len(store) - 1):
        assert np.array_equal(demand.picture(slot), store.picture(slot))
        assert np.array_equal(demand.hidden(slot).rgba, store.hidden(slot).rgba)


def test_rays_show_their_pixels(mock, store):
    batch = sampler(mock, store).next(400)
    width, height = mock[0].size
    assert width != height and len(batch) == pytest.approx(400, abs=16)
    for i in range(0, len(batch), 17):
        x, y = (batch.pixels[i] - 0.5).long().tolist()
        picture = store.picture(int(batch.frames[batch.slot[i]]))[y, x]
        assert (batch.rgb[i] * 255).round().tolist() == picture[:3].tolist()
        assert batch.head[i] * 255 == picture[3]
        assert (batch.plate[i] * 255).round().tolist() == mock[0].background[y, x].tolist()
    assert len(set(batch.frames.tolist())) == 4
    assert torch.allclose(batch.head + batch.torso + batch.background, torch.ones(len(batch)))


@pytest.mark.parametrize("asked, side", [(20, 20), (500, 64)])
def test_a_patch_is_a_square_of_the_first_frame(mock, store, asked, side):
    """Row by row, at the end of the batch, and no larger than the picture (72 by 64)."""
    drawn = sampler(mock, store, seed=5)
    for _ in range(4):
        batch = drawn.next(400, asked)
        assert batch.patch == side and len(batch) == pytest.approx(400 + side**2, abs=16)
        assert batch.slot[-side**2:].eq(0).all() and batch.slot[:-side**2].max() == 3
        x, y = (batch.pixels[-side**2:] - 0.5).long().view(side, side, 2).unbind(-1)
        assert torch.equal(x - x[0, 0], torch.arange(side).expand(side, side))
        assert torch.equal(y - y[0, 0], torch.arange(side)[:, None].expand(side, side))
        frame = torch.from_numpy(store.picture(int(batch.frames[0])))[y, x]
        assert torch.equal((batch.rgb[-side**2:] * 255).round().view(side, side, 3).byte(), frame[..., :3])


def test_rays_favour_the_mouth(mock, store):
    batch = sampler(mock, store).next(4000)
    landmarks = mock[0].face.landmarks[training_frames(mock[0])]
    box = landmark_boxes(landmarks, LIPS, 0.25)[batch.frames[batch.slot]]
    xy = batch.pixels.numpy()
    inside = ((xy >= box[:, :2]) & (xy <= box[:, 2:])).all(1).mean()
    width, height = mock[0].size
    area = np.prod(box[:, 2:] - box[:, :2], axis=1).mean() / (width * height)
    assert inside > 0.2 > 2 * area


def test_the_torso_behind_the_chin_is_known(mock, store):
    batch = sampler(mock, store).next(4000)
    hidden = batch.hidden > 0
    assert hidden.any() and torch.equal(batch.hidden[hidden], batch.head[hidden])
    assert batch.pixels[hidden, 1].min() > 0.4 * mock[0].size[1]
    torso, frames = batch.hidden_torso[hidden], batch.frames[batch.slot]
    for i in torch.nonzero(hidden).flatten()[::7].tolist():
        x, y = (batch.pixels[i] - 0.5).long().tolist()
        truth = mock[0].torso(training_frames(mock[0])[int(frames[i])])[y, x]
        assert (batch.hidden_torso[i] * 255).round().tolist() == truth.tolist()
    assert (torso[:, 3] == 1).any() and (torso[:, 3] == 0).any()  # the neck, and beside it


def test_a_person_without_hidden_torso():
    nothing = np.zeros((8, 9), np.uint8)
    patch = Patch.behind(nothing, np.full((8, 9, 4), 255, np.uint8))
    inside, values = patch.at(np.array([0, 3]), np.array([0, 2]))
    assert not inside.any() and values.shape == (2, 4) and not values.any()


def test_state_repeats_the_draws(mock, store):
    first = sampler(mock, store)
    first.next(64)
    state = first.state()
    expected = first.next(64)
    other = sampler(mock, store, seed=9)
    other.restore(state)
    again = other.next(64)
    assert torch.equal(again.frames, expected.frames) and torch.equal(again.pixels, expected.pixels)


def test_unusual_frames_come_more_often(mock, store):
    odds = np.full(len(store), 1e-6)
    odds[3] = 1.0
    drawn = sampler(mock, store, odds=odds)
    counts = np.bincount(np.concatenate([drawn.next(16).frames.numpy() for _ in range(60)]), minlength=len(store))
    assert counts[3] > 3 * np.median(counts) and (counts > 0).all()


def test_rarity_is_greatest_where_mouth_is_furthest_from_its_mean(mock):
    frames = training_frames(mock[0])
    values = rarity(mock[1], frames)
    opening = mock[1].expression[frames, 24]
    far = np.abs(opening - opening.mean())
    assert np.corrcoef(values, far)[0, 1] > 0.9


def test_boxes_hold_landmarks_and_masks(mock, store):
    landmarks = mock[0].face.landmarks[:3].astype(float)
    box = landmark_boxes(landmarks, FACE_OVAL, 0.0)
    points = landmarks[:, list(FACE_OVAL)]
    assert np.allclose(box[:, :2], points.min(1)) and np.allclose(box[:, 2:], points.max(1))
    heads = mask_boxes(store, 3, 0.0, every=1)
    ys, xs = np.nonzero(store.picture(5)[..., 3] > 127)
    assert heads[5].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
