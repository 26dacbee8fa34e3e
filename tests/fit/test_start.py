"""What a head takes over from other people's."""
from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from geneface.fit.start import RELEASE, SHARED, HeadStart
from geneface.nerf.head import HeadField, HeadSpec
from geneface.nerf.radnerf import RadNerfHead, RadNerfSpec

SPEC = HeadSpec(levels=4, max_resolution=64, log2_table_size=10, motion_levels=3, motion_log2_table_size=9, hidden=16)
BOX = torch.tensor([-0.1, -0.2, -0.1, 0.1, 0.2, 0.1])


def learned(seed: int = 1) -> HeadStart:
    torch.manual_seed(seed)
    head = HeadField(SPEC)
    with torch.no_grad():
        head.motion_table.uniform_(-1, 1)
    tensors = {name: value.detach() for name, value in head.named_parameters() if name.startswith(SHARED)}
    return HeadStart(BOX, torch.linspace(1e-3, 2e-3, SPEC.driving), tensors)


def test_a_head_takes_over_all_but_the_face():
    torch.manual_seed(0)
    head, start = HeadField(SPEC), learned()
    face, mean = head.position_table.detach().clone(), torch.full((SPEC.driving,), 0.01)
    head.encoder.standardise.mean.copy_(mean)
    head.aabb.copy_(torch.tensor([-0.08, -0.25, -0.1, 0.12, 0.1, 0.1]))
    start.begin(head)
    own = dict(head.named_parameters())
    assert set(own) - set(start.tensors) == {"position_table"}
    assert all(torch.equal(own[name], value) for name, value in start.tensors.items())
    assert torch.equal(head.position_table, face)
    assert torch.equal(head.encoder.standardise.mean, mean)
    assert torch.equal(head.encoder.standardise.deviation, start.deviation)
    # Wider where this head needs it, else the common box.
    assert head.aabb.tolist() == pytest.approx([-0.1, -0.25, -0.1, 0.12, 0.2, 0.1])


def test_written_in_half_precision_and_read_again(tmp_path):
    start, path = learned(), tmp_path / "start.safetensors"
    start.save(path)
    read = HeadStart.load(path)
    assert torch.equal(read.box, start.box) and torch.equal(read.deviation, start.deviation)
    assert set(read.tensors) == set(start.tensors)
    for name, value in start.tensors.items():
        assert read.tensors[name].dtype == torch.float32
        assert torch.allclose(read.tensors[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head, suits", [
    (HeadField(SPEC), True),
    (HeadField(replace(SPEC, max_resolution=128, log2_table_size=12)), True),  # another picture size: same networks
    (HeadField(replace(SPEC, hidden=32)), False),
    (HeadField(replace(SPEC, levels=5)), False),
    (HeadField(replace(SPEC, driving=204)), False),
    (RadNerfHead(RadNerfSpec(levels=4, log2_table_size=10, hidden=16)), False),
])
def test_a_head_of_other_sizes_is_left_alone(head, suits):
    assert learned().suits(head) is suits
