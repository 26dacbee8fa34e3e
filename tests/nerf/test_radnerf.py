"""RAD-NeRF's head field: trained, drawn and kept like the other one."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from geneface import ops
from geneface.errors import UserError
from geneface.nerf import radnerf
from geneface.nerf.pack import pack_portrait, unpack_portrait
from geneface.nerf.portrait import Portrait
from geneface.nerf.radnerf import RadNerfHead, RadNerfSpec
from geneface.nerf.render import render_layers
from geneface.nerf.torso import TorsoSpec

HEAD = RadNerfSpec(
    levels=3, max_resolution=64, log2_table_size=9, ambient_levels=3, ambient_resolution=64, ambient_log2_table_size=9,
    condition=8, hidden=16,
)
INTRINSICS = torch.tensor([[60.0, 0, 20], [0, 60, 15], [0, 0, 1]])


@pytest.fixture
def portrait() -> Portrait:
    torch.manual_seed(0)
    made = Portrait(HEAD, TorsoSpec(levels=3, max_resolution=64, log2_table_size=9), 5, 16, 40, 30)
    made.head.aabb.copy_(torch.tensor([-0.1, -0.1, -0.1, 0.1, 0.1, 0.1]))
    with torch.no_grad():
        for table in (made.head.position_table, made.head.ambient_table, made.torso.table):
            table.copy_(torch.randn(table.shape).half())  # as an avatar keeps them
    return made


def rays(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    directions = torch.randn(count, 3) * 0.2 + torch.tensor([0, 0, 1.0])
    return torch.tensor([[0.01, 0, -0.5]]).repeat(count, 1), torch.nn.functional.normalize(directions, dim=1)


def test_drawn_in_chunks_it_is_the_trained_field(portrait, monkeypatch):
    monkeypatch.setattr(radnerf, "CHUNK", 16)
    rays_o, rays_d = rays(50)
    driving = torch.randn(69, 3)
    head = portrait.head
    assert isinstance(head, RadNerfHead)
    samples = portrait.sample_head(rays_o, rays_d, head.encoder(head.whole(driving[None])), None, 0.004, 64)
    assert samples.motion.shape == (len(samples.t), 2)
    expected = ops.composite(samples.sigma, samples.rgb, samples.t, samples.dt, samples.offsets)
    actual = head.draw(head.fused(), rays_o, rays_d, driving, portrait.occupancy, 0.004, 64, 0.05, 1e-4)
    assert 0.1 < expected[1].mean() < 0.99
    for a, b, shape in zip(actual, expected, ((50, 3), (50,), (50,))):
        assert a.shape == shape and torch.allclose(a, b, atol=1e-5)


def test_every_weight_learns(portrait):
    samples = portrait.sample_head(*rays(50), portrait.head.encoder(torch.randn(1, 207)), None, 0.004, 64)
    (samples.sigma.sum() + samples.rgb.sum()).backward()
    for name, value in portrait.head.named_parameters():
        assert value.grad is not None and value.grad.any(), name


def kept(portrait: Portrait) -> SimpleNamespace:
    field, tensors = pack_portrait(portrait, 0.004)
    return SimpleNamespace(field=field, tensors=tensors)


def picture(portrait: Portrait, away: float = 0.0) -> torch.Tensor:
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([away, 0, 0.6])
    return render_layers(portrait, torch.ones(69, 3) / 50, pose, INTRINSICS, torch.ones(30, 40, 3) / 2, 0.005, False).rgb


def test_an_avatar_keeps_it(portrait):
    again = unpack_portrait(kept(portrait))
    assert torch.equal(picture(again), picture(portrait))
    assert not torch.allclose(picture(again), picture(again, away=9.0), atol=0.05)  # out of the picture


def test_avatars_of_other_versions_are_refused_with_the_mend(portrait):
    avatar = kept(portrait)
    for changed, message in (
        ({"kind": "geneface-ambient"}, "'geneface-ambient'.*fit it again"),
        ({"torso": avatar.field["torso"] | {"appearance": 8}}, "older version.*appearance.*fit it again"),
        ({"head": avatar.field["head"] | {"hidden": 32}}, "damaged avatar.*fit it again"),
    ):
        with pytest.raises(UserError, match=message) as error:
            unpack_portrait(SimpleNamespace(field=avatar.field | changed, tensors=avatar.tensors))
        assert "\n" not in str(error.value)
