"""The custom ops as PyTorch sees them, and what happens without native kernels."""
import os
import platform
import subprocess
import sys
import warnings

import pytest
import torch
from torch.library import opcheck

from geneface import ops
from geneface.ops import native, reference

AABB = torch.tensor([-1.0, -1, -1, 1, 1, 1])

# Checked in files of their own, whose arguments they share; `mlp_backward` through `mlp`.
ELSEWHERE = {"adam_step", "mlp", "mlp_backward", "render_rays"}

pytestmark = pytest.mark.skipif(not native.cpu_variants(), reason="the native kernels are not built")


def cases():
    spec = ops.GridSpec(dims=2, levels=3, features=2, base_resolution=4, max_resolution=60, log2_table_size=8)
    rays_o, rays_d = torch.tensor([[0.0, 0, -3], [0, 3, 0]]), torch.tensor([[0.0, 0, 1], [0, 0, 1]])
    layout = (list(spec.offsets), list(spec.resolutions), spec.log2_table_size, spec.hashed)
    x, table = torch.rand(7, 2), torch.randn(spec.rows, 2)
    offsets = torch.tensor([0, 3, 3, 7])
    samples = torch.rand(7), torch.rand(7, 3), torch.rand(7).cumsum(0), torch.rand(7) * 0.1, offsets
    march = (rays_o, rays_d, torch.ones(2) * 2, torch.ones(2) * 4, torch.full((8,), 255, dtype=torch.uint8), AABB,
             4, 0.1, 5, torch.rand(2))
    alive = torch.tensor([1, 0])
    light = torch.ones(4), torch.zeros(4, 3), torch.zeros(4), torch.zeros(4)
    return {
        "grid_encode": (x.requires_grad_(), table.requires_grad_(), *layout),
        "grid_encode_backward": (torch.rand(7, spec.width), x.detach(), table.detach(), *layout, True, False),
        "grid_total_variation": (x.detach(), table, *layout),
        "grid_total_variation_backward": (torch.rand(7), x.detach(), table.detach(), *layout),
        "spherical_harmonics": (torch.randn(5, 3, requires_grad=True), 4),
        "spherical_harmonics_backward": (torch.rand(5, 9), torch.randn(5, 3), 3),
        "near_far_from_aabb": (rays_o, rays_d, AABB, 0.05),
        "march_rays": march,
        "composite": (samples[0].requires_grad_(), samples[1].requires_grad_(), *samples[2:], 1e-4),
        "composite_backward": (torch.rand(3, 3), torch.rand(3), torch.rand(3), *(s.detach() for s in samples), 1e-4),
        "march_alive": (alive, torch.zeros(2, dtype=torch.int32), *march),
        "sample_points": (torch.rand(3, 3, requires_grad=True), torch.rand(3, 3, requires_grad=True), torch.rand(7), offsets),
        "sample_points_backward": (torch.rand(7, 3), torch.rand(7), offsets),
        "composite_weights": (samples[0].detach(), samples[3], offsets, 1e-4),
        "composite_alive": (torch.tensor([3, 0, 2]), *(s.detach() for s in samples), *light, 1e-4),
        "pack_bits": (torch.rand(20), 0.5),
        "occupancy_record": (torch.rand(5, 3), torch.rand(5), AABB, torch.zeros(4, 4, 4)),
        "occupancy_update": (torch.rand(4, 4, 4), torch.rand(4, 4, 4) > 0.5, 0.9, 0.5, 1),
        "morton_encode": (torch.randint(0, 99, (5, 3), dtype=torch.int32),),
        "morton_decode": (torch.randint(0, 99, (5,)), 2),
        "rasterize": (torch.rand(6, 3) * 9, torch.arange(6, dtype=torch.int32).view(2, 3), 8, 9),
    }


@pytest.mark.parametrize("name", cases())
def test_opcheck(name):
    torch.manual_seed(0)
    opcheck(getattr(torch.ops.geneface, name).default, cases()[name])


def test_every_op_is_checked():
    ours = (name.split("::") for name in torch._library.custom_ops.OPDEFS)
    names = {name for space, name in ours if space == "geneface"}
    assert names == set(cases()) | ELSEWHERE


def test_native_is_taken_for_float32_only():
    assert ops.backend() == "native"
    with native.use_cpu_library(None):
        assert ops.backend() == "reference"
    dirs = torch.randn(3, 3, requires_grad=True)
    assert "geneface" in type(ops.spherical_harmonics(dirs).grad_fn).__name__
    double = dirs.detach().double().requires_grad_()
    assert "geneface" not in type(ops.spherical_harmonics(double).grad_fn).__name__


def test_custom_op_without_a_library_says_so():
    with native.use_cpu_library(None), pytest.raises(RuntimeError, match="no native kernels for cpu"):
        torch.ops.geneface.pack_bits(torch.rand(8), 0.5)


def test_missing_library_warns_once_and_falls_back(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    monkeypatch.delenv("GENEFACE_CPU_KERNELS", raising=False)
    native._default_cpu.cache_clear()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            dirs = torch.randn(3, 3)
            first, second = ops.spherical_harmonics(dirs), ops.spherical_harmonics(dirs)
        assert [str(w.message) for w in caught] == [
            "geneface runs on its slow PyTorch reference kernels: the native kernels are not built; "
            "install a C++17 compiler, then geneface again"
        ]
        assert torch.equal(first, second) and torch.equal(first, reference.spherical_harmonics(dirs))
    finally:
        native._default_cpu.cache_clear()


def test_damaged_library_falls_back(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    native.library_path("cpu_portable").write_bytes(b"not a library")
    native._default_cpu.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="slow PyTorch reference"):
            assert ops.backend() == "reference"
    finally:
        native._default_cpu.cache_clear()


@pytest.mark.parametrize("wanted", ["portable", "reference"])
def test_environment_names_the_variant(wanted):
    program = "from geneface.ops import native; print(native.cpu() and native.cpu().path.stem)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "GENEFACE_CPU_KERNELS": wanted}, capture_output=True,
        text=True, check=True,
    )
    assert done.stdout.strip() == {"portable": "geneface_cpu_portable", "reference": "None"}[wanted]


def test_calls_from_several_threads_agree():
    from concurrent.futures import ThreadPoolExecutor

    spec = ops.GridSpec(dims=3, levels=8, features=2, base_resolution=8, max_resolution=256, log2_table_size=12)
    x, table = torch.rand(30000, 3), torch.randn(spec.rows, 2)
    expected = ops.grid_encode(x, table, spec)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: ops.grid_encode(x, table, spec), range(12)):
            assert torch.equal(result, expected)


def test_memory_is_reused_on_glibc():
    program = "from geneface import ops; print(ops.reuse_memory())"  # apart: it changes the process
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


def test_set_threads_names_a_wrong_argument():
    with pytest.raises(ValueError, match="^count:"):
        ops.set_threads(0)
    with pytest.raises(ValueError, match="^device:"):
        ops.backend("tpu")
