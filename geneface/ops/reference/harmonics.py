"""Definition of the spherical harmonics."""
from __future__ import annotations

import torch
from torch import Tensor


def spherical_harmonics(dirs: Tensor, degree: int = 4) -> Tensor:
    """Real spherical harmonics of unit directions, with the Condon-Shortley phase.

    Args:
        dirs: [N,3] unit vectors (not normalised here: values are polynomials of the components).
        degree: number of bands, 1 to 4.

    Returns:
        [N,degree**2]. Differentiable.
    """
    x, y, z = dirs.unbind(-1)
    one = 1 + 0 * x  # keeps band 0 in the graph
    bands = [
        [0.28209479177387814 * one],
        [-0.48860251190291987 * y, 0.48860251190291987 * z, -0.48860251190291987 * x],
        [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.94617469575755997 * z * z - 0.31539156525251999,
            -1.0925484305920792 * x * z,
            0.54627421529603959 * (x * x - y * y),
        ],
        [
            0.59004358992664352 * y * (y * y - 3 * x * x),
            2.8906114426405538 * x * y * z,
            0.45704579946446572 * y * (1 - 5 * z * z),
            0.3731763325901154 * z * (5 * z * z - 3),
            0.45704579946446572 * x * (1 - 5 * z * z),
            1.4453057213202769 * z * (x * x - y * y),
            0.59004358992664352 * x * (3 * y * y - x * x),
        ],
    ]
    return torch.stack([value for band in bands[:degree] for value in band], dim=-1)
