"""`geneface bench`: that it counts right and measures everything. How fast anything is, is not tested."""
from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from geneface.bench import cases, frames, motion, run, training, work
from geneface.bench.ceiling import Ceiling, cpu_ceiling
from geneface.bench.run import Effort, bench
from geneface.bench.scene import Scene
from geneface.bench.table import print_table
from geneface.bench.timing import measure
from geneface.cli.main import run as command
from geneface.errors import UserError
from geneface.nerf.head import HeadSpec
from geneface.nerf.pack import pack_portrait
from geneface.ops import GridSpec, native
from geneface.types import Avatar, CameraTrack

TINY = Effort(seconds=0.0, reference_seconds=0.0, rays=60, step_rays=60, frames=2)
CEILING = Ceiling(fp32_gflops=100, bf16_gflops=None, copy_gb_s=10, gather_m_s=1000)

needs_kernels = pytest.mark.skipif(not native.cpu_variants(), reason="the native kernels are not built")


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """The formula head, packed."""
    scene = Scene(48, 0.3)
    field, tensors = pack_portrait(scene.portrait, 0.003)
    count = len(scene.poses)
    return Avatar(
        field=field, tensors=tensors, identity=np.zeros(8, np.float32), motion_reference=scene.landmarks.numpy(),
        expression_reference=np.zeros((count, 52), np.float32),
        camera=CameraTrack(scene.intrinsics.numpy(), scene.poses.numpy(), 48, 48, 25.0),
        background=np.full((48, 48, 3), 90, np.uint8), consent={"text": "a formula"}, info={},
    )


# -- counting --


def test_counts_of_a_grid():
    spec = GridSpec(dims=3, levels=2, features=2, base_resolution=4, max_resolution=64, log2_table_size=10)
    assert (spec.dense(0), spec.dense(1)) == (True, False)
    counted = work.grid_encode(spec)
    assert counted.reads == 2 * 8  # corners of two levels
    assert counted.bytes == 4 * 3 + 4 * 4  # position in, features out
    assert counted.operations == 2 * (3 * 2 + 12 + 2 * 2 * 8)
    # In bfloat16 two neighbours are one read, on the hashed level for every other cell only.
    assert work.grid_encode(spec, half=True).reads == 4 * 1 + 4 * 1.5
    wide = GridSpec(dims=2, levels=1, features=8, base_resolution=4, max_resolution=4, log2_table_size=10)
    assert work.grid_encode(wide).reads == 4 * 4  # rows of 32 bytes


def test_counts_of_networks():
    assert work.mlp([48, 64, 3]) == work.Work(operations=2 * (48 * 64 + 64 * 3), bytes=4 * (48 + 3))
    assert work.mlp([48, 64, 3], half=True).half_operations == 2 * (48 * 64 + 64 * 3)
    assert work.mlp_gradient([48, 64, 3]).operations == 2 * work.mlp([48, 64, 3]).operations
    head = work.head_field(HeadSpec(), half=True)
    assert head.half_operations == 2 * (16 * 64 + 64 * 19 + 48 * 64 + 64 * 32 + 31 * 64 + 64 * 3)
    assert head.bytes == 0


def test_limits():
    limits = work.Work(operations=1e3, half_operations=1e3, bytes=50, reads=7).limits(CEILING)
    assert limits == pytest.approx({"arithmetic": 20e-9, "memory": 5e-9, "gather": 7e-9})
    half = Ceiling(100, 400, 10, 1000)
    assert work.Work(half_operations=1e3).limits(half) == pytest.approx({"arithmetic": 2.5e-9})
    better = CEILING.better(Ceiling(90, 400, 12, 900))
    assert better == Ceiling(100, 400, 12, 1000)


def test_measure_counts_runs():
    calls = []
    timing = measure(lambda: calls.append(0), seconds=0.0, least=3)
    assert len(calls) == 4 and timing.runs == 3
    assert 0 <= timing.best <= timing.median
    calls.clear()
    assert measure(lambda: calls.append(0), 0.0, least=1, warm_up=False).runs == len(calls) == 1


# -- measuring --


@needs_kernels
@pytest.mark.parametrize("variant", native.cpu_variants())
def test_ceilings(variant):
    with native.use_cpu_library(native.cpu_variant(variant)):
        found = cpu_ceiling(0.0)
    assert (found.bf16_gflops is None) == (variant != "avx512bf16")
    values = [found.fp32_gflops, found.copy_gb_s, found.gather_m_s, found.bf16_gflops or 1.0]
    assert all(0 < v < math.inf for v in values)


def test_formula_head_is_like_a_picture_of_one():
    scene = cases.picture_scene(torch.device("cpu"))
    samples = scene.samples(10**9)
    assert len(samples.rays_o) == cases.PICTURE_RAYS
    assert 5.5 < len(samples.t) / len(samples.rays_o) < 6.5
    assert float(samples.x.min()) >= 0 and float(samples.x.max()) <= 1
    batch = training.FormulaRays(scene).next(100)
    assert len(batch) == 100 and len(batch.frames.unique()) == 6
    assert torch.equal(batch.head + batch.torso + batch.background, torch.ones(100))


