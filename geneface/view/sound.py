"""Sound for the viewer: as much of a file as the motion lasts, its outline, and packed for a page."""
from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np

from ..errors import UserError
from ..media import audio_blocks

RATE = 32000
_BIT_RATE = 64000


def read_sound(path: Path, seconds: float) -> np.ndarray:
    """[N] float32 in [-1,1] at `RATE`: at most the first `seconds` of a sound or video file.

    Raises:
        UserError: unreadable, or without sound.
    """
    wanted, have, blocks = max(1, round(seconds * RATE)), 0, []
    for block in audio_blocks(path, RATE, "mono"):
        blocks.append(block[0])
        have += block.shape[1]
        if have >= wanted:
            break
    if not have:
        raise UserError(f"{path}: its sound cannot be decoded or is empty; export it again, as wav or mp4")
    return np.clip(np.nan_to_num(np.concatenate(blocks)[:wanted]), -1, 1)


def outline(sound: np.ndarray, bins: int, seconds: float) -> np.ndarray:
    """[bins] float32 in [0,1]: loudest sample of each of `bins` equal parts of `seconds`, the loudest of all 1."""
    edges = np.minimum(np.round(np.linspace(0, seconds * RATE, bins + 1)).astype(int), len(sound))
    loud = np.array([np.abs(sound[a:b]).max() if b > a else 0.0 for a, b in zip(edges, edges[1:])], np.float32)
    return loud / max(float(loud.max()), 1e-6) if bins else loud


def packed(sound: np.ndarray) -> bytes:
    """AAC in an .m4a file, which every browser plays."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        stream.bit_rate = _BIT_RATE
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None], np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        for given in (frame, None):
            for packet in stream.encode(given):
                container.mux(packet)
    return buffer.getvalue()
