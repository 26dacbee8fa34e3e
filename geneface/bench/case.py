"""What an op that is to be timed looks like."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .scene import Scene
from .work import Work

Run = Callable[[], object]


@dataclass(frozen=True)
class Prepared:
    """An op with its inputs at hand.

    Attributes:
        run: computes it once, on whichever back end is in use.
        items: samples, rays, pixels or parameters in that.
        work: what an item costs at least.
    """

    run: Run
    items: int
    work: Work


@dataclass(frozen=True)
class Case:
    """An op to be timed.

    Attributes:
        name: of the op, and of what it is timed on.
        items: what the rate counts.
        prepare: (scene, rays) -> inputs at hand, for so many rays of the picture.
        reference_rays: share of the rays that the slow reference is timed on.
        times: as many rays as for other ops.
    """

    name: str
    items: str
    prepare: Callable[[Scene, int], Prepared]
    reference_rays: float = 1.0
    times: int = 1


def gradient(output: Tensor, inputs: tuple[Tensor, ...]) -> Run:
    """The backward pass alone, again and again."""
    seed = torch.rand_like(output)
    return lambda: torch.autograd.grad(output, inputs, seed, retain_graph=True)
