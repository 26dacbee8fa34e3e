"""Fixtures shared by every room."""
from __future__ import annotations

from pathlib import Path

import pytest

import geneface  # noqa: F401  before torch: its threads must sleep

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def footage() -> Path:
    """Development footage beside the project's root; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip(f"no development footage at {folder}")
    return folder
