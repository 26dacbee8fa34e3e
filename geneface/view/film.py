"""A motion as a film: the drawn head beside its curves, the waveform and the words, with the sound."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from ..media import VideoWriter
from .chart import BACKGROUND, Chart
from .curves import Difference
from .draw import HeadPainter
from .sound import outline, read_sound
from .take import Take

WIDTH, HEIGHT = 960, 540
_HEAD, _HEADS = 390, 280  # width of the head's picture: of one, of each of two [px]
_OUTLINE = 100  # parts of the waveform a second


def write_film(path: Path, takes: tuple[Take, ...], audio: Path | None = None,
               difference: Difference | None = None) -> int:
    """Write the film; returns how many frames it has.

    Args:
        path: a name that `VideoWriter` takes.
        takes: one motion, or two of the same frame rate; the shorter one stays on its last frame.
        audio: the sound, as long as it lasts.
        difference: of two motions.

    Raises:
        UserError: the sound cannot be read, or the film cannot be written.
    """
    frames, fps = max(len(take) for take in takes), takes[0].motion.fps
    seconds = frames / fps
    wave = None if audio is None else outline(read_sound(audio, seconds), _OUTLINE)
    width = _HEAD if len(takes) == 1 else _HEADS
    painter = HeadPainter(width, HEIGHT, tuple(channel / 255 for channel in BACKGROUND))
    chart = Chart(takes, WIDTH - width * len(takes), HEIGHT, seconds, wave, _OUTLINE, difference)
    with VideoWriter(path, WIDTH, HEIGHT, fps, audio, preset="veryfast") as writer:
        for frame in range(frames):
            heads = []
            for take in takes:
                shown = min(frame, len(take) - 1)
                heads.append(painter.draw(take.vertices(shown), float(take.opening[shown])))
            writer.write(np.concatenate([*heads, chart.at(frame)], axis=1))
    return frames
