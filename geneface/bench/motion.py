"""Speech to motion: features and generator of a recording, and a hop of the stream."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..config import MotionConfig
from ..errors import UserError
from ..motion.generate import generate_weights
from ..motion.predict import load_generator
from ..motion.stream import RELEASE, MotionStream
from ..progress import say
from ..speech.features import extract
from ..speech.framing import SAMPLE_RATE
from ..speech.melody import melody
from ..speech.stream import HOP_FRAMES, LATENCY
from .timing import Timing, measure

SECONDS = 12.0  # of the recording
_HOP = HOP_FRAMES / 50  # [s]


def time_motion(seconds: float, length: float = SECONDS) -> dict[str, Any] | None:
    """Time speech to motion on the CPU.

    Args:
        seconds: for each figure [s].
        length: of the recording [s].

    Returns:
        features, generator and speak (both together) of a recording, and stream_hop (160 ms of sound, features and
        generic motion): {ms, ms_p50, real_time_factor} each, the factor being seconds of sound per second; and
        stream_latency_ms from a hop's beginning to its motion: the sound waited for, the lips' lead, the work. None
        where the speech encoder cannot be had.
    """
    audio = _babble(length)
    try:
        features = extract(audio)
    except UserError as error:
        say(f"speech to motion is not timed: {error}")
        return None
    generator, tune = load_generator(), melody(features)
    heard = measure(lambda: extract(audio), seconds, 2)
    generated = measure(lambda: generate_weights(generator, features.content, tune), seconds)
    figures = {"features": _figures(heard, length), "generator": _figures(generated, length),
               "speak": _figures(Timing(heard.best + generated.best, heard.median + generated.median, 1), length)}
    if not Path(RELEASE).is_file():
        return figures | {"stream_hop": None, "stream_latency_ms": None}
    stream, hop = MotionStream(), audio[:round(_HOP * SAMPLE_RATE)]
    stream.push(audio[:4 * SAMPLE_RATE])  # until all that it looks back on is there
    hops = measure(lambda: stream.push(hop), 2 * seconds)
    latency = LATENCY + MotionConfig.lead + hops.median
    return figures | {"stream_hop": _figures(hops, _HOP), "stream_latency_ms": 1e3 * latency}


def _figures(timing: Timing, length: float) -> dict[str, float]:
    return {"ms": 1e3 * timing.best, "ms_p50": 1e3 * timing.median, "real_time_factor": length / timing.median}


def _babble(length: float) -> np.ndarray:
    """[N] a buzz of changing pitch in syllables and pauses, in faint noise: voiced and unvoiced as speech is."""
    random = np.random.default_rng(0)
    time = np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(120 + 20 * np.sin(3 * time)) / SAMPLE_RATE))
    loud = np.maximum(0, np.sin(2 * np.pi * 2.5 * time)) * (np.sin(2 * np.pi * 0.2 * time) > -0.8)
    return (0.2 * buzz * loud + 0.005 * random.standard_normal(len(time))).astype(np.float32)
