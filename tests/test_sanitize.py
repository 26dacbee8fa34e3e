"""The CPU kernels read and write only what is theirs, and do nothing that C++ leaves undefined."""
from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from geneface.ops import native

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "tools" / "sanitize.py"


@pytest.fixture(scope="module")
def tool():
    if not TOOL.is_file() or not native.cpu_variants():
        pytest.skip("runs from the source tree, with kernels built")
    spec = importlib.util.spec_from_file_location("sanitize", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.runtime_library("libasan.so") is None:
        pytest.skip("GCC's sanitizers are not installed")
    return module


def test_kernels_of_this_processor_are_clean(tool):
    # The sizes around a packet's are where a kernel would run over an end.
    done = subprocess.run(
        [sys.executable, str(TOOL), "--fastest", "-x", "-k", f"{native.cpu_variants()[-1]} and (31 or 33 or thread)"],
        capture_output=True, text=True, env={**os.environ, "PYTEST_ADDOPTS": ""},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize(
    "fault, report",
    [("values[count] = 1;", "heap-buffer-overflow"), ("values[0] = count + 2147483647;", "signed integer overflow")],
)
def test_a_fault_would_be_found(tool, fault, report, tmp_path):
    """The flags that setup.py builds with, on a library with a fault, loaded as the kernels are."""
    flags = re.search(r"^SANITIZE = (\[.*?\])", (ROOT / "setup.py").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    source, library = tmp_path / "fault.cpp", tmp_path / "fault.so"
    source.write_text('extern "C" void fault(int* values, int count) { %s }' % fault, "utf-8")
    subprocess.run(["g++", *ast.literal_eval(flags[1]), "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    program = (
        "import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; "
        f"ctypes.CDLL({str(library)!r}).fault(ctypes.c_void_p(libc.malloc(12)), 3); print('unharmed')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **tool.environment()}
    )
    assert done.returncode != 0 and "unharmed" not in done.stdout
    assert report in done.stderr
