"""Video and sound in and out: timing, geometry, colour, hostile files."""
from __future__ import annotations

import errno
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from geneface import media
from geneface.errors import UserError


def picture(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """[H,W,3]: grey level tells the frame, a red left top quarter tells the orientation."""
    frame = np.full((height, width, 3), 8 * index % 250, np.uint8)
    frame[: height // 2, : width // 2] = (200, 30, 30)
    return frame


def index_of(frame: np.ndarray) -> int:
    """The `index` that `picture` was given."""
    return round(float(frame[-8:, -8:].mean()) / 8)


def encode(path: Path, frames, times, size=(64, 48), pixel_format="yuv420p", codec="libx264", audio=None,
           audio_rate=44100, layout="stereo", audio_start=0.0, aspect=None, rate=30) -> Path:
    """A video with frames at arbitrary times [s], and optionally sound [channels,N] that starts late."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "4"}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        sound = container.add_stream("aac", rate=audio_rate, layout=layout) if audio is not None else None
        for frame, time in zip(frames, times):
            out = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format=pixel_format)
            out.pts, out.time_base, out.duration = int(time * 1000 + 0.5), Fraction(1, 1000), round(1000 / rate)
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.T, np.float32).reshape(1, -1), "flt", layout)
            block.sample_rate, block.time_base = audio_rate, Fraction(1, audio_rate)
            block.pts = round(audio_start * audio_rate)
            container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    return path


def tone(seconds: float, rate: int, channels: int = 1, hertz: float = 440) -> np.ndarray:
    wave = 0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def test_round_trip_keeps_frames_colours_and_sound(tmp_path):
    audio = tone(1.0, 16000)[0]
    frames = [picture(i) for i in range(25)]
    with media.VideoWriter(tmp_path / "a.mp4", 64, 48, 25, audio, quality=4) as writer:
        for frame in frames:
            writer.write(frame)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    info = media.probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.fps, info.audio_rate) == (64, 48, 25, 16000)
    assert info.duration == pytest.approx(1.0, abs=0.02)
    back = list(media.read_frames(tmp_path / "a.mp4", 25))
    assert len(back) == 25
    for frame, expected in zip(back, frames):
        assert np.abs(frame[4:20, 4:28].astype(int) - expected[4:20, 4:28]).max() <= 6
        assert np.abs(frame[28:, 36:].astype(int) - expected[28:, 36:]).max() <= 6
    sound = media.read_audio(tmp_path / "a.mp4")
    assert len(sound) == pytest.approx(16000, abs=1100)
    assert np.corrcoef(sound[2000:14000], audio[2000:14000])[0, 1] > 0.99
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert "Synthetic media" in container.metadata["comment"]


def test_moov_is_at_the_front(tmp_path):
    with media.VideoWriter(tmp_path / "a.mp4", 64, 48) as writer:
        writer.write(picture(0))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_sound_from_file_keeps_its_channels_and_ends_with_the_video(tmp_path):
    source = encode(tmp_path / "in.mp4", [picture(0)] * 60, np.arange(60) / 30, audio=tone(2, 44100, 2))
    with media.VideoWriter(tmp_path / "out.mp4", 64, 48, 25, source) as writer:
        for index in range(25):
            writer.write(picture(index))
    info = media.probe(tmp_path / "out.mp4")
    assert (info.audio_rate, info.audio_channels) == (48000, 2)
    assert len(media.read_audio(tmp_path / "out.mp4")) == pytest.approx(16000, abs=800)


def test_sound_of_a_part_begins_there(tmp_path):
    time = np.arange(3 * 16000) / 16000
    media.write_wav(tmp_path / "rising.wav", (0.3 * np.sin(2 * np.pi * 200 * time) * (time >= 1.5)).astype(np.float32))
    part = media.SoundPart(tmp_path / "rising.wav", 1.2)
    with media.VideoWriter(tmp_path / "a.mp4", 32, 32, 25, part) as writer:
        for _ in range(25):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    sound = np.abs(media.read_audio(tmp_path / "a.mp4"))
    assert len(sound) == pytest.approx(16000, abs=1100)
    assert sound[:4000].max() < 0.02 and sound[5600:14000].max() > 0.25
    beyond = media.SoundPart(tmp_path / "rising.wav", 9.0)
    with media.VideoWriter(tmp_path / "b.mp4", 32, 32, 25, beyond) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert not media.probe(tmp_path / "b.mp4").has_audio


@pytest.mark.parametrize("rate", [5, 12, 30, 50, 60, 120])
def test_any_rate_becomes_25_fps_on_the_clock(tmp_path, rate):
    times = np.arange(rate) / rate
    levels = [picture(round(t * 25)) for t in times]  # the grey level is the time
    source = encode(tmp_path / "in.mp4", levels, times, rate=rate)
    back = list(media.read_frames(source, 25))
    assert len(back) == pytest.approx(25, abs=1)
    shown = np.searchsorted(np.round(times, 3), (np.arange(len(back)) + 0.5) / 25 + 1e-6, side="right") - 1
    assert [index_of(frame) for frame in back] == [round(times[i] * 25) for i in shown]


def test_variable_rate_stays_in_time(tmp_path):
    rng = np.random.default_rng(0)
    times = np.concatenate([[0], np.cumsum(rng.uniform(0.01, 0.09, 40))]).round(3)
    source = encode(tmp_path / "in.mp4", [picture(i % 30) for i in range(41)], times)
    back = list(media.read_frames(source, 25))
    for t, frame in enumerate(back[:-3]):
        assert index_of(frame) == (np.searchsorted(times, (t + 0.5) / 25 + 1e-6, side="right") - 1) % 30


def test_timing_of_even_and_uneven_video(tmp_path):
    even = media.timing(encode(tmp_path / "a.mp4", [picture(0)] * 60, np.arange(60) / 30))
    assert (even.frames, even.uneven) == (60, 0) and even.seconds == pytest.approx(2.0, abs=0.01)
    times = np.cumsum([0, *[0.02, 0.06] * 20, 0.7])
    uneven = media.timing(encode(tmp_path / "b.mp4", [picture(i % 30) for i in range(42)], times))
    assert uneven.frames == 42 and uneven.uneven > 0.4 and uneven.longest == pytest.approx(0.7, abs=0.01)


def test_timing_of_a_single_picture(tmp_path):
    one = media.timing(encode(tmp_path / "a.mp4", [picture(0)], [0]))
    assert (one.frames, one.uneven, one.longest) == (1, 0, 0)


def test_range_of_frames(tmp_path):
    source = encode(tmp_path / "in.mp4", [picture(i) for i in range(25)], np.arange(25) / 25)
    assert [index_of(f) for f in media.read_frames(source, 25, 5, 9)] == [5, 6, 7, 8]
    assert [index_of(f) for f in media.read_frames(source, None, 3, 5)] == [3, 4]
    assert [index_of(f) for f in media.read_frames(source, 25, 23)] == [23, 24]
    assert list(media.read_frames(source, 25, 4, 4)) == []


def test_pictures_in_any_order_are_those_read_in_order(tmp_path):
    """Entered in the middle, backwards in blocks, with frames that refer to later ones."""
    times = np.arange(600) / 50
    with media.VideoWriter(tmp_path / "in.mp4", 32, 24, 50, quality=4, preset="medium") as writer:
        for index in range(len(times)):
            writer.write(np.full((24, 32, 3), (index * 7) % 200 + 20, np.uint8))
    order = list(media.read_frames(tmp_path / "in.mp4", 25))
    assert len(order) == 300
    numbers = [*range(250, 300), *range(298, 40, -1), 41, 42, 42, 290, 3, 2, 1, 0, 1, 8, 9, 60, 299]
    got = list(media.frames_at(tmp_path / "in.mp4", 25, numbers))
    assert len(got) == len(numbers)
    assert all(np.array_equal(picture, order[number]) for picture, number in zip(got, numbers))
    with pytest.raises(UserError, match="no frame 300"):
        list(media.frames_at(tmp_path / "in.mp4", 25, [299, 300]))


def test_footage_is_entered_in_the_middle(footage):
    """30 frames per second, pictures that refer to later ones, key frames far apart."""
    video = footage / "identities" / "french.mp4"
    order = list(media.read_frames(video, 25, 0, 136))
    assert all(np.array_equal(a, b) for a, b in zip(media.read_frames(video, 25, 131, 136), order[131:]))
    backwards = range(135, 125, -1)
    assert all(np.array_equal(p, order[n]) for n, p in zip(backwards, media.frames_at(video, 25, backwards)))


def test_single_frame_video(tmp_path):
    source = encode(tmp_path / "in.mp4", [picture(3)], [0])
    assert [index_of(f) for f in media.read_frames(source, 30)] == [3]
    assert len(list(media.read_frames(source, None))) == 1


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_flag_is_obeyed(tmp_path, degrees):
    source = encode(tmp_path / "in.mp4", [picture(5)] * 5, np.arange(5) / 25)
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data = bytearray(source.read_bytes())
    matrix = data.find(b"tkhd") + 4 + 40  # version 0: 40 bytes before the display matrix
    data[matrix:matrix + 20] = struct.pack(">5i", cos << 16, sin << 16, 0, -sin << 16, cos << 16)
    source.write_bytes(data)
    info = media.probe(source)
    frame = next(media.read_frames(source, 25))
    expected = np.rot90(picture(5), -degrees // 90)  # the matrix turns clockwise
    assert frame.shape == expected.shape == (info.height, info.width, 3)
    assert np.abs(frame.astype(int) - expected).mean() < 12


def test_pixels_that_are_not_square(tmp_path):
    source = encode(tmp_path / "in.mp4", [picture(5)] * 3, np.arange(3) / 25, aspect=Fraction(3, 2))
    assert (media.probe(source).width, media.probe(source).height) == (96, 48)
    assert next(media.read_frames(source, 25)).shape == (48, 96, 3)


def test_ten_bit_video(tmp_path):
    source = encode(tmp_path / "in.mp4", [picture(9)] * 3, np.arange(3) / 25, pixel_format="yuv420p10le")
    assert media.probe(source).pixel_format == "yuv420p10le"
    frame = next(media.read_frames(source, 25))
    assert frame.dtype == np.uint8 and abs(int(frame[-4, -4, 0]) - 72) <= 4


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (65, 2)])
def test_odd_sizes_are_padded(tmp_path, size):
    with media.VideoWriter(tmp_path / "a.mp4", *size) as writer:
        for index in range(3):
            writer.write(np.full((size[1], size[0], 3), 100, np.uint8))
    info = media.probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


@pytest.mark.parametrize("start", [0.0, 0.4])
def test_late_sound_is_laid_on_the_video_clock(tmp_path, start):
    click = np.zeros((1, 44100), np.float32)
    click[0, 22050:22550] = 0.9  # 0.5 s into the sound
    source = encode(tmp_path / "in.mov", [picture(0)] * 50, np.arange(50) / 25, audio=click, layout="mono",
                    audio_start=start)
    audio = media.read_audio(source)
    onset = int(np.argmax(np.abs(audio) > 0.3)) / 16000
    assert onset == pytest.approx(0.5 + start, abs=0.01)


@pytest.mark.parametrize("rate,layout,channels", [(8000, "mono", 1), (22050, "stereo", 2), (48000, "7.1", 8)])
def test_any_sound_becomes_mono_at_16_khz(tmp_path, rate, layout, channels):
    source = encode(tmp_path / "in.mp4", [picture(0)] * 30, np.arange(30) / 30, audio=tone(1, rate, channels),
                    audio_rate=rate, layout=layout)
    audio = media.read_audio(source)
    assert audio.ndim == 1 and audio.dtype == np.float32
    assert len(audio) == pytest.approx(16000, abs=2400)
    spectrum = np.abs(np.fft.rfft(audio[2000:14000]))
    assert np.argmax(spectrum) * 16000 / 12000 == pytest.approx(440, abs=3)


def test_wav_round_trip(tmp_path):
    audio = tone(0.5, 16000)[0]
    media.write_wav(tmp_path / "a.wav", audio)
    assert np.abs(media.read_audio(tmp_path / "a.wav") - audio).max() < 1e-4
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_missing_parts_are_named(tmp_path):
    media.write_wav(tmp_path / "a.wav", tone(0.5, 16000)[0])
    with pytest.raises(UserError, match="no video"):
        next(media.read_frames(tmp_path / "a.wav"))
    silent = encode(tmp_path / "v.mp4", [picture(0)], [0])
    with pytest.raises(UserError, match="has no sound"):
        media.read_audio(silent)


def hostile(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "in.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "text":
        path.write_text("this is not a video\n" * 50)
    elif kind == "truncated":
        encode(path, [picture(0)] * 20, np.arange(20) / 25)
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    return path


@pytest.mark.parametrize("kind", ["empty", "noise", "text", "truncated", "folder", "loop", "missing"])
def test_hostile_files_end_in_one_line(tmp_path, kind):
    path = hostile(tmp_path, kind)
    for read in (media.probe, lambda p: list(media.read_frames(p)), media.read_audio):
        with pytest.raises(UserError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_names_with_spaces_quotes_and_colons(tmp_path):
    path = tmp_path / "it's a \"name\" 100%: %03d.mp4"
    with media.VideoWriter(path, 32, 32) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert media.probe(path).width == 32 and len(list(media.read_frames(path))) == 1


def test_picture_file_is_a_still(tmp_path):
    from PIL import Image

    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    assert media.probe(tmp_path / "a.png").still


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        with media.VideoWriter(tmp_path / "a.mp4", 64, 48) as writer:
            writer.write(picture(0))
            raise RuntimeError
    with pytest.raises(ValueError, match="no frame"):
        with media.VideoWriter(tmp_path / "b.mp4", 64, 48):
            pass
    with pytest.raises(ValueError, match="frame: expected"):
        with media.VideoWriter(tmp_path / "c.mp4", 64, 48) as writer:
            writer.write(picture(0)[:10])
    with pytest.raises(UserError, match="no such file"):
        media.VideoWriter(tmp_path / "d.mp4", 64, 48, audio=tmp_path / "none.wav")
    with pytest.raises(UserError, match="written as"):
        media.VideoWriter(tmp_path / "d.avi", 64, 48)
    assert list(tmp_path.iterdir()) == []


def test_disk_full_is_the_users_to_mend(tmp_path):
    """A limit on the size of files stands for a disk that fills: writes fail half-way in the same place."""
    resource = pytest.importorskip("resource")
    import signal

    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = np.random.default_rng(0)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        with pytest.raises(UserError, match="no room left"):
            with media.VideoWriter(tmp_path / "a.mp4", 128, 128) as writer:
                for _ in range(40):
                    writer.write(rng.integers(0, 256, (128, 128, 3), np.uint8))
        with pytest.raises(UserError, match="no room left"):
            media.write_wav(tmp_path / "a.wav", rng.uniform(-1, 1, 60_000).astype(np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_disk_full_is_recognised():
    assert media.is_disk_full(OSError(errno.ENOSPC, "full")) and not media.is_disk_full(OSError(errno.ENOENT, "no"))


def test_footage_is_read_whole(footage):
    """30 fps becomes 25 without drift, and sound is as long as the picture."""
    clip = footage / "identities" / "french.mp4"
    info = media.probe(clip)
    assert info.fps == pytest.approx(30, abs=0.01)
    frames = sum(1 for _ in media.read_frames(clip, 25))
    assert frames / 25 == pytest.approx(info.duration, abs=0.05)
    assert len(media.read_audio(clip)) / 16000 == pytest.approx(info.duration, abs=0.15)
