"""The package's own motion file: `MotionSequence.save` and `load`, which lose nothing."""
from __future__ import annotations

from pathlib import Path

from ..types import MotionSequence
from . import WriteOptions


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> None:
    """Write `motion`."""
    motion.save(path)


def read(path: Path) -> MotionSequence:
    """Read what `write` wrote. Raises UserError: see `MotionSequence.load`."""
    return MotionSequence.load(path)
