"""Interlaced and HDR video."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from geneface import media

SIZE = 64


def bar(moment: float) -> np.ndarray:
    """[64,64,3]: a white bar that moves to the right by 6 px a frame, on grey."""
    frame = np.full((SIZE, SIZE, 3), 60, np.uint8)
    at = int(4 + 6 * moment)
    frame[:, at:at + 10] = 230
    return frame


def fields(path: Path, count: int = 8, say: bool = True) -> Path:
    """25 frames/s of two fields each, the lower first; the stream says so or not."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "2", "x264-params": "bff=1"} if say else {"crf": "2"}
        for index in range(count):
            woven = bar(index + 0.5)
            woven[1::2] = bar(index)[1::2]
            frame = av.VideoFrame.from_ndarray(woven, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def combed(frame: np.ndarray) -> float:
    """How much neighbouring rows differ, beyond rows two apart [grey levels]."""
    rows = frame[..., 1].astype(float)
    return float(np.abs(rows[1:-1] - rows[2:]).mean() - np.abs(rows[:-2] - rows[2:]).mean())


def test_fields_become_whole_frames(tmp_path):
    source = fields(tmp_path / "a.mp4")
    assert media.probe(source).interlaced
    frames = list(media.read_frames(source, 25))
    raw = list(media.read_frames(source, 25, interlaced=False))
    assert len(frames) == len(raw) == 8
    assert min(combed(frame) for frame in raw) > 5
    assert max(combed(frame) for frame in frames[1:-1]) < 1
    at = [int(np.argmax(frame[20, :, 1] > 150)) for frame in frames]
    assert np.abs(np.array(at) - (4 + 6 * np.arange(8))).max() <= 1


def test_fields_that_are_not_declared(tmp_path):
    source = fields(tmp_path / "a.mp4", say=False)
    assert not media.probe(source).interlaced
    assert min(combed(frame) for frame in media.read_frames(source, 25)) > 5
    told = list(media.read_frames(source, 25, 2, 8, interlaced=True))
    assert len(told) == 6 and max(combed(frame) for frame in told) < 1


def hdr(path: Path, transfer: int, levels: np.ndarray) -> Path:
    """10-bit BT.2020 video of grey columns with these signal levels in 0..1."""
    columns = np.repeat(np.rint(levels * 65535), 16).astype(np.uint16)
    picture = np.repeat(np.tile(columns, (32, 1))[..., None], 3, -1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, picture.shape[1], "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        stream.options = {"crf": "4"}
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(picture, "rgb48le").reformat(format="yuv420p10le", dst_colorspace=9)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer,name,white", [(16, "PQ", 0.58), (18, "HLG", 0.75)])
def test_hdr_is_brought_into_the_ordinary_range(tmp_path, transfer, name, white):
    """`white` is the signal of diffuse white, ITU-R BT.2408 table 1."""
    levels = np.array([0.0, 0.2, 0.38, 0.5, white, 0.9])
    source = hdr(tmp_path / "a.mp4", transfer, levels)
    info = media.probe(source)
    assert info.dynamic_range == name and info.bits == 10
    frame = next(media.read_frames(source, 25)).astype(int)
    shown = frame[16, 8::16]
    assert np.ptp(shown, axis=-1).max() <= 4  # grey stays grey
    assert (np.diff(shown[:, 1]) > 0).all() and shown[0, 1] <= 30
    assert 140 <= shown[4, 1] <= 235  # white is bright, and highlights beyond it are kept apart


def test_readers_that_share_a_tone_mapping_do_not_mix_their_frames(tmp_path):
    dark, bright = (hdr(tmp_path / name, 18, np.full(6, level)) for name, level in (("a.mp4", 0.2), ("b.mp4", 0.6)))
    alone = [[frame.mean() for frame in media.read_frames(video, 25)] for video in (dark, bright)]
    together = [(a.mean(), b.mean()) for a, b in zip(media.read_frames(dark, 25), media.read_frames(bright, 25))]
    assert len(together) == 3 and [list(each) for each in zip(*together)] == alone
    assert together[0][1] > together[0][0] + 60
