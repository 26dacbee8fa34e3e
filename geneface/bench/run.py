"""All of it: ceilings, ops, a training step and frames of an avatar."""
from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .. import ops
from ..devices import AUTO, find_device
from ..errors import UserError
from ..ops import native
from ..progress import say
from ..types import Avatar
from .case import Case
from .cases import CASES, PICTURE_RAYS, picture_scene
from .ceiling import Ceiling, cpu_ceiling, cuda_ceiling
from .frames import time_frames
from .motion import time_motion
from .scene import Scene
from .timing import Timing, measure
from .training import RAYS, time_step
from .work import Work

REFERENCE = "reference"


@dataclass(frozen=True)
class Effort:
    """How long is measured, and on how much.

    Attributes:
        seconds: for one op on one back end [s].
        reference_seconds: for an op on the reference [s].
        rays: of the picture that ops are timed on. An eighth of them has 60,000 samples, as a training step has; more
            would measure how fast the system hands out memory.
        step_rays: of a training step. frames: of the avatar.
    """

    seconds: float = 0.5
    reference_seconds: float = 0.3
    rays: int = PICTURE_RAYS // 8
    step_rays: int = RAYS
    frames: int = 24


QUICK = Effort(seconds=0.05, reference_seconds=0.0, rays=PICTURE_RAYS // 64, step_rays=RAYS // 4, frames=4)


def bench(
    avatar: str | Path | None = None, size: int = 512, threads: int = 0, effort: Effort = Effort(),
    variants: bool = False, only: Sequence[str] = (), device: str = AUTO,
) -> dict[str, Any]:
    """Measure this machine.

    Args:
        avatar: file to time frames of.
        size: longer side of these frames [px]; 0 for the size that the avatar was fitted at.
        threads: of the CPU; 0 for as many as PyTorch takes.
        effort: how long and on how much.
        variants: time every CPU library that runs here rather than the one in use.
        only: names of ops, "train_step" and "motion"; all where empty.
        device: its name, as for `devices.find_device`.

    Returns:
        machine, ceiling, ops {name: {back end: figures}}, train_step, train_step_ms, motion (on the CPU, see
        `motion.time_motion`) and frame, as JSON values; null where something was not measured.

    Raises:
        UserError: no such op or device, no native kernels, or a damaged avatar.
    """
    known = [case.name for case in CASES] + ["train_step", "motion"]
    for name in only:
        if name not in known:
            raise UserError(f"no op named {name!r}; there are: {', '.join(known)}")
    place = find_device(device)
    if ops.backend(place.type) == REFERENCE:
        raise UserError("the native kernels are not built, so there is nothing to measure; see geneface doctor")
    person = None if avatar is None else Avatar.load(avatar)
    with _threads(threads) as count:
        ops.reuse_memory()
        scene = picture_scene(place)
        backends = _backends(place, variants)
        say("ceilings ...")
        wall, own = time.perf_counter(), time.process_time()
        ceiling = _ceiling(place, effort)
        share = (time.process_time() - own) / (time.perf_counter() - wall) / count
        chosen = [case for case in CASES if not only or case.name in only]
        timed = {case.name: _time_case(case, scene, backends, effort) for case in chosen}
        step = _time_step(place, effort) if not only or "train_step" in only else None
        motion = time_motion(effort.seconds) if not only or "motion" in only else None
        frame = None if person is None else time_frames(
            person, size, effort.frames, place, effort.reference_seconds > 0
        )
        # Other programs may have had their share the first time.
        ceiling = ceiling.better(_ceiling(place, effort))
    return {
        "machine": {
            "device": _device_name(place), "threads": count, "kernels": list(backends),
            # Of the processor's time that the threads could have had; less where other programs run.
            "processor_share": None if place.type == "cuda" else share,
        },
        "ceiling": asdict(ceiling),
        "ops": {name: _figures(times, ceiling) for name, times in timed.items()},
        "train_step": step, "train_step_ms": None if step is None else step["ms_p50"], "motion": motion,
        "frame": frame,
    }


@contextmanager
def _threads(count: int) -> Iterator[int]:
    """Threads of PyTorch and of the kernels; as before afterwards."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    ops.set_threads(torch.get_num_threads())
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
        ops.set_threads(None)


def _ceiling(device: torch.device, effort: Effort) -> Ceiling:
    return cuda_ceiling(effort.seconds, device) if device.type == "cuda" else cpu_ceiling(effort.seconds)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or platform.machine()


def _backends(device: torch.device, variants: bool) -> dict[str, native.NativeLibrary]:
    """Native libraries to time, by name; the last is the one in use."""
    if device.type == "cuda":
        return {"cuda": native.cuda()}
    names = list(native.cpu_variants()) if variants else []
    used = native.cpu()
    own = used.path.stem.removeprefix("geneface_cpu_")
    return {name: native.cpu_variant(name) for name in names if name != own} | {own: used}


@dataclass(frozen=True)
class _Timed:
    """A case on one back end: `timing` of `items` items of `work` each."""

    timing: Timing
    items: int
    work: Work

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.timing.best


def _time_case(
    case: Case, scene: Scene, backends: dict[str, native.NativeLibrary], effort: Effort
) -> dict[str, _Timed]:
    say(f"{case.name} ...")
    times = {}
    for name, library in backends.items():
        with _using(library if scene.device.type == "cpu" else None, scene.device):
            prepared = case.prepare(scene, case.times * effort.rays)
            timing = measure(prepared.run, effort.seconds, 3, scene.device)
        times[name] = _Timed(timing, prepared.items, prepared.work)
    if scene.device.type == "cpu":
        with native.use_cpu_library(None):
            prepared = case.prepare(scene, max(1, round(case.times * effort.rays * case.reference_rays)))
            timing = measure(prepared.run, effort.reference_seconds, 1)
        times[REFERENCE] = _Timed(timing, prepared.items, prepared.work)
    return times


@contextmanager
def _using(library: native.NativeLibrary | None, device: torch.device) -> Iterator[None]:
    if device.type == "cuda":
        yield
        return
    with native.use_cpu_library(library):
        yield


def _figures(times: dict[str, _Timed], ceiling: Ceiling) -> dict[str, dict[str, Any]]:
    reference = times.get(REFERENCE)
    rows = {}
    for name, timed in times.items():
        limits = timed.work.limits(ceiling)
        limit = max(limits, key=limits.__getitem__)
        rows[name] = {
            "m_samples_s": timed.rate / 1e6,
            "share_of_ceiling": limits[limit] * timed.rate,
            "ratio_to_reference": timed.rate / reference.rate if reference else None,
            "limit": limit,
            "gflops": (timed.work.operations + timed.work.half_operations) * timed.rate / 1e9,
            "gb_s": timed.work.bytes * timed.rate / 1e9,
            "m_reads_s": timed.work.reads * timed.rate / 1e6,
            "ms": timed.timing.best * 1e3,
            "ms_p50": timed.timing.median * 1e3,
            "items": timed.items,
        }
    return rows


def _time_step(device: torch.device, effort: Effort) -> dict[str, Any]:
    say("training step ...")
    native_step = time_step(device, 4 * effort.seconds, 3, effort.step_rays)
    reference = None
    if device.type == "cpu":
        with native.use_cpu_library(None):
            reference = time_step(device, 0.0, 1, effort.step_rays)
    return {
        "ms_p50": native_step.timing.median * 1e3, "ms_best": native_step.timing.best * 1e3,
        "reference_ms": reference and reference.timing.best * 1e3,
        "ratio_to_reference": reference and reference.timing.best / native_step.timing.best,
        "rays": native_step.rays, "samples": native_step.samples,
    }
