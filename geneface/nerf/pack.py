"""A portrait as the fields and tensors of an avatar file, and back."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..types import Avatar
from .head import HeadSpec
from .portrait import Portrait
from .radnerf import RadNerfSpec
from .torso import TorsoSpec

KINDS = {HeadSpec: "geneface-moving", RadNerfSpec: "rad-nerf"}
# Needed to fit, not to render.
_FIT_ONLY = ("occupancy.hull", "occupancy.seen", "torso_motions", "pose.residual")
_HALF = ("table",)  # names of what is stored in 16 bits: large, and of limited range


def pack_portrait(portrait: Portrait, step: float) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`Avatar.field` and `Avatar.tensors` of a portrait.

    Args:
        step: sample distance that it was fitted with [m].
    """
    height, width = portrait.torso_region.shape
    field = {
        "kind": KINDS[type(portrait.head.spec)], "head": portrait.head.spec.to_dict(),
        "torso": portrait.torso.spec.to_dict(), "frames": len(portrait.torso_motions),
        "grid_size": portrait.occupancy.size, "width": width, "height": height, "step_m": step,
    }
    tensors = {}
    for name, value in portrait.state_dict().items():
        if name in _FIT_ONLY:
            continue
        array = value.detach().cpu().numpy()
        if array.dtype == bool:
            array = np.packbits(array)
        elif name.endswith(_HALF):
            array = array.astype(np.float16)
        tensors[name] = array
    return field, tensors


def unpack_portrait(avatar: Avatar, device: torch.device | None = None) -> Portrait:
    """The portrait of an avatar, ready to render (gradients off).

    Raises:
        UserError: the avatar's field is of a kind or shape that this version does not know.
    """
    field = avatar.field
    specs = {kind: spec for spec, kind in KINDS.items()}
    if field.get("kind") not in specs:
        raise UserError(
            f"avatar holds a field of kind {field.get('kind')!r}, which this version does not know; fit it again, or "
            "install the version that made it"
        )
    try:
        portrait = Portrait(
            specs[field["kind"]](**field["head"]), TorsoSpec(**field["torso"]), field["frames"], field["grid_size"],
            field["width"], field["height"],
        )
    except TypeError as error:
        raise UserError(f"avatar was fitted by an older version, with other sizes ({error}); fit it again") from error
    except KeyError as error:
        raise UserError(f"damaged avatar: its field lacks {error}; fit it again") from error
    try:
        state = portrait.state_dict()
        for name, value in state.items():
            if name in _FIT_ONLY:
                continue
            array = avatar.tensors[name]
            if value.dtype == torch.bool:
                array = np.unpackbits(array, count=value.numel()).reshape(value.shape).astype(bool)
            value.copy_(torch.from_numpy(np.array(array)))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"damaged avatar: its field cannot be rebuilt ({error}); fit it again") from error
    return portrait.requires_grad_(False).eval().to(device)
