"""Run the op tests on CPU libraries built with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tools/sanitize.py [--fastest] [pytest's options]

Builds in `build/sanitize`, a copy of the source tree, so that the installed libraries stay as they are. The first
fault ends the run with the sanitizer's own report, and status 1. Needs Linux and GCC with its sanitizer libraries.
With --fastest only the library for this processor is built so and tested, which takes a fraction of the time.
"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "sanitize"
COPIED = ("geneface", "cuda_ext", "configs", "tests", "setup.py", "pyproject.toml", "requirements.txt",
          "requirements-avatar.txt", "README.md")


def runtime_library(name: str) -> Path | None:
    """GCC's library of this name, or None where it has none."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    path = Path(found.strip())  # the name alone where there is no such file
    return path.resolve() if path.is_absolute() and path.is_file() else None


def environment() -> dict[str, str]:
    """What a process needs to load libraries built so.

    Python itself is not built for the sanitizers: their library has to be there first, with the one that it takes
    exceptions from. Leaks are Python's own.
    """
    libraries = [str(runtime_library(name)) for name in ("libasan.so", "libstdc++.so")]
    return {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def copy_sources() -> None:
    """The source tree, without what an ordinary build made and without CUDA, which the tests would emulate."""
    for name in COPIED:
        source, target = ROOT / name, WORK / name
        if source.is_dir():
            shutil.copytree(
                source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("_native", "__pycache__", "*.cu")
            )
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def main(arguments: list[str] | None = None) -> int:
    """Build and test; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fastest", action="store_true", help="only the library for this processor")
    options, rest = parser.parse_known_args(arguments)
    if runtime_library("libasan.so") is None:
        print("sanitize: g++ and its libasan are needed; on Debian, apt install g++", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT))
    from geneface.ops import native

    usable = native.cpu_variants()
    if not usable:
        print("sanitize: build the ordinary kernels first: pip install -e .", file=sys.stderr)
        return 2
    shutil.rmtree(WORK / native.FOLDER.relative_to(ROOT), ignore_errors=True)  # none of before
    copy_sources()
    chosen = usable[-1:] if options.fastest else usable
    build = {**os.environ, "GENEFACE_SANITIZE": ";".join(chosen), "GENEFACE_CUDA": "0"}
    subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=WORK, env=build, check=True)
    folder = WORK / native.FOLDER.relative_to(ROOT)
    names = {name: native.library_path(f"cpu_{name}").name for name in native.CPU_VARIANTS}
    if not all((folder / names[name]).is_file() for name in chosen):
        print("sanitize: the kernels could not be built so", file=sys.stderr)
        return 1
    if options.fastest:
        # The ordinary portable library says what this processor can run.
        shutil.copy(native.library_path("cpu_portable"), folder)
        if not any(word.startswith("-k") for word in rest):
            rest = ["-k", usable[-1], *rest]
    run = {**os.environ, **environment(), "PYTHONPATH": str(WORK)}
    # A sanitizer's report goes past Python: what pytest holds back would be lost with the process.
    # Nor does the sanitizer let the allocator be tuned.
    tests = [sys.executable, "-m", "pytest", "-q", "--capture=sys", "tests/ops", "-k", "not memory_is_reused"]
    return subprocess.run([*tests, "--ignore", "tests/ops/test_build.py", *rest], cwd=WORK, env=run).returncode


if __name__ == "__main__":
    raise SystemExit(main())
