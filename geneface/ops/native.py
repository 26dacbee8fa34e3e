"""The native kernels (`cuda_ext`), loaded with ctypes: finding, checking and calling the libraries.

`setup.py` puts `geneface_cpu_portable`, `geneface_cpu_avx2`, `geneface_cpu_avx512`, `geneface_cpu_avx512bf16`
and, with nvcc, `geneface_cuda` into the folder `_native` beside this file. The widest CPU library that the
processor can run is used; the environment variable GENEFACE_CPU_KERNELS names another (`portable`, `avx2`,
`avx512`, `avx512bf16`) or, with `reference`, none.
"""
from __future__ import annotations

import ctypes
import functools
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

ABI_VERSION = 2  # GENEFACE_ABI_VERSION of cuda_ext/include/geneface_ops.h
CPU_VARIANTS = ("portable", "avx2", "avx512", "avx512bf16")  # by geneface_cpu_level()
FOLDER = Path(__file__).parent / "_native"
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

# Types of kernel arguments; tensors go as PTR.
I32, I64, F32, PTR = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p


class NativeLibrary:
    """One loaded library.

    Attributes:
        path: its file.
        cuda: whether it holds the CUDA kernels, which ask for scratch memory.
    """

    def __init__(self, path: Path, cuda: bool = False) -> None:
        """Raises OSError where `path` cannot be loaded or is of another interface version."""
        self.path, self.cuda = path, cuda
        self._library = ctypes.CDLL(str(path))
        version = self._library.geneface_abi_version()
        if version != ABI_VERSION:
            raise OSError(f"{path.name} has interface version {version}, expected {ABI_VERSION}; install again")
        self._functions: dict[str, ctypes._CFuncPtr] = {}

    def function(self, kernel: "Kernel"):
        """The C function of a kernel, ready to be called."""
        if kernel.name not in self._functions:
            function = getattr(self._library, f"geneface_{kernel.name}")
            function.argtypes = [*kernel.arguments, ctypes.c_ssize_t]
            function.restype = ctypes.c_int
            self._functions[kernel.name] = function
        return self._functions[kernel.name]


@dataclass(frozen=True, init=False)
class Kernel:
    """A function of geneface_ops.h. Calling it neither allocates nor checks tensors.

    Attributes:
        name: without the prefix `geneface_`.
        arguments: their C types, without the context that all kernels take last.
    """

    name: str
    arguments: tuple

    def __init__(self, name: str, *arguments) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arguments", arguments)

    def __call__(self, device: torch.device, *arguments) -> None:
        """Run on a device: tensors go as pointers, None as null, everything else as it is.

        Raises:
            RuntimeError: no library for the device, or the kernel reports an error (CUDA: its error code).
        """
        function = loaded(device).function(self)
        raw = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
        if device.type == "cuda":
            with torch.cuda.device(device):
                code = function(*raw, torch.cuda.current_stream(device).cuda_stream)
        else:
            code = function(*raw, threads())
        if code:
            raise RuntimeError(f"geneface::{self.name} failed on {device} with error code {code}")


_threads: int | None = None


def threads() -> int:
    """Threads of the CPU kernels: as set by `set_threads`, else PyTorch's own number."""
    return _threads or torch.get_num_threads()


def set_threads(count: int | None) -> None:
    """Set the number of threads of the CPU kernels; None follows `torch.set_num_threads`."""
    global _threads
    if count is not None and count < 1:
        raise ValueError(f"count: must be at least 1, got {count}")
    _threads = count


def library_path(name: str) -> Path:
    """Where `setup.py` puts library `name` ("cpu_avx2", "cuda", ...)."""
    return FOLDER / f"geneface_{name}{SUFFIX}"


def cpu_variants() -> tuple[str, ...]:
    """CPU variants that are built and that this processor can run, widest last."""
    portable = library_path("cpu_portable")
    if not portable.is_file():
        return ()
    level = ctypes.CDLL(str(portable)).geneface_cpu_level()
    return tuple(v for v in CPU_VARIANTS[: level + 1] if library_path(f"cpu_{v}").is_file())


