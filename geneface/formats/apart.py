"""Reading in a process of its own, for libraries in C++ that a damaged file can crash, hang or fill the memory with."""
from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import UserError
from ..types import MotionSequence

SECONDS = 120
"""The longest that a file is read."""
MEMORY_BYTES = 8 << 30
"""Address space that the process may have; libraries reserve far more of it than they use."""
_REFUSED = 3


def read_apart(module: str, path: Path, seconds: float = SECONDS) -> MotionSequence:
    """What `read_here(path)` of `module` (a full name) returns, called in another Python.

    Raises:
        UserError: what it raised; or it crashed, or took longer than `seconds`.
    """
    with tempfile.TemporaryDirectory(prefix="geneface-") as folder:
        out = Path(folder) / "motion.npz"
        # The same modules as here, also where the package is not installed but run from its folder.
        places = os.pathsep.join(place or os.getcwd() for place in sys.path)
        try:
            done = subprocess.run(
                [sys.executable, "-c", "from geneface.formats.apart import main; main()", module, str(path), str(out)],
                env=os.environ | {"PYTHONPATH": places}, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise UserError(f"{path}: not read within {seconds:g} s; it is damaged, or cut it to parts") from None
        if done.returncode == _REFUSED:
            raise UserError(json.loads(done.stdout))
        if done.returncode or not out.is_file():
            raise UserError(f"{path}: its reader crashed on it; the file is damaged, write it again")
        return MotionSequence.load(out)


def main() -> None:
    """The other Python: module, file and output are its arguments."""
    module, path, out = sys.argv[1:]
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # no such limits on this system
    try:
        importlib.import_module(module).read_here(Path(path)).save(out)
    except UserError as error:
        print(json.dumps(str(error)))
        sys.exit(_REFUSED)
