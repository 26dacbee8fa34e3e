"""The CUDA kernels run on the processor: `cuda_ext/cuda` built by the C++ compiler over `cuda_on_cpu`."""
from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geneface.ops.native import NativeLibrary

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "cuda_ext" / "cuda").glob("*.cu"))
# Fortified libraries take the jumps from one fibre's stack to another's for damage.
_FLAGS = [
    "-std=c++17", "-O1", "-fPIC", "-ffp-contract=off", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-Wno-unknown-pragmas",
    "-I", str(Path(__file__).parent / "cuda_on_cpu"),
]
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def available() -> bool:
    """Fibres need ucontext; the sources are not part of an installation."""
    return sys.platform == "linux" and COMPILER is not None and bool(SOURCES)


class _Emulated(NativeLibrary):
    def function(self, kernel):
        try:
            return super().function(kernel)
        except AttributeError:
            pytest.skip(f"{kernel.name} has no CUDA kernel yet")


@functools.lru_cache(maxsize=None)
def library() -> NativeLibrary:
    """Build and load, once a process."""
    with tempfile.TemporaryDirectory() as folder:

        def compiled(source: Path) -> Path:
            target = Path(folder) / f"{source.stem}.o"
            subprocess.run(
                [COMPILER, *_FLAGS, "-x", "c++", "-c", str(source), "-o", str(target)],
                check=True,
            )
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, SOURCES))
        target = Path(folder) / "emulated.so"
        subprocess.run([COMPILER, "-shared", *map(str, objects), "-o", str(target)], check=True)
        return _Emulated(target, cuda=True)
