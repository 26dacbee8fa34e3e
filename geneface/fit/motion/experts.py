"""What frozen experts think of generated lips: whether they go with the sound, and which words they say."""
from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ...config import MotionConfig
from ...face.arkit import ARKIT_NAMES
from ...face.landmarks import LIPS_68
from ...motion.measures import MouthMeasures
from ...motion.vae import MotionGenerator
from .batches import Batch

if TYPE_CHECKING:
    from ...motion.lipreader import LipReader
    from ...motion.sync import SyncExpert


class Experts:
    """Losses of a sync expert and of a lip reader.

    Args:
        sync, reader: None for no such loss.
        measures: landmarks of the 52 weights.
        model: tells which weights are driven, their mean and deviation.
        device: of the losses.
    """

    def __init__(self, sync: SyncExpert | None, reader: LipReader | None, measures: MouthMeasures,
                 model: MotionGenerator, device: torch.device) -> None:
        # The loaded ones are shared with whoever loads them again.
        self.sync, self.reader = (None if expert is None else
                                  copy.deepcopy(expert).eval().requires_grad_(False).to(device)
                                  for expert in (sync, reader))
        driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
        offsets = torch.from_numpy(measures.offsets[:, LIPS_68].astype("float32"))[driven]
        neutral = torch.from_numpy(measures.neutral[LIPS_68].astype("float32"))
        std, mean = model.weight_std.cpu(), model.weight_mean.cpu()
        # Standardised motion to lips in one step; the weights that are not driven move no lips.
        self._offsets = (offsets * std[:, None, None]).to(device)
        self._centre = (neutral + torch.einsum("d,dpc->pc", mean, offsets)).to(device)

    @classmethod
    def of_config(cls, config: MotionConfig, measures: MouthMeasures, model: MotionGenerator,
                  device: torch.device) -> Experts | None:
        """Those whose losses weigh something, from their files; None for none. Raises UserError for unreadable ones."""
        sync = reader = None
        if config.sync_weight > 0:
            from ...motion.sync import SyncExpert

            sync = SyncExpert.load(config.sync_expert)
        if config.reader_weight > 0:
            from ...motion.lipreader import LipReader

            reader = LipReader.load(config.lip_reader)
        return cls(sync, reader, measures, model, device) if sync or reader else None

    def mouth(self, motion: torch.Tensor) -> torch.Tensor:
        """Standardised motion [B, driven, T] -> canonical lips [B, T, 20, 3] in metres."""
        return self._centre + torch.einsum("bdt,dpc->btpc", motion, self._offsets)

    def __call__(self, motion: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """Losses by name of standardised motion [B, driven, T] for the speech of `batch`.

        The reader has no say in clips whose words are unknown, to the corpus or to it.
        """
        mouth, mask, parts = self.mouth(motion), batch.mask[:, 0], {}
        if self.sync is not None:
            parts["sync"] = self.sync.loss(batch.plain_content, batch.plain_melody, mouth, mask)
        if self.reader is not None:
            said = [i for i, words in enumerate(batch.words) if words and self.reader.knows(words)]
            chosen = torch.tensor(said, dtype=torch.long, device=mouth.device)
            parts["reader"] = (self.reader.loss(mouth[chosen], mask[chosen], [batch.words[i] for i in said]) if said
                               else mouth.new_zeros(()))
        return parts
