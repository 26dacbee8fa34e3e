"""Z-buffer rasterisation of triangles: the op and its native kernel."""
from typing import Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from . import reference
from .checks import check, check_indices, check_positive
from .native import I32, I64, PTR, Kernel, dense, library_for, scratch

_RASTERIZE = Kernel("rasterize", PTR, I64, PTR, I64, I32, I32, PTR, PTR, PTR, PTR)


def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `reference.rasterize`. Raises ValueError naming a wrong argument."""
    check("vertices", vertices, (None, 3))
    check("triangles", triangles, (None, 3), (torch.int32,), like=vertices)
    check_indices("triangles", triangles, len(vertices))
    check_positive("height", height)
    check_positive("width", width)
    run = reference.rasterize if library_for(vertices) is None else _rasterize
    return run(vertices.detach(), triangles, int(height), int(width))


@custom_op("geneface::rasterize", mutates_args=())
def _rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> Tuple[Tensor, Tensor, Tensor]:
    vertices, triangles = dense(vertices, triangles)
    device = vertices.device
    face = torch.empty(height, width, dtype=torch.int32, device=device)
    barycentric, depth = vertices.new_empty(height, width, 3), vertices.new_empty(height, width)
    _RASTERIZE(
        device, vertices, len(vertices), triangles, len(triangles), height, width, face, barycentric, depth,
        scratch(device, height * width),
    )
    return face, barycentric, depth


@_rasterize.register_fake
def _(vertices, triangles, height, width):
    face = vertices.new_empty(height, width, dtype=torch.int32)
    return face, vertices.new_empty(height, width, 3), vertices.new_empty(height, width)
