"""What is timed: each op on what it meets in a picture or a training step of the formula head."""
from __future__ import annotations

import torch

from .grid_cases import GRID_CASES
from .network_cases import NETWORK_CASES
from .ray_cases import RAY_CASES
from .scene import RENDERED_SKIN, Scene

PICTURE_RAYS = 82_726  # all that meet the formula head at 512 pixels
CASES = (*GRID_CASES, *NETWORK_CASES, *RAY_CASES)


def picture_scene(device: torch.device, size: int = 512) -> Scene:
    """The scene that the cases are prepared from."""
    return Scene(size, RENDERED_SKIN, device)
