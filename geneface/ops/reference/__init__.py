"""The definition of every op, in plain PyTorch.

Short rather than fast. Differentiable by autograd where the docstring says so; every other back end
must give the same values and gradients. Arguments are as documented here, checked in `geneface.ops`.
"""
from .field import evaluate_field, render_rays
from .grid import grid_encode
from .harmonics import spherical_harmonics
from .mlp import mlp
from .occupancy import pack_bits
from .raster import rasterize
from .rays import march_rays, near_far_from_aabb
from .volume import composite

__all__ = [
    "composite", "evaluate_field", "grid_encode", "march_rays", "mlp", "near_far_from_aabb", "pack_bits", "rasterize",
    "render_rays", "spherical_harmonics",
]
