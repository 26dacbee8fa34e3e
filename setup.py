"""Build of the native kernels, and what pyproject.toml cannot say.

`cuda_ext` becomes plain C-ABI shared libraries in `geneface/ops/_native`, loaded with ctypes: no PyTorch
at build time, one build for every PyTorch and Python. The CPU library is built once per instruction set
and the right one is picked at run time. The CUDA library is built where nvcc is found; GENEFACE_CUDA=0
leaves it out, GENEFACE_CUDA=1 makes its absence an error, GENEFACE_CUDA=only builds nothing else.
GENEFACE_CUDA_ARCHS ("80;90") narrows down the GPU generations. GENEFACE_SANITIZE ("portable;avx2") is for
tools/sanitize.py: only these CPU libraries, which stop at the first access out of bounds or undefined operation.
GENEFACE_KERNELS=0 builds none at all: speech to motion and motion files run without.

A failed build does not fail the installation: the ops then run on their PyTorch reference, with a warning.
"""
from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

FOLDER = "geneface.ops._native"
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
CPU = "cuda_ext/cpu"
ONCE = [f"{CPU}/{name}.cpp" for name in ("level", "memory")]  # in the portable library only
SOURCES = sorted(p.as_posix() for p in Path(CPU).glob("*.cpp") if p.as_posix() not in ONCE)
# Whether a sample lies in a cell, or a pixel in a triangle, must not depend on fused multiply-add.
EXACT = tuple(f"{CPU}/{name}.cpp" for name in ("field", "march", "occupancy", "rasterize"))
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
VARIANTS = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": AVX512,
    "avx512bf16": [*AVX512, "-mavx512bf16"],
}
# Little optimisation and checks by call: otherwise compilation takes minutes a file. What is not undefined behaviour's
# to find, the address sanitizer does.
SANITIZE = [
    "-O1", "-fsanitize=address,undefined", "-fno-sanitize=null,object-size,pointer-overflow", "-fno-sanitize-recover=all",
    "--param=asan-instrumentation-with-call-threshold=0", "-fno-omit-frame-pointer",
]
CUDA_SOURCES = sorted(p.as_posix() for p in Path("cuda_ext/cuda").glob("*.cu"))
CUDA_EXACT = tuple(f"cuda_ext/cuda/{name}.cu" for name in ("field", "march", "occupancy", "rasterize"))
KERNELS = os.environ.get("GENEFACE_KERNELS", "")
if KERNELS not in ("", "0", "1"):
    raise SystemExit(f"GENEFACE_KERNELS must be 0 or 1, got {KERNELS!r}")
FORCED = os.environ.get("GENEFACE_CUDA") in ("1", "only")  # a failure is then an error
CUDA_ARCHS = ("75", "80", "86", "89", "90")
# The YAML files lie beside the package in the source tree and inside it once installed.
CONFIGS = ["geneface.configs"] if Path("configs").is_dir() else []


def requirements(file: str) -> list[str]:
    """Lines of a requirements file that name a package (comments left out)."""
    lines = Path(file).read_text("utf-8").splitlines()
    return [text for line in lines if (text := line.split(" #")[0].strip()) and text[0] != "#"]


# What geneface.extras says of them while the program runs stands there.
EXTRAS = {
    "avatar": requirements("requirements-avatar.txt"),
    "usd": ["usd-core==26.11"],
    "words": ["pocketsphinx==5.1.1"],
    "voices": ["onnxruntime>=1.18"],
    "cluster": ["ray>=2.40"],
    "test": ["pytest==9.2.0", "iniconfig==2.3.1", "pluggy==1.7.0", "srt==3.5.3", "webvtt-py==0.6.0",
             "bvh==0.3", "usd-core==26.11", "pygltflib==1.16.5"],
}


def library(name: str, sources: list[str]) -> Extension:
    headers = [str(p) for folder in ("include", "cpu", "cuda") for p in sorted(Path("cuda_ext", folder).glob("*.h"))]
    return Extension(f"{FOLDER}.geneface_{name}", sources, depends=headers + ["setup.py"], language="c++")


def find_nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    inside = shutil.which("nvcc", path=os.path.join(home, "bin")) if home else None
    return inside or shutil.which("nvcc")


def libraries() -> list[Extension]:
    wanted = os.environ.get("GENEFACE_CUDA", "")
    if wanted not in ("", "0", "1", "only"):
        raise SystemExit(f"GENEFACE_CUDA must be 0, 1 or only, got {wanted!r}")
    if wanted == "only":
        return [library("cuda", CUDA_SOURCES)]
    found = [library("cpu_portable", [*SOURCES, *ONCE])]
    if platform.machine().lower() in ("x86_64", "amd64") and sys.platform != "win32":
        found += [library(f"cpu_{variant}", SOURCES) for variant in VARIANTS]
    sanitized = os.environ.get("GENEFACE_SANITIZE", "").split(";")
    found = [ext for ext in found if sanitized == [""] or ext.name.rsplit("_cpu_", 1)[1] in sanitized]
    if wanted == "1" or (wanted == "" and find_nvcc()):
        found.append(library("cuda", CUDA_SOURCES))
    return found


