"""Watching a fit: progress bar, tensorboard, memory."""
from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from ..progress import say
from ..report import Report, readable


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far [MB], None where the system does not tell."""
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kilobytes elsewhere


class Monitor:
    """Progress bar on a terminal, else a line every half minute; scalars and pictures to tensorboard.

    Use as a context manager.
    """

    LINE_SECONDS = 30.0

    def __init__(self, folder: Path, description: str) -> None:
        self._folder, self._description = folder, description
        self._next_line = 0.0
        self._curves: dict[str, list[tuple[int, float]]] = {}

    def __enter__(self) -> "Monitor":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder))
        console = Console(stderr=True)
        self._bar = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[note]}"), TimeRemainingColumn(), console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._description, total=1.0, note="")
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._writer.close()

    def progress(self, share: float, step: int, steps_per_second: float, psnr: float) -> None:
        """Show how far the fit is: `share` of its budget in [0,1], and the training rays' PSNR [dB]."""
        note = f"step {step}, {steps_per_second:.1f} steps/s, rays {psnr:.1f} dB"
        if self._bar is not None:
            self._bar.update(self._task, completed=min(share, 1.0), note=note)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + self.LINE_SECONDS
            say(f"{self._description}: {100 * min(share, 1.0):.0f}%, {note}")

    def scalars(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
            self._curves.setdefault(name, []).append((step, value))

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """[H,W,3] uint8."""
        self._writer.add_image(name, torch.from_numpy(picture), step, dataformats="HWC")

    def report(self, path: Path, title: str, values: dict, strip: np.ndarray, adaptation: dict | None = None) -> None:
        """One page about the fit: figures, held-out frames above renders of them, and curves of this run.

        Args:
            values: figures, which the JSON beside the page holds too.
            strip: [H,W,3] uint8.
            adaptation: figures of `fit.adaptation.Adaptation`, or None.
        """
        page = Report(title)
        section = page.section("Result")
        section.values(values)
        section.picture(strip, "held-out frames, and what the avatar makes of them")
        if adaptation is not None:
            section = page.section("The person's lips against the motion model's")
            section.values({key: value for key, value in adaptation.items() if not isinstance(value, dict)})
            before, after = adaptation.get("before", {}), adaptation.get("after", {})
            section.text("On blocks of the recording that were not learned from, without the post-net and with it:")
            section.values({key: f"{readable(before[key])}, {readable(after[key])}" for key in before})
        for name, label in (("rays/psnr", "PSNR of training rays [dB]"), ("rays/samples_per_ray", "samples per ray")):
            if name in self._curves:
                steps, curve = zip(*self._curves[name])
                section.plot(lambda axes, x=steps, y=curve: axes.plot(x, y), f"{label} against steps")
        page.save(path, values | ({} if adaptation is None else {"adaptation": adaptation}))
