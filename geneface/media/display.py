"""Decoded frames as they are meant to be seen: whole frames instead of fields, ordinary range instead of HDR.

Both conversions are FFmpeg's own filters, put in only for streams that need them.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from threading import Lock

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation

# FFmpeg leaves colours untagged in much consumer video; players then take HD for BT.709, less for BT.601.
_HD_HEIGHT = 720
# Numbers of ITU-T H.273, as FFmpeg uses them.
_UNSPECIFIED = 2
_BT2020_PRIMARIES = 9
_BT2020_MATRIX = 9
_TRANSFERS = {16: "PQ", 18: "HLG"}


def dynamic_range(frame: av.VideoFrame) -> str:
    """"PQ" or "HLG" for high dynamic range (ITU-R BT.2100), "" for the ordinary one."""
    return _TRANSFERS.get(int(frame.color_trc), "")


def bit_depth(frame: av.VideoFrame) -> int:
    """Bits of a colour component."""
    return max((component.bits for component in frame.format.components), default=8)


@dataclass(frozen=True)
class _Kind:
    """What frames that one chain of filters can take have in common."""

    width: int
    height: int
    format: str
    colorspace: int
    range: int
    transfer: int
    primaries: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "_Kind":
        return cls(frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range),
                   int(frame.color_trc), int(frame.color_primaries))


def _graph(kind: _Kind, time_base: Fraction, steps: list[tuple[str, str]]) -> av.filter.Graph:
    """A chain of filters."""
    graph = av.filter.Graph()
    source = graph.add("buffer", f"video_size={kind.width}x{kind.height}:pix_fmt={kind.format}:"
                                 f"time_base={time_base.numerator}/{time_base.denominator}:pixel_aspect=1/1:"
                                 f"colorspace={kind.colorspace}:range={kind.range}")
    for name, arguments in steps:
        node = graph.add(name, arguments)
        source.link_to(node)
        source = node
    source.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


@lru_cache(maxsize=2)
def _tone_mapping(kind: _Kind, width: int, height: int) -> tuple[av.filter.Graph, Lock]:
    """FFmpeg's perceptual mapping into BT.709, and who may use it: its table takes five seconds to make, so all
    readers of like videos share it."""
    return _graph(kind, Fraction(1, 1000), [
        ("scale", f"w={width}:h={height}:flags=lanczos:intent=perceptual:out_primaries=bt709:"
                  "out_transfer=bt709:out_color_matrix=bt709:out_range=pc"),
        ("format", "rgb24")]), Lock()


def _ready(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """Frames that have come out of the chain."""
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def whole_frames(frames: Iterable[av.VideoFrame], interlaced: bool | None = None) -> Iterator[av.VideoFrame]:
    """Frames with the two fields of interlaced ones made into one moment (FFmpeg's bwdif).

    Args:
        frames: decoded frames, in order.
        interlaced: True treats all as interlaced, False none; None does as each frame says of itself, which
            recorders sometimes forget.
    """
    graph, kind = None, None
    for frame in frames:
        if interlaced is False or (graph is None and not interlaced and not frame.interlaced_frame):
            yield frame
            continue
        now = _Kind.of(frame)
        if now != kind:
            if graph is not None:
                graph.vpush(None)
                yield from _ready(graph)
            chosen = "all" if interlaced else "interlaced"
            graph = _graph(now, frame.time_base or Fraction(1, 1000),
                           [("bwdif", f"mode=send_frame:parity=auto:deint={chosen}")])
            kind = now
        graph.vpush(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _ready(graph)


class Display:
    """Frames of one stream to RGB pictures.

    Args:
        size: width and height with square pixels, before rotation [px].
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def picture(self, frame: av.VideoFrame) -> np.ndarray:
        """[H,W,3] uint8 RGB, upright, square pixels; HDR and wide colours brought into BT.709."""
        if dynamic_range(frame) or int(frame.color_primaries) == _BT2020_PRIMARIES:
            picture = self._mapped(frame)
        else:
            source = frame.colorspace
            if source == _UNSPECIFIED:
                source = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
            picture = frame.reformat(width=self.size[0], height=self.size[1], format="rgb24", src_colorspace=source,
                                     interpolation=Interpolation.LANCZOS).to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))

    def _mapped(self, frame: av.VideoFrame) -> np.ndarray:
        """[H,W,3] uint8, not yet turned."""
        if int(frame.colorspace) == _UNSPECIFIED:
            frame.colorspace = _BT2020_MATRIX
        graph, free = _tone_mapping(_Kind.of(frame), *self.size)
        with free:
            graph.vpush(frame)
            return graph.vpull().to_ndarray()
