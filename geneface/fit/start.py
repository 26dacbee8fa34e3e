"""What heads have in common: where a fit starts, instead of at random."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..nerf.head import HeadField

RELEASE = Path(__file__).resolve().parents[1] / "data" / "head_start.safetensors"
# How a face moves and what its features mean is learned once; the features of the face itself are a person's own.
SHARED = ("motion_table", "motion_net", "encoder.net", "density_net", "colour_net")


@dataclass(frozen=True)
class HeadStart:
    """Parts of a head field that were learned over several people.

    Attributes:
        box: [6] of head space that its motion grid fills [m].
        deviation: [driving] deviations of the people's driving values [m].
        tensors: name in `HeadField` -> value.
    """

    box: Tensor
    deviation: Tensor
    tensors: dict[str, Tensor]

    @classmethod
    def load(cls, path: str | Path = RELEASE) -> "HeadStart":
        """Read what `save` wrote."""
        tensors = {name: value.float() for name, value in load_file(path).items()}
        return cls(tensors.pop("box"), tensors.pop("deviation"), tensors)

    def save(self, path: str | Path) -> None:
        """Write, in half precision what may lose it."""
        halves = {name: value.half().contiguous() for name, value in self.tensors.items()}
        save_file({"box": self.box, "deviation": self.deviation} | halves, path)

    def suits(self, head: nn.Module) -> bool:
        """Whether a head is of the kind and the sizes that were learned."""
        if not isinstance(head, HeadField):
            return False
        own = dict(head.named_parameters())
        return all(name in own and value.shape == own[name].shape for name, value in self.tensors.items())

    @torch.no_grad()
    def begin(self, head: HeadField) -> None:
        """Take over what was learned.

        The head's box becomes the one that the motion grid was learned in, wider only where this person needs it: the
        grid then lies in the same places of head space. Deviations are the people's, for a short clip shows few
        shapes of the mouth; means stay the person's own.
        """
        head.aabb[:3] = torch.minimum(head.aabb[:3], self.box[:3])
        head.aabb[3:] = torch.maximum(head.aabb[3:], self.box[3:])
        head.encoder.standardise.deviation.copy_(self.deviation)
        own = dict(head.named_parameters())
        for name, value in self.tensors.items():
            own[name].copy_(value)
