"""Video in: everything by time stamp, nothing by frame count, one frame at a time."""
from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from ..errors import UserError
from ..types import require
from .display import Display, bit_depth, dynamic_range, whole_frames

_INDEXED = ("mov,", "matroska,")  # containers that decoding can begin in the middle of
_FAR = 4.0  # less than this is not worth it [s]
_BEFORE = 1.0  # it begins so long before what is wanted: the first pictures may refer to what came before them [s]
_UNEVEN = 0.2  # an interval between frames that is this much off the usual one counts as uneven


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds.

    Attributes:
        path: the file.
        duration: length of the video (of the sound where there is no video) [s].
        width, height: picture as shown, after rotation and pixel aspect [px]; 0 without video.
        fps: average frame rate; 0 without video.
        rotation: counterclockwise turn applied on reading [degrees].
        start: time stamp of the first picture, the zero of every time we speak of [s].
        still: True for a picture file.
        audio_rate: [Hz]; 0 without sound.
        audio_channels: number of channels; 0 without sound.
        video_codec, audio_codec: names, "" where there is none.
        pixel_format: as FFmpeg names it.
        bits: of a colour component; 0 without video.
        dynamic_range: "PQ" or "HLG" for HDR video, else "".
        interlaced: the first picture says that it consists of two fields.
    """

    path: Path
    duration: float
    width: int
    height: int
    fps: float
    rotation: int
    start: float
    still: bool
    audio_rate: int
    audio_channels: int
    video_codec: str
    audio_codec: str
    pixel_format: str
    bits: int = 8
    dynamic_range: str = ""
    interlaced: bool = False

    @property
    def has_video(self) -> bool:
        return self.width > 0

    @property
    def has_audio(self) -> bool:
        return self.audio_rate > 0


@contextmanager
def opened(path: str | Path) -> Iterator[av.container.InputContainer]:
    """The file, open for reading; everything that can be wrong with it becomes a `UserError`."""
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a video or sound file in it")
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path}: is a link that leads nowhere; name the file itself")
        if not path.exists():
            raise UserError(f"{path}: no such file; check the name")
        if path.stat().st_size == 0:
            raise UserError(f"{path}: is empty (0 bytes); copy or record it again")
    except (OSError, ValueError) as error:  # a link that runs in circles, no right to look, a name with a NUL
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the path") from error
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: not a readable video or sound file ({error.strerror}); it may be damaged or cut "
                        "short: copy it again, or convert it to mp4") from error


def _video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first real video stream; cover art in sound files does not count."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    return None


def _packets(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """Packets of `stream`, up to where the file is cut short: what came before is good."""
    try:
        yield from container.demux(stream)
    except av.error.InvalidDataError:
        return


def decoded(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator:
    """Decoded frames of `stream`; damaged packets are passed over, as players do."""
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        yield from frames


def _display_size(stream: av.VideoStream, frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height with square pixels, before rotation. The longer direction is stretched, none is shrunk."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    width, height = frame.width, frame.height
    if not Fraction(1, 8) < aspect < 8:  # nonsense in the header
        return width, height
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _times(frames: Iterator[av.VideoFrame], rate: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with ever-growing time stamps [s]; a missing stamp is counted on, one that runs back is dropped."""
    last = None
    for frame in frames:
        time = frame.time
        if time is None:
            time = 0.0 if last is None else last + 1 / rate
        if last is not None and time <= last:
            continue
        last = time
        yield time, frame


