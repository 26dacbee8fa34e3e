"""The definition of every op, in plain PyTorch.

Short rather than fast. Differentiable by autograd where the docstring says so; every other back end
must give the same values and gradients. Arguments are as documented here, checked in `geneface.ops`.
"""
from .adam import adam_step
from .field import evaluate_field, render_rays
from .grid import grid_encode, grid_total_variation
from .harmonics import spherical_harmonics
from .mlp import mlp
from .morton import morton_decode, morton_encode
from .occupancy import occupancy_record, occupancy_update, pack_bits
from .raster import rasterize
from .rays import march_alive, march_rays, near_far_from_aabb, sample_points
from .volume import composite, composite_alive, composite_weights

__all__ = [
    "adam_step", "composite", "composite_alive", "composite_weights", "evaluate_field", "grid_encode",
    "grid_total_variation", "march_alive", "march_rays", "mlp", "morton_decode", "morton_encode",
    "near_far_from_aabb", "occupancy_record", "occupancy_update", "pack_bits", "rasterize", "render_rays",
    "sample_points", "spherical_harmonics",
]
