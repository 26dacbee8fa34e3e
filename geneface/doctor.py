"""What works on this machine, what does not, why, and the mend."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import assets
from .version import UNKNOWN
from .version import version as own_version

PYTHON = ((3, 10), (3, 12))
DISK_GB = 2.0
"""Below this a preparation of a few minutes of video may not fit [GB]."""

# Packages that must import: name -> what for. All are in requirements.txt.
_REQUIRED = {
    "torch": "everything",
    "numpy": "everything",
    "scipy": "tracking",
    "cv2": "masks",
    "mediapipe": "face landmarks",
    "av": "video and sound",
    "safetensors": "avatar files",
    "soundfile": "sound",
    "librosa": "prepare-corpus",
    "jinja2": "reports",
    "matplotlib": "reports",
    "PIL": "pictures",
    "yaml": "configuration",
}
# Packages that add something: module -> (distribution, what for).
_OPTIONAL = {
    "dlib": ("dlib-bin", "identity similarity in evaluate"),
    "ray": ("ray", "prepare-corpus over a cluster"),
}


def examine() -> dict[str, Any]:
    """Look at everything.

    Returns:
        `ok` (all that is needed works), `kernels`, `cuda`, `assets`, `optional`, `problems` [{what, mend, needed}],
        and `geneface`, `python`, `platform`, `disk_free_gb`.
    """
    problems: list[dict[str, Any]] = []

    def problem(what: str, mend: str, needed: bool) -> None:
        problems.append({"what": what, "mend": mend, "needed": needed})

    _python(problem)
    missing = _packages(problem)
    found = {
        "geneface": own_version(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "disk_free_gb": _disk(problem),
        "kernels": _kernels(problem) if "torch" not in missing else {"cpu": None, "why": "PyTorch does not import"},
        "cuda": _cuda(problem) if "torch" not in missing else {"available": False},
        "assets": _assets(problem),
        "optional": _optional(problem),
    }
    return {"ok": not any(p["needed"] for p in problems)} | found | {"problems": problems}


def _python(problem) -> None:
    if not PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]:
        wanted = " to ".join(".".join(map(str, v)) for v in PYTHON)
        problem(
            f"Python {platform.python_version()} is not supported",
            f"make a virtual environment with Python {wanted}",
            True,
        )
    if own_version() == UNKNOWN:
        problem("geneface runs from its source tree, not installed", "pip install -e . in the source tree", False)


def _packages(problem) -> set[str]:
    """Import what is needed; returns the names that did not."""
    failed = set()
    for name, purpose in _REQUIRED.items():
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken native library may raise anything
            failed.add(name)
            reason = " ".join(str(error).split()) or type(error).__name__
            problem(f"package {name} ({purpose}) does not import: {reason}", "pip install -r requirements.txt", True)
    return failed


def _disk(problem) -> float:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free / 1e9
    if free < DISK_GB:
        problem(
            f"{free:.1f} GB free in {folder}",
            "free some space or work on another disk; a few minutes of video need " f"about {DISK_GB:g} GB",
            True,
        )
    return round(free, 1)


def _kernels(problem) -> dict[str, Any]:
    """Which kernels run on the CPU, and why those."""
    from . import ops
    from .ops import native

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend = ops.backend()
        library = native.cpu()
        variants = list(native.cpu_variants())
    if backend == "native":
        return {
            "cpu": "native",
            "variant": library.path.stem.removeprefix("geneface_cpu_"),
            "usable": variants,
            "why": "the widest that is built and that this processor can run",
        }
    why = str(caught[-1].message) if caught else "GENEFACE_CPU_KERNELS=reference"
    problem(
        f"slow kernels: {why}",
        "install a C++17 compiler (g++), then install geneface again; unset GENEFACE_CPU_KERNELS",
        False,
    )
    return {"cpu": "reference", "variant": None, "usable": variants, "why": why}


def _cuda(problem) -> dict[str, Any]:
    """The GPU as PyTorch sees it, and our kernels for it."""
    import torch

    from .ops import native

    built = native.library_path("cuda").is_file()
    found: dict[str, Any] = {
        "available": torch.cuda.is_available(),
        "torch": torch.__version__,
        "kernels_built": built,
        "device": None,
    }
    if not found["available"]:
        found["why"] = (
            "this PyTorch is built without CUDA" if torch.version.cuda is None else "PyTorch finds no usable GPU"
        )
        return found
    found["device"] = torch.cuda.get_device_name(0)
    if not built:
        problem(
            "a GPU is here, but the CUDA kernels are not built",
            "install the CUDA toolkit (nvcc), then geneface again",
            False,
        )
    return found


def _assets(problem) -> dict[str, str]:
    states = {}
    for asset in assets.MANIFEST.values():
        status = assets.status(asset)
        states[asset.name] = status.state
        if status.state == "damaged":
            problem(f"model file {asset.name} is damaged", f"geneface assets fetch {asset.name}", asset.required)
        elif status.state == "missing" and asset.required:
            problem(
                f"model file {asset.name} is not here yet: {asset.purpose}",
                "it is fetched when first needed; to do so now: " f"geneface assets fetch {asset.name}",
                False,
            )
    return states


def _optional(problem) -> dict[str, str | None]:
    """Version of every optional package, None where it is not installed."""
    found: dict[str, str | None] = {}
    for module, (distribution, purpose) in _OPTIONAL.items():
        found[distribution] = None
        if find_spec(module) is None:
            problem(f"without {distribution} there is no {purpose}", f"pip install {distribution}", False)
            continue
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:  # installed under another name
            found[distribution] = "installed"
    return found