def _pictures(container: av.container.InputContainer, stream: av.VideoStream, rate: float, interlaced: bool | None,
              start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Whole frames with their times [s]: the first of all, then those that are on screen from `start` [s] after it on;
    those between are passed over where the file can be entered in the middle."""
    def here() -> Iterator[tuple[float, av.VideoFrame]]:
        return _times(whole_frames(decoded(container, stream), interlaced), rate)

    frames = here()
    first = next(frames, None)
    if first is None:
        return
    yield first
    if start > _FAR and container.format.name.startswith(_INDEXED) and stream.time_base:
        entry = first[0] + start - _BEFORE
        container.seek(int(entry / stream.time_base), stream=stream)
        frames = here()
        found = next(frames, None)
        if found is not None and first[0] < found[0] <= entry:
            yield found
        else:  # it leads elsewhere: from the beginning, then
            container.seek(0)
            frames = (pair for pair in here() if pair[0] > first[0])
    yield from frames


def probe(path: str | Path) -> MediaInfo:
    """What `path` holds. The first picture is decoded, so a file that opens but cannot be shown is found out.

    Raises:
        UserError: missing, empty, a folder, or neither video nor sound that can be read.
    """
    path = Path(path)
    with opened(path) as container:
        video, audio = _video_stream(container), next(iter(container.streams.audio), None)
        if audio is not None and not (audio.codec_context.sample_rate and audio.codec_context.channels):
            audio = None
        if video is None and audio is None:
            raise UserError(f"{path}: holds neither video nor sound; give a video file")
        duration = (container.duration or 0) / av.time_base
        width = height = rotation = 0
        fps = start = 0.0
        frame = None
        if video is not None:
            fps = float(video.average_rate or video.guessed_rate or 25)
            first = next(_times(decoded(container, video), fps), None)
            if first is None:
                raise UserError(f"{path}: no picture of it can be decoded; it is damaged: copy or export it again")
            start, frame = first
            width, height = _display_size(video, frame)
            rotation = round(frame.rotation / 90) * 90 % 360
            if rotation % 180:
                width, height = height, width
            if video.duration:
                duration = float(video.duration * video.time_base)
        still = video is not None and (container.format.name.endswith("_pipe") or container.format.name == "image2")
        info = MediaInfo(
            path=path, duration=duration, width=width, height=height, fps=fps, rotation=rotation, start=start,
            still=still, audio_rate=audio.codec_context.sample_rate if audio else 0,
            audio_channels=audio.codec_context.channels if audio else 0,
            video_codec=video.codec_context.name if video else "",
            audio_codec=audio.codec_context.name if audio else "",
            pixel_format=str(video.codec_context.pix_fmt) if video else "",
            bits=bit_depth(frame) if frame else 0, dynamic_range=dynamic_range(frame) if frame else "",
            interlaced=bool(frame and frame.interlaced_frame),
        )
    if info.duration > 0 or still:
        return info
    return MediaInfo(**{**vars(info), "duration": _scan_duration(path)})


def _scan_duration(path: Path) -> float:
    """Length [s] from the packets' time stamps, for files that do not say (browser recordings)."""
    with opened(path) as container:
        stream = _video_stream(container) or container.streams.audio[0]
        stamps = [p.pts * p.time_base for p in _packets(container, stream) if p.pts is not None]
    return float(max(stamps) - min(stamps)) if stamps else 0.0


@dataclass(frozen=True)
class Timing:
    """How the pictures of a video follow each other.

    Attributes:
        frames: number of pictures.
        seconds: from the first to the end of the last [s].
        uneven: share of the intervals that are more than a fifth longer or shorter than the usual one.
        longest: longest interval [s].
        usual: median interval [s].
    """

    frames: int
    seconds: float
    uneven: float
    longest: float
    usual: float


def timing(path: str | Path) -> Timing:
    """Time stamps of all pictures, without decoding them.

    Raises:
        UserError: unreadable or without video.
    """
    with opened(path) as container:
        stream = _video_stream(container)
        if stream is None:
            raise UserError(f"{path}: holds no video, only sound; give a video file")
        stamps = [float((packet.dts if packet.pts is None else packet.pts) * packet.time_base)
                  for packet in _packets(container, stream) if packet.pts is not None or packet.dts is not None]
        rate = float(stream.average_rate or stream.guessed_rate or 25)
    intervals = np.diff(np.unique(stamps))
    if not len(intervals):
        return Timing(len(stamps), len(stamps) / rate, 0.0, 0.0, 1 / rate)
    usual = float(np.median(intervals))
    # Stamps in whole milliseconds are no unevenness.
    uneven = np.abs(intervals - usual) > np.maximum(_UNEVEN * usual, 0.0015)
    return Timing(len(intervals) + 1, float(max(stamps) - min(stamps)) + usual, float(uneven.mean()),
                  float(intervals.max()), usual)


def read_frames(path: str | Path, fps: float | None = 25.0, start: int = 0, stop: int | None = None,
                interlaced: bool | None = None) -> Iterator[np.ndarray]:
    """Pictures at a constant rate, upright, with square pixels and in ordinary colours, one at a time.

    Output frame t covers the time from t/fps to (t+1)/fps after the first picture, and is the source
    frame shown at the middle of that time: 25 fps in gives every frame once, 30 fps drops every sixth.

    Args:
        fps: output rate; None gives every source frame as it comes.
        start, stop: range of output frames to give; `stop` None means to the end.
        interlaced: True for a video of fields that does not say so, False to leave fields as they are; None
            does as the video says.

    Yields:
        [H,W,3] uint8 RGB.

    Raises:
        UserError: unreadable, or without video.
    """
    require(fps is None or fps > 0, f"fps must be positive, got {fps}")
    with opened(path) as container:
        stream = _video_stream(container)
        if stream is None:
            raise UserError(f"{path}: holds no video, only sound; give a video file")
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        display = None
        count = 0  # index of the next output frame
        origin, shown = 0.0, None  # `shown` is on screen until the next frame's time
        for time, frame in _pictures(container, stream, rate, interlaced, 0.0 if fps is None else start / fps):
            if shown is None:
                origin, display = time, Display(_display_size(stream, frame))
            elif fps is None:
                if count >= start:
                    yield display.picture(shown)
                count += 1
            else:
                picture = None
                while (count + 0.5) / fps < time - origin and (stop is None or count < stop):
                    if count >= start:
                        picture = display.picture(shown) if picture is None else picture.copy()
                        yield picture
                    count += 1
            shown, last = frame, time
            if stop is not None and count >= stop:
                return
        if shown is None:
            raise UserError(f"{path}: no picture of it can be decoded; it is damaged: copy or export it again")
        length = float(shown.duration * shown.time_base) if shown.duration and shown.time_base else 1 / rate
        until = count + 1 if fps is None else math.ceil((last + length - origin) * fps - 0.5)
        for index in range(count, until if stop is None else min(stop, until)):
            if index >= start:
                yield display.picture(shown)
