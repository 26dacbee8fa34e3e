"""What this machine can do at best, measured rather than looked up."""
from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch

from ..ops.native import I32, I64, PTR, Kernel
from .timing import measure

_COUNT = ctypes.POINTER(ctypes.c_double)
_MULTIPLY_ADD = Kernel("ceiling_multiply_add", I64, _COUNT)
_DOT_BF16 = Kernel("ceiling_dot_bf16", I64, _COUNT)
_COPY = Kernel("ceiling_copy", I64, PTR, PTR)
_GATHER = Kernel("ceiling_gather", I64, I32, PTR, _COUNT)

ROUNDS = 20_000
READS = 200_000
LOG2_ROWS = 16  # what one level of a fitted grid holds: 512 KiB of float pairs
COPY_BYTES = 1 << 26  # beyond most caches


@dataclass(frozen=True)
class Ceiling:
    """Best rates of a device.

    Attributes:
        fp32_gflops: float32 multiply-adds, counted as two operations [1e9/s].
        bf16_gflops: products of bfloat16 summed in float32, likewise; None where there is no instruction for it.
        copy_gb_s: copying, bytes read plus bytes written [1e9/s].
        gather_m_s: reads of 8 bytes in random order from a table of 512 KiB [1e6/s].
    """

    fp32_gflops: float
    bf16_gflops: float | None
    copy_gb_s: float
    gather_m_s: float

    def better(self, other: "Ceiling") -> "Ceiling":
        """The best of two measurements."""
        half = [v for v in (self.bf16_gflops, other.bf16_gflops) if v]
        return Ceiling(
            max(self.fp32_gflops, other.fp32_gflops), max(half, default=None), max(self.copy_gb_s, other.copy_gb_s),
            max(self.gather_m_s, other.gather_m_s),
        )


def cpu_ceiling(seconds: float) -> Ceiling:
    """Ceilings of the CPU, by the native library in use and its threads; about `seconds` for each of the four.

    Raises:
        RuntimeError: there is no native library.
    """
    device = torch.device("cpu")

    def rate(kernel: Kernel, *arguments) -> float:
        done = ctypes.c_double()
        best = measure(lambda: kernel(device, *arguments, done), seconds).best
        return done.value / best

    rows = torch.arange(1 << LOG2_ROWS)
    source, target = torch.ones(COPY_BYTES, dtype=torch.uint8), torch.zeros(COPY_BYTES, dtype=torch.uint8)
    copied = measure(lambda: _COPY(device, COPY_BYTES, source, target), seconds).best
    return Ceiling(
        fp32_gflops=rate(_MULTIPLY_ADD, ROUNDS) / 1e9, bf16_gflops=rate(_DOT_BF16, ROUNDS) / 1e9 or None,
        copy_gb_s=2 * COPY_BYTES / copied / 1e9, gather_m_s=rate(_GATHER, READS, LOG2_ROWS, rows) / 1e6,
    )


def cuda_ceiling(seconds: float, device: torch.device) -> Ceiling:
    """Ceilings of a GPU, by PyTorch's own matrix products, copies and row selections."""

    def product(dtype: torch.dtype) -> float:
        side = 4096
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        return 2 * side**3 / measure(lambda: torch.mm(a, b), seconds, device=device).best

    source = torch.ones(1 << 28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    copied = measure(lambda: target.copy_(source), seconds, device=device).best
    rows = torch.arange(1 << LOG2_ROWS, device=device)
    index = torch.randint(0, 1 << LOG2_ROWS, (1 << 24,), device=device)
    read = measure(lambda: torch.index_select(rows, 0, index), seconds, device=device).best
    return Ceiling(
        fp32_gflops=product(torch.float32) / 1e9, bf16_gflops=product(torch.bfloat16) / 1e9,
        copy_gb_s=2 * source.numel() / copied / 1e9, gather_m_s=index.numel() / read / 1e6,
    )