class BuildLibraries(build_ext):
    """`build_ext` for shared libraries that are not Python modules."""

    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split(".")) + SUFFIX

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []  # no PyInit function; exports are marked in the source

    def get_libraries(self, ext: Extension) -> list[str]:
        return []  # never link to Python

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:  # libraries are compiled side by side
            self.parallel = os.cpu_count()

    def run(self) -> None:
        self.failed: dict[str, str] = {}
        try:
            super().run()
        except Exception as error:  # no usable compiler at all
            if FORCED:
                raise
            self.failed["all"] = str(error)
        if self.failed:
            what = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            print(
                f"warning: native kernels not built ({what}). geneface works without them, slowly; "
                "install a C++17 compiler and install again.", file=sys.stderr,
            )

    def build_extension(self, ext: Extension) -> None:
        name = ext.name.rsplit(".geneface_", 1)[1]
        target = Path(self.get_ext_fullpath(ext.name))
        newest = max(os.path.getmtime(p) for p in [*ext.sources, *ext.depends])
        if not self.force and target.is_file() and target.stat().st_mtime > newest:
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if name == "cuda":
                self.build_cuda(ext, target)
            else:
                self.build_cpu(ext, target, VARIANTS.get(name.split("_")[1], []))
        except Exception as error:  # whatever a compiler may raise: the installation goes on
            if name == "cuda" and FORCED:
                raise
            target.unlink(missing_ok=True)  # never leave a library older than its source
            self.failed[name] = str(error).splitlines()[0] if str(error) else type(error).__name__

    def get_outputs(self) -> list[str]:
        return [path for path in super().get_outputs() if os.path.exists(path)]

    def copy_extensions_to_source(self) -> None:
        Path(*FOLDER.split(".")).mkdir(exist_ok=True)
        built = self.extensions
        self.extensions = [e for e in built if os.path.exists(os.path.join(self.build_lib, self.get_ext_filename(e.name)))]
        super().copy_extensions_to_source()
        self.extensions = built

    def build_cpu(self, ext: Extension, target: Path, machine: list[str]) -> None:
        if self.compiler.compiler_type == "msvc":
            common, exact, link = ["/std:c++17", "/O2", "/EHsc"], [], []
        else:
            common = ["-std=c++17", "-O3", "-fvisibility=hidden", "-fopenmp-simd", "-fno-math-errno",
                      "-fno-trapping-math", "-g0", "-pthread", *machine]
            exact, link = ["-ffp-contract=off"], ["-pthread"]
            if os.environ.get("GENEFACE_SANITIZE"):
                common, link = common + SANITIZE, link + SANITIZE
        objects = []
        for source in ext.sources:
            objects += self.compiler.compile(
                [source], output_dir=os.path.join(self.build_temp, ext.name), depends=ext.depends,
                extra_postargs=common + (exact if source in EXACT else []),
            )
        self.compiler.link_shared_object(objects, str(target), target_lang="c++", extra_postargs=link)

    def build_cuda(self, ext: Extension, target: Path) -> None:
        nvcc = find_nvcc()
        if nvcc is None:
            raise RuntimeError("GENEFACE_CUDA asks for it, but nvcc is neither on PATH nor in CUDA_HOME")
        listed = subprocess.run([nvcc, "--list-gpu-code"], check=True, capture_output=True, text=True).stdout.split()
        wanted = os.environ.get("GENEFACE_CUDA_ARCHS", "").split(";")
        archs = [a for a in ([w for w in wanted if w] or CUDA_ARCHS) if f"sm_{a}" in listed]
        if not archs:
            raise RuntimeError(f"nvcc builds for none of the wanted GPU generations; it offers {' '.join(listed)}")
        codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in archs]
        codes.append(f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}")  # newer GPUs compile this one
        host = [] if sys.platform == "win32" else ["-Xcompiler", "-fPIC,-fvisibility=hidden"]
        common = [nvcc, "-std=c++17", "-O3", "--threads", "0", *host, *codes]
        with tempfile.TemporaryDirectory() as folder:
            objects = []
            for source in ext.sources:
                objects.append(os.path.join(folder, Path(source).stem + ".o"))
                exact = ["--fmad=false"] if source in CUDA_EXACT else []
                subprocess.run([*common, *exact, "-c", source, "-o", objects[-1]], check=True)
            subprocess.run([*common, "--shared", "--cudart", "static", *objects, "-o", str(target)], check=True)


setup(
    install_requires=requirements("requirements.txt"),
    extras_require=EXTRAS,
    ext_modules=[] if KERNELS == "0" else libraries(),
    cmdclass={"build_ext": BuildLibraries},
    packages=find_packages(include=["geneface", "geneface.*", "data_prep", "data_prep.*"])
    + CONFIGS,
    package_dir={package: "configs" for package in CONFIGS},
    package_data={"geneface": ["data/*", "data/**/*", "studio/static/**/*"], "geneface.configs": ["*.yaml"],
                  "data_prep.voices": ["sentences/*.txt"]},
)
