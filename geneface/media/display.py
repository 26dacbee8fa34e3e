"""Decoded frames as they are meant to be seen: whole frames instead of fields, ordinary range instead of HDR.

Both conversions are FFmpeg's own filters, put in only for streams that need them.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

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


def _graph(frame: av.VideoFrame, steps: list[tuple[str, str]]) -> av.filter.Graph:
    """A chain of filters for frames like this one."""
    base = frame.time_base or Fraction(1, 1000)
    graph = av.filter.Graph()
    source = graph.add("buffer", f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
                                 f"time_base={base.numerator}/{base.denominator}:pixel_aspect=1/1:"
                                 f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}")
    for name, arguments in steps:
        node = graph.add(name, arguments)
        source.link_to(node)
        source = node
    source.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


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
    graph, shape = None, None
    for frame in frames:
        if interlaced is False or (graph is None and not interlaced and not frame.interlaced_frame):
            yield frame
            continue
        now = (frame.width, frame.height, frame.format.name)
        if now != shape:
            if graph is not None:
                graph.vpush(None)
                yield from _ready(graph)
            chosen = "all" if interlaced else "interlaced"
            graph, shape = _graph(frame, [("bwdif", f"mode=send_frame:parity=auto:deint={chosen}")]), now
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
        self._mapping: av.filter.Graph | None = None
        self._shape: tuple | None = None

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
        """[H,W,3] uint8, not yet turned: FFmpeg's perceptual tone mapping."""
        if int(frame.colorspace) == _UNSPECIFIED:
            frame.colorspace = _BT2020_MATRIX
        shape = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if shape != self._shape:
            self._mapping = _graph(frame, [
                ("scale", f"w={self.size[0]}:h={self.size[1]}:flags=lanczos:intent=perceptual:out_primaries=bt709:"
                          "out_transfer=bt709:out_color_matrix=bt709:out_range=pc"),
                ("format", "rgb24")])
            self._shape = shape
        self._mapping.vpush(frame)
        return self._mapping.vpull().to_ndarray()
