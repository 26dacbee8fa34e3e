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


def outline(sound: np.ndarray, rate: float) -> np.ndarray:
    """[n] float32 in [0,1]: the loudest sample of each of `rate` equal parts a second, the loudest of all being 1."""
    edges = np.round(np.arange(0, len(sound) * rate / RATE + 1) * RATE / rate).astype(int).clip(0, len(sound))
    loud = np.array([np.abs(sound[a:b]).max(initial=0) for a, b in zip(edges, edges[1:])], np.float32)
    return loud / max(float(loud.max(initial=0)), 1e-6)


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