def reuse_memory() -> bool:
    """Let the process keep freed memory (up to 1 GiB) for its next tensors; call once before a long loop.

    glibc gives large blocks back to the system and so pays page faults for every new tensor: about a tenth
    of a training step's processor time. False where there is nothing to do (other C libraries, no native
    kernels).
    """
    portable = library_path("cpu_portable")
    return portable.is_file() and bool(ctypes.CDLL(str(portable)).geneface_reuse_memory())


@functools.lru_cache(maxsize=None)
def cpu_variant(name: str) -> NativeLibrary:
    """Load one CPU variant. Raises OSError where it is not built or cannot be loaded."""
    return NativeLibrary(library_path(f"cpu_{name}"))


_forced: list[NativeLibrary | None] = []


class use_cpu_library:
    """Context manager: float32 CPU ops run on `library`, or on the reference where it is None (for tests)."""

    def __init__(self, library: NativeLibrary | None) -> None:
        self._library = library

    def __enter__(self) -> None:
        _forced.append(self._library)

    def __exit__(self, *_: object) -> None:
        _forced.pop()


def cpu() -> NativeLibrary | None:
    """The CPU library in use, or None: then the ops are the PyTorch reference (said once)."""
    return _forced[-1] if _forced else _default_cpu()


@functools.lru_cache(maxsize=None)
def _default_cpu() -> NativeLibrary | None:
    wanted = os.environ.get("GENEFACE_CPU_KERNELS", "")
    if wanted == "reference":
        return None
    try:
        usable = cpu_variants()
        if wanted and wanted not in usable:
            offered = ", ".join((*usable, "reference"))
            raise OSError(f"GENEFACE_CPU_KERNELS={wanted} is not usable here; usable: {offered}")
        if not usable:
            raise OSError("the native kernels are not built; install a C++17 compiler, then geneface again")
        return cpu_variant(wanted or usable[-1])
    except (OSError, AttributeError) as error:
        warnings.warn(f"geneface runs on its slow PyTorch reference kernels: {error}", RuntimeWarning, stacklevel=2)
        return None


@functools.lru_cache(maxsize=None)
def cuda() -> NativeLibrary | None:
    """The CUDA library, or None: then CUDA tensors take the PyTorch reference (said once)."""
    try:
        path = library_path("cuda")
        if not path.is_file():
            raise OSError("the CUDA kernels are not built; install geneface where nvcc is found")
        return NativeLibrary(path, cuda=True)
    except (OSError, AttributeError) as error:
        warnings.warn(f"geneface runs on its slow PyTorch reference kernels on CUDA: {error}", RuntimeWarning, stacklevel=2)
        return None


def library_for(*tensors: Tensor) -> NativeLibrary | None:
    """The library that serves these tensors, or None for the reference (other dtypes, other devices)."""
    first = tensors[0]
    return loaded_or_none(first.device) if first.dtype == torch.float32 else None


def loaded_or_none(device: torch.device) -> NativeLibrary | None:
    """The library of a device, or None where there is none."""
    return {"cpu": cpu, "cuda": cuda}.get(device.type, lambda: None)()


def loaded(device: torch.device) -> NativeLibrary:
    """The library of a device's custom ops. Raises RuntimeError where there is none."""
    library = loaded_or_none(device)
    if library is None:
        raise RuntimeError(f"no native kernels for {device}; call the functions of geneface.ops, which fall back")
    return library


def scratch(device: torch.device, count: int) -> Tensor | None:
    """[count] int64 memory for a kernel's own use where the device's library wants it, else None."""
    return torch.empty(count, dtype=torch.int64, device=device) if loaded(device).cuda else None


def dense(*tensors: Tensor) -> list[Tensor]:
    """The tensors, row-major without gaps, as kernels take them."""
    return [t.contiguous() for t in tensors]
