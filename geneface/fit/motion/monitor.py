"""What tensorboard shows of a training."""
from __future__ import annotations

from pathlib import Path

from ...config import MotionConfig
from ...corpus import MotionCorpus
from ...motion.measures import MouthMeasures
from ...motion.vae import MotionGenerator
from .validation import held_out, mouth_animation, validation_metrics

_SHOWN = 3  # held-out clips of each corpus, moving


class Monitor:
    """A tensorboard log; use as a context manager.

    Args:
        folder: of the log.
        step: that the training goes on from: what an earlier run logged past it is hidden.
        writes: False to log nothing.
    """

    def __init__(self, folder: Path, step: int, writes: bool) -> None:
        self._log = None
        if writes:
            from torch.utils.tensorboard import SummaryWriter

            folder.mkdir(parents=True, exist_ok=True)
            self._log = SummaryWriter(str(folder), purge_step=step)

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_) -> None:
        if self._log is not None:
            self._log.close()

    def scalars(self, group: str, values: dict, step: int) -> None:
        """Numbers by name; others are left out."""
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self._log.add_scalar(f"{group}/{name}", value, step)

    def validate(self, model: MotionGenerator, corpora: list[MotionCorpus], measures: MouthMeasures,
                 config: MotionConfig, step: int) -> None:
        """Figures and moving mouths of held-out clips, corpus by corpus (`held_out`, `held_out_1` ...)."""
        for number, corpus in enumerate(corpora):
            if not len(corpus.test):
                continue
            group = f"held_out_{number}" if number else "held_out"
            self.scalars(group, validation_metrics(model, corpus, measures, config), step)
            self.animation(f"{group}/tracked, generated, two samples",
                           mouth_animation(model, corpus, held_out(corpus, _SHOWN), measures), step)

    def animation(self, name: str, gif: bytes, step: int) -> None:
        """An animated GIF, which tensorboard shows as the browser does."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = (int.from_bytes(gif[at:at + 2], "little") for at in (6, 8))  # of the GIF's header
        image = Summary.Image(width=width, height=height, colorspace=1, encoded_image_string=gif)
        self._log.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
