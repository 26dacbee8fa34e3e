"""Times of calls that are repeated until they are known well enough."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Times of one call [s].

    Attributes:
        best: what the machine can do when nothing else runs: compared with ceilings, which are best times too.
        median: what to expect.
        runs: repetitions measured.
    """

    best: float
    median: float
    runs: int


def measure(
    run: Callable[[], object], seconds: float, least: int = 3, device: torch.device = torch.device("cpu"),
    warm_up: bool = True,
) -> Timing:
    """Time `run` for about `seconds`, at least `least` times.

    Args:
        device: "cuda" waits for the GPU before and after each call.
        warm_up: one call more beforehand, not counted: it touches memory for the first time, and loads code.
    """
    synchronise = torch.cuda.synchronize if device.type == "cuda" else _nothing
    if warm_up:
        run()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or time.perf_counter() - began < seconds:
        synchronise()
        start = time.perf_counter()
        run()
        synchronise()
        times.append(time.perf_counter() - start)
    return Timing(min(times), statistics.median(times), len(times))


def _nothing() -> None:
    pass
