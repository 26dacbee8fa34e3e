"""What works on this machine, what does not, why, and the mend."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from . import assets
from .extras import AVATAR, EXTRAS, installed
from .version import UNKNOWN
from .version import version as own_version

PYTHON = ((3, 10), (3, 12))
DISK_GB = 2.0
"""Below this a preparation of a few minutes of video may not fit [GB]."""

# Modules of the base package that must import: name -> what for. All are in requirements.txt.
REQUIRED = {
    "torch": "everything",
    "numpy": "everything",
    "scipy": "motion",
    "av": "video and sound",
    "safetensors": "model and avatar files",
    "soundfile": "sound",
    "jinja2": "reports",
    "PIL": "pictures",
    "yaml": "configuration",
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
    wanted = [(name, purpose, "install geneface again", True) for name, purpose in REQUIRED.items()]
    for extra in EXTRAS.values():
        wanted += [(name, extra.purpose, extra.mend, extra.name == AVATAR) for name in extra.modules if not extra.missing]
    for name, purpose, mend, needed in wanted:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken native library may raise anything
            failed.add(name)
            reason = " ".join(str(error).split()) or type(error).__name__
            problem(f"package {name} ({purpose}) does not import: {reason}", mend, needed)
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
        f"slow kernels, for avatars and films of motion: {why}",
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
    """State of every model file; one that nothing installed here uses is no problem."""
    states = {}
    for asset in assets.MANIFEST.values():
        status = assets.status(asset)
        states[asset.name] = status.state
        if status.state == "damaged":
            problem(f"model file {asset.name} is damaged", f"geneface assets fetch {asset.name}", asset.required)
        elif status.state == "missing" and asset.required and asset.usable:
            problem(
                f"model file {asset.name} is not here yet: {asset.purpose}",
                "it is fetched when first needed; to do so now: " f"geneface assets fetch {asset.name}",
                False,
            )
    return states


def _optional(problem) -> dict[str, str | None]:
    """The extras, and what is used where it happens to be: "installed", or None."""
    found: dict[str, str | None] = {}
    for extra in EXTRAS.values():
        missing = extra.missing
        found[extra.name] = None if missing else "installed"
        if missing:
            part = "" if missing == extra.modules else f"{', '.join(missing)} of "
            problem(f"optional, not installed: {part}geneface[{extra.name}], for {extra.purpose}", extra.mend, False)
    found["dlib-bin"] = "installed" if installed("dlib") else None
    if not installed("dlib") and found[AVATAR]:
        problem("without dlib-bin there is no identity similarity in evaluate", "pip install dlib-bin", False)
    return found
