"""Fits are tested on one thread, where they repeat to the bit."""
from __future__ import annotations

import pytest
import torch

from geneface import ops


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Other rooms' tests get their threads back: a fit sets the number for its process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ops.set_threads(1)
    yield
    torch.set_num_threads(threads)
    ops.set_threads(threads)
