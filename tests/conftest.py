"""Fixtures shared by every room."""
from __future__ import annotations

from pathlib import Path

import pytest

import geneface  # noqa: F401  before torch: its threads must sleep
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def footage() -> Path:
    """Development footage beside the project's root; tests that need it are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip(f"no development footage at {folder}")
    return folder


@pytest.fixture(scope="module")
def one_thread():
    """Small tensors are soonest done with by one thread, the more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
