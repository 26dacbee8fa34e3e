"""The installation without a working compiler, and the sources' reach."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geneface.ops import native

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="runs from the source tree only")


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    for name in ("setup.py", "pyproject.toml", "README.md", "requirements.txt", "requirements-avatar.txt"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "cuda_ext", folder / "cuda_ext")
    (folder / "configs").mkdir()
    (folder / "geneface" / "ops").mkdir(parents=True)
    (folder / "geneface" / "__init__.py").touch()
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=120,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="compilers are not chosen by CC there")
def test_failed_build_is_a_warning(tmp_path):
    done = build(tmp_path, CC="false", CXX="false", GENEFACE_CUDA="0")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: native kernels not built") == 1
    assert "install a C++17 compiler" in done.stderr
    assert not list(tmp_path.glob("geneface/ops/_native/*"))


def test_forced_cuda_without_nvcc_fails(tmp_path):
    done = build(tmp_path, CC="false", CXX="false", GENEFACE_CUDA="1", PATH=os.path.dirname(sys.executable), CUDA_HOME="",
                 CUDA_PATH="")
    assert done.returncode != 0
    assert "nvcc is neither on PATH nor in CUDA_HOME" in done.stderr


def test_a_wrong_switch_is_named(tmp_path):
    done = build(tmp_path, GENEFACE_CUDA="yes")
    assert done.returncode != 0 and "GENEFACE_CUDA must be 0, 1 or only" in done.stderr


def test_no_pytorch_at_build_time():
    sources = [p for p in (ROOT / "cuda_ext").rglob("*") if p.suffix in (".h", ".cpp", ".cu")] + [ROOT / "setup.py"]
    assert len(sources) > 10
    for source in sources:
        text = source.read_text("utf-8")
        assert "torch/" not in text and "import torch" not in text, source


@pytest.mark.parametrize("library", sorted(native.FOLDER.glob("*")), ids=lambda path: path.stem)
def test_libraries_link_to_neither_pytorch_nor_python(library):
    content = library.read_bytes()
    assert b"geneface_abi_version" in content
    for name in (b"libtorch", b"libc10", b"libpython"):
        assert name not in content, name