@needs_kernels
@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_case_computes_what_the_reference_does(case):
    """What is timed is the same work on each back end."""
    scene = cases.picture_scene(torch.device("cpu"), 64)
    assert scene.portrait.occupancy.share() > 0  # made before the seed below, so that it is the same for both
    found = []
    for library in (native.cpu_variant("portable"), None):
        with native.use_cpu_library(library):
            torch.manual_seed(1)
            prepared = case.prepare(scene, 50)
            result = prepared.run()
            found.append((prepared.items, prepared.work, result if isinstance(result, tuple) else (result,)))
    (items, counted, native_result), (reference_items, reference_counted, reference_result) = found
    assert items == reference_items > 0
    assert counted == reference_counted
    for a, b in zip(native_result, reference_result):
        torch.testing.assert_close(a.float(), b.float(), rtol=2e-2, atol=2e-2 * float(b.float().abs().max()))


@needs_kernels
def test_everything_is_measured(avatar, tmp_path, monkeypatch, capsys):
    avatar.save(tmp_path / "x.avatar")
    monkeypatch.setattr(run, "QUICK", TINY)
    arguments = ["bench", "--quick", "--threads", "1", "--device", "cpu", "--avatar", str(tmp_path / "x.avatar")]
    threads = torch.get_num_threads()
    assert command([*arguments, "--size", "32", "--json"]) == 0
    assert torch.get_num_threads() == threads
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["ceiling"]) == {"fp32_gflops", "bf16_gflops", "copy_gb_s", "gather_m_s"}
    used = native.cpu().path.stem.removeprefix("geneface_cpu_")
    assert list(result["ops"]) == [case.name for case in cases.CASES]
    for figures in result["ops"].values():
        assert set(figures) == {used, "reference"}
        assert figures["reference"]["ratio_to_reference"] == 1
        for name in ("m_samples_s", "share_of_ceiling", "ratio_to_reference"):
            assert 0 < figures[used][name] < math.inf
        assert figures[used]["ms"] <= figures[used]["ms_p50"]
    assert result["train_step_ms"] == result["train_step"]["ms_p50"] > 0
    assert result["train_step"]["rays"] == 60 and result["train_step"]["samples"] > 0
    speech = result["motion"]
    if speech is not None:  # the speech encoder is at hand
        for name in ("features", "generator", "speak"):
            assert 0 < speech[name]["ms"] <= speech[name]["ms_p50"] and speech[name]["real_time_factor"] > 0
    frame = result["frame"]
    assert (frame["width"], frame["height"], frame["frames"]) == (32, 32, 2)
    assert 0 < frame["ms_p50"] <= frame["ms_p95"] and frame["fps"] > 0
    assert frame["head"]["ms_fp32"] > 0 and frame["head"]["ms_reference"] is None
    assert result["machine"]["threads"] == 1
    assert 0 < result["machine"]["processor_share"] < 1.2


@needs_kernels
def test_table_shows_what_was_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(run, "QUICK", TINY)
    assert command(["bench", "--quick", "--only", "pack_bits", "--variants", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if any(f" {v} " in line for v in native.cpu_variants())]
    assert len(lines) == len(native.cpu_variants())
    assert all("memory" in line and "…" not in line for line in lines)  # nothing is cut, narrow as the terminal is
    assert lines[0].startswith("pack_bits") and not any(line.startswith("pack_bits") for line in lines[1:])
    assert "random reads/s" in shown and "training step" not in shown and "frame " not in shown


def test_motion_is_not_timed_without_the_encoder(monkeypatch):
    def missing(audio):
        raise UserError("whisper-base: cannot be fetched")

    monkeypatch.setattr(motion, "extract", missing)
    assert motion.time_motion(0.01, 0.5) is None


def test_a_busy_machine_is_told(capsys):
    result = {"machine": {"device": "a", "threads": 2, "processor_share": 0.5}, "ops": {}, "train_step": None}
    result |= {"frame": None, "ceiling": {"fp32_gflops": 1, "bf16_gflops": None, "copy_gb_s": 1, "gather_m_s": 1}}
    print_table(result)
    assert "geneface had 50 % of the processor" in capsys.readouterr().out
    result["machine"]["processor_share"] = 0.99
    print_table(result)
    assert "Other programs" not in capsys.readouterr().out


@needs_kernels
def test_head_is_compared_with_the_reference(avatar):
    result = frames.time_frames(avatar, 40, 2, torch.device("cpu"), reference=True)
    head = result["head"]
    assert 0 < head["pixels"] < 40 * 40
    assert head["ratio_to_reference"] > 0 and head["ms_reference"] > 0
    assert 0 <= head["difference"] < 0.01
    assert head["psnr_bf16"] > 40


@pytest.mark.parametrize(
    "words, message",
    [
        (["--only", "grid"], "no op named 'grid'; there are: grid_encode_3d, "),
        (["--threads", "-1"], "--threads -1: must be 0 or more"),
        (["--size", "-5"], "--size -5: must be 0 or more"),
        (["--device", "tpu"], "must be auto, cpu, cuda"),
        (["--avatar", "no.avatar"], "no.avatar: no such avatar"),
    ],
)
def test_mistakes(words, message, capsys):
    assert command(["bench", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_without_kernels_there_is_nothing_to_measure():
    with native.use_cpu_library(None), pytest.raises(UserError, match="native kernels are not built"):
        bench(device="cpu", effort=TINY)
