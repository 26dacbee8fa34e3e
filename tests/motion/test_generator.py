"""The generator's parts: shapes, invertibility, independence of chunks, files."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.fit.motion import DRIVEN
from geneface.motion.generate import generate_weights
from geneface.motion.layers import FlowPrior, GatedStack
from geneface.motion.vae import GeneratorSpec, MotionGenerator


@pytest.fixture(scope="module")
def model() -> MotionGenerator:
    torch.manual_seed(0)
    model = MotionGenerator(GeneratorSpec(DRIVEN, hidden=16)).eval().requires_grad_(False)
    for name, value in model.named_parameters():
        if "leave" in name:  # couplings start as the identity: make them do something
            value.normal_(std=0.2)
    model.weight_mean.fill_(0.4)
    model.weight_std.fill_(0.2)
    return model


def speech(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((frames, 512), np.float32), random.standard_normal((frames, 3), np.float32)


def test_flow_is_invertible_and_keeps_volume():
    torch.manual_seed(1)
    flow = FlowPrior(6, 8, hidden=8).double()
    for coupling in flow.couplings:
        torch.nn.init.normal_(coupling.leave.weight, std=0.3)
    z, condition = torch.randn(2, 6, 5, dtype=torch.double), torch.randn(2, 8, 5, dtype=torch.double)
    torch.testing.assert_close(flow.inverse(flow(z, condition), condition), z)
    assert not torch.allclose(flow(z, condition), z)
    flat = torch.autograd.functional.jacobian(lambda x: flow(x.view(1, 6, 5), condition[:1]).flatten(), z[0].flatten())
    assert float(torch.linalg.slogdet(flat).logabsdet) == pytest.approx(0, abs=1e-9)


def test_gated_stack_reach():
    """An input frame changes outputs within `reach` and no others."""
    torch.manual_seed(0)
    stack = GatedStack(4, (1, 2, 4), 3).eval()
    x = torch.randn(1, 4, 41)
    other = x.clone()
    other[..., 20] += 1
    changed = (stack(x) - stack(other)).abs().amax(1)[0] > 1e-7
    assert stack.reach == 7
    assert changed.nonzero().flatten().tolist() == list(range(13, 28))


def test_undriven_weights_stay_zero_and_range_holds(model):
    weights = generate_weights(model, *speech(80))
    assert weights.shape == (40, 52) and weights.min() >= 0 and weights.max() <= 1
    undriven = [i for i, name in enumerate(ARKIT_NAMES) if name not in DRIVEN]
    assert len(undriven) == 15 and not weights[:, undriven].any()
    assert weights[:, ARKIT_NAMES.index("jawOpen")].std() > 0


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 31, 33, 1000])
def test_any_length(model, frames):
    assert generate_weights(model, *speech(frames)).shape == (-(-frames // 2), 52)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_chunks_do_not_matter(model, temperature):
    content, melody = speech(1301)
    whole = generate_weights(model, content, melody, temperature, seed=3, chunk=4096)
    parts = generate_weights(model, content, melody, temperature, seed=3, chunk=64)
    np.testing.assert_allclose(parts, whole, atol=2e-5)


def test_seed_and_temperature(model):
    content, melody = speech(200)
    mode = generate_weights(model, content, melody)
    np.testing.assert_array_equal(mode, generate_weights(model, content, melody, seed=5))
    first = generate_weights(model, content, melody, 1.0, seed=1)
    np.testing.assert_array_equal(first, generate_weights(model, content, melody, 1.0, seed=1))
    assert np.abs(first - generate_weights(model, content, melody, 1.0, seed=2)).max() > 1e-3


def test_file_round_trip(model, tmp_path):
    path = tmp_path / "m.safetensors"
    model.save(path, {"steps": 3})
    loaded, info = MotionGenerator.load(path)
    assert info == {"steps": 3} and loaded.spec == model.spec
    content, melody = speech(64)
    before, after = (generate_weights(m, content, melody) for m in (model, loaded))
    np.testing.assert_allclose(after, before, atol=5e-3)


def test_bad_files(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    with pytest.raises(UserError, match="no such motion model"):
        MotionGenerator.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable motion model"):
        MotionGenerator.load(path)
    save_file({"x": torch.zeros(1)}, path, {"geneface": '{"type": "other"}'})
    with pytest.raises(UserError, match="not a motion model"):
        MotionGenerator.load(path)
    save_file({"x": torch.zeros(1)}, path, {"geneface": '{"type": "geneface.MotionGenerator", "schema_version": 99}'})
    with pytest.raises(UserError, match="schema 99"):
        MotionGenerator.load(path)
    header = {"type": "geneface.MotionGenerator", "schema_version": 1, "spec": {"driven": ["jawOpen"]}}
    save_file({"x": torch.zeros(1)}, path, {"geneface": json.dumps(header)})
    with pytest.raises(UserError, match="damaged"):
        MotionGenerator.load(path)


def test_causal_generator_hears_nothing_after_its_stride():
    """Speech changed from a frame on changes the stride it lies in and later ones, as far as `reach`, none before."""
    torch.manual_seed(0)
    model = MotionGenerator(GeneratorSpec(DRIVEN, hidden=16, causal=True)).eval().requires_grad_(False)
    for name, value in model.named_parameters():
        if "leave" in name:
            value.normal_(std=0.2)
    model.weight_mean.fill_(0.4)
    model.weight_std.fill_(0.1)
    content, tune = speech(2 * 160)
    other, otherwise = content.copy(), tune.copy()
    other[2 * 13:2 * 14] += 3  # within the stride of frames 12 to 15
    otherwise[2 * 13:2 * 14] += 3
    changed = np.abs(generate_weights(model, content, tune) - generate_weights(model, other, otherwise)).max(1) > 1e-6
    assert changed.argmax() == 12
    assert changed.nonzero()[0].max() <= 15 + model.reach
    np.testing.assert_allclose(generate_weights(model, content, tune, chunk=8),
                               generate_weights(model, content, tune), atol=1e-5)
