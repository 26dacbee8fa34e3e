"""Back ends that the op tests run on: each test body is written once and meets them all."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from geneface.ops import native
from tests.ops import emulated


@dataclass(frozen=True)
class Backend:
    """One way to run the ops."""

    name: str
    device: str

    def tensor(self, value: Tensor, grad: bool = False) -> Tensor:
        """A leaf copy of `value` where this back end computes."""
        return value.detach().to(self.device).clone().requires_grad_(grad)


def _backends() -> list[Backend]:
    found = [Backend("reference", "cpu"), *(Backend(v, "cpu") for v in native.cpu_variants())]
    if emulated.available():
        found.append(Backend("cuda on the cpu", "cpu"))
    if torch.cuda.is_available() and native.library_path("cuda").is_file():
        found.append(Backend("cuda", "cuda"))
    return found


def _library(chosen: Backend) -> native.NativeLibrary | None:
    if chosen.device == "cuda" or chosen.name == "reference":
        return None
    return emulated.library() if chosen.name == "cuda on the cpu" else native.cpu_variant(chosen.name)


@pytest.fixture(params=_backends(), ids=lambda b: b.name)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    chosen: Backend = request.param
    with native.use_cpu_library(_library(chosen)):
        yield chosen


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
