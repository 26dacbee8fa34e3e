"""Loss terms: values at known inputs."""
from __future__ import annotations

import pytest
import torch

from geneface.fit.losses import (
    LossWeights, mean_where, opacity_entropy, patch_distance, portrait_losses, robust_colour,
)
from geneface.fit.sampler import RayBatch


def batch(count: int = 4) -> RayBatch:
    ones = torch.ones(count)
    return RayBatch(
        frames=torch.tensor([0]), slot=torch.zeros(count, dtype=torch.long), pixels=torch.rand(count, 2),
        rgb=torch.full((count, 3), 0.5), head=ones, torso=0 * ones, background=0 * ones,
        plate=torch.zeros(count, 3), on_face=ones.bool(), hidden=0 * ones,
        hidden_torso=torch.zeros(count, 4),
    )


def terms(**changed):
    rays = changed.pop("batch", batch())
    count = len(rays)
    values = dict(
        rendered=rays.rgb.clone(), head_alpha=rays.head.clone(), motion=torch.zeros(count), spread=torch.zeros(count),
        torso_rgb=torch.zeros(count, 3), torso_alpha=torch.zeros(count), motions=torch.zeros(1, 6),
        evaluated=torch.zeros(count, dtype=torch.bool),
    ) | changed
    return portrait_losses(**values, batch=rays, weights=LossWeights())


def test_a_perfect_render_costs_next_to_nothing():
    assert sum(terms().values()) < 2e-6


def test_small_colour_errors_cost_their_square():
    error = robust_colour(torch.full((2, 3), 0.55), torch.full((2, 3), 0.5))
    assert error.tolist() == pytest.approx([0.0025] * 2, rel=1e-4)
    large = robust_colour(torch.ones(1, 3), torch.zeros(1, 3))
    assert large.item() == pytest.approx(2 * 0.1 * (1 - 0.05))  # linear beyond 0.1


def test_background_colour_is_not_judged():
    rays = batch()
    rays = RayBatch(**{**rays.__dict__, "background": torch.ones(4), "head": torch.zeros(4)})
    wrong = terms(batch=rays, rendered=torch.ones(4, 3), head_alpha=torch.zeros(4))
    assert wrong["colour"] == 0


def test_entropy_peaks_at_half():
    values = opacity_entropy(torch.tensor([0.0, 0.5, 1.0]))
    assert values[1] == pytest.approx(1.0) and values[0] < 2e-3 and values[2] < 2e-3


def test_each_fault_is_charged_to_its_term():
    clean = terms()
    off_face = RayBatch(**{**batch().__dict__, "on_face": torch.zeros(4, dtype=torch.bool)})
    faults = {
        "head_mask": terms(head_alpha=torch.zeros(4)), "head_motion": terms(batch=off_face, motion=torch.ones(4)),
        "spread": terms(spread=torch.ones(4)),
        "torso_motion": terms(motions=torch.full((1, 6), 0.01)),
    }
    for name, values in faults.items():
        assert values[name] > clean[name], name
    assert terms(motion=torch.ones(4))["head_motion"] == 0  # on the face motion is free


def test_torso_is_held_to_its_mask_and_goes_on_behind_the_head():
    rays = RayBatch(**{**batch().__dict__, "head": torch.zeros(4), "torso": torch.ones(4)})
    evaluated = torch.ones(4, dtype=torch.bool)
    assert terms(batch=rays, evaluated=evaluated)["torso_mask"].item() == pytest.approx(0.1)
    assert terms(batch=rays, evaluated=evaluated, torso_alpha=torch.ones(4))["torso_mask"] == 0
    known = torch.tensor([[0.2, 0.4, 0.6, 1.0]] * 4)
    hidden = RayBatch(**{**batch().__dict__, "hidden": torch.ones(4), "hidden_torso": known})
    assert terms(batch=hidden, evaluated=evaluated)["hidden_torso"].item() > 0.05
    assert terms(batch=hidden)["hidden_torso"] == 0  # not evaluated
    right = terms(batch=hidden, evaluated=evaluated, torso_alpha=torch.ones(4), torso_rgb=known[:, :3])
    assert right["hidden_torso"] == 0
    # Where the torso is known to end, its colour does not matter.
    ends = RayBatch(**{**hidden.__dict__, "hidden_torso": torch.tensor([[0.2, 0.4, 0.6, 0.0]] * 4)})
    assert terms(batch=ends, evaluated=evaluated)["hidden_torso"] == 0
    assert terms(batch=ends, evaluated=evaluated, torso_alpha=torch.ones(4))["hidden_torso"].item() == \
        pytest.approx(0.05)


def test_what_is_hidden_by_a_hand_is_not_judged():
    nothing = torch.zeros(4)
    rays = RayBatch(**{**batch().__dict__, "head": nothing, "torso": nothing, "background": nothing})
    evaluated = torch.ones(4, dtype=torch.bool)
    for alpha in (nothing, torch.ones(4) / 2):
        wrong = terms(
            batch=rays, rendered=torch.rand(4, 3), head_alpha=alpha, torso_alpha=1 - alpha, evaluated=evaluated
        )
        assert sum(wrong.values()) == 0
    half = torch.ones(4) / 2  # half of each pixel shows head, the other half a hand
    rays = RayBatch(**{**rays.__dict__, "head": half})
    assert terms(batch=rays, head_alpha=torch.ones(4))["head_mask"] == 0


def test_mean_where_of_nothing_is_zero():
    assert mean_where(torch.ones(3), torch.zeros(3)) == 0


def test_a_patch_is_compared_as_a_picture_where_the_person_is():
    seen = []

    def distance(image, truth):
        seen.extend([image, truth])
        return (image - truth).square().sum(1)

    rays = batch(11)  # two scattered rays, then a patch of three by three
    person = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 0, 0.5, 0, 0])
    rgb, rendered = torch.rand(11, 3), torch.rand(11, 3, requires_grad=True)
    rays = RayBatch(**{**rays.__dict__, "rgb": rgb, "head": person, "patch": 3})
    patch_distance(distance, rendered, rays).backward()
    image, truth = seen
    assert torch.equal(truth[0, :, 1, 2], rgb[2 + 5])  # row 1, column 2
    assert torch.equal(image[0, :, 0, 2], rendered[2 + 2]) and torch.equal(image[0, :, 1, 2], rgb[2 + 5])
    assert torch.allclose(image[0, :, 2, 0], (rendered[8] + rgb[8]) / 2)
    assert rendered.grad.abs().sum(1).nonzero().flatten().tolist() == [2, 3, 4, 8]
