"""Whatever is given: a result, or one clear line, exit status 2, and nothing left behind."""
from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from geneface import media
from geneface.cli.main import run

ROOT = Path(__file__).parents[2]
SECONDS = 2.6


@pytest.fixture(scope="module")
def talker(footage) -> list[np.ndarray]:
    """2.6 s of a real person at 25 fps and 160 px."""
    source = media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25, 0, 65)
    return [cv2.resize(frame, (160, 160), interpolation=cv2.INTER_AREA) for frame in source]


@pytest.fixture(scope="module")
def voice(footage) -> np.ndarray:
    """[N] float32 at 16 kHz of the same."""
    return media.read_audio(footage / "identities" / "speaker_d_5s.mp4")[:int(SECONDS * 16000)]


def encode(path: Path, frames, times=None, rate=25, sound=None, sound_rate=16000, layout="mono", codec="libx264",
           pixel_format="yuv420p", options=None, colours=None, container=None) -> Path:
    """A video of frames [H,W,3] at arbitrary times [s], with sound [N] repeated on all channels."""
    frames = list(frames)
    times = np.arange(len(frames)) / rate if times is None else times
    with av.open(f"file:{path}", "w", format=container) as out:
        video = out.add_stream(codec, rate=rate)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], pixel_format
        video.codec_context.time_base = Fraction(1, 1200)
        video.options = {"preset": "ultrafast", "crf": "18", **(options or {})}
        if colours:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = colours
        audio = None if sound is None else out.add_stream("aac", rate=sound_rate, layout=layout)
        for frame, time in zip(frames, times):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24").reformat(format=pixel_format)
            picture.pts, picture.time_base, picture.duration = round(time * 1200), Fraction(1, 1200), 1200 // rate
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if audio is not None:
            channels = av.AudioLayout(layout).nb_channels
            block = np.ascontiguousarray(np.repeat(sound[:, None], channels, 1), np.float32).reshape(1, -1)
            samples = av.AudioFrame.from_ndarray(block, "flt", layout)
            samples.sample_rate, samples.time_base, samples.pts = sound_rate, Fraction(1, sound_rate), 0
            out.mux(audio.encode(samples))
            out.mux(audio.encode(None))
    return path


def refused(video: Path, out: Path, capsys, words: str, *options: str) -> None:
    """Exit status 2, one line that names the fault, nothing written."""
    before = sorted(out.parent.rglob("*")) if out.parent.is_dir() else None
    capsys.readouterr()
    status = run(["prepare", str(video), "-o", str(out), "--set", "size=128", "--set", "plate_samples=10", *options])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("geneface prepare:")]
    assert status == 2 and len(said) == 1 and words in said[0], said
    after = sorted(out.parent.rglob("*")) if out.parent.is_dir() else None
    assert after == before


def checked(video: Path, capsys) -> dict:
    """The verdicts, by check."""
    capsys.readouterr()
    assert run(["prepare", str(video), "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    return {row["check"]: row for row in found["checks"]}


def warnings(found: dict) -> set[str]:
    """What is warned of, but for the shortness and smallness that all these clips share."""
    return {name for name, row in found.items() if row["verdict"] != "ok"} - {"length", "resolution", "picture size"}


def scenery(count: int, size=(128, 128)) -> list[np.ndarray]:
    base = np.kron(np.random.default_rng(0).uniform(0, 255, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    return [cv2.resize(np.roll(base, 2 * t, axis=1), size) for t in range(count)]


# Files that are none, or not what they seem

def no_file(folder: Path) -> Path:
    return folder / "nothing.mp4"


def zero_bytes(folder: Path) -> Path:
    (folder / "a.mp4").touch()
    return folder / "a.mp4"


def noise(folder: Path) -> Path:
    (folder / "a.mp4").write_bytes(np.random.default_rng(0).bytes(20000))
    return folder / "a.mp4"


def text(folder: Path) -> Path:
    (folder / "a.mp4").write_text("no video\n" * 99)
    return folder / "a.mp4"


def page(folder: Path) -> Path:
    (folder / "a.mp4").write_text("<!DOCTYPE html><html><body>404</body></html>")
    return folder / "a.mp4"


def directory(folder: Path) -> Path:
    (folder / "a.mp4").mkdir()
    return folder / "a.mp4"


def link_loop(folder: Path) -> Path:
    (folder / "a.mp4").symlink_to(folder / "b.mp4")
    (folder / "b.mp4").symlink_to(folder / "a.mp4")
    return folder / "a.mp4"


def dangling_link(folder: Path) -> Path:
    (folder / "a.mp4").symlink_to(folder / "gone.mp4")
    return folder / "a.mp4"


def without_index(folder: Path) -> Path:
    """An mp4 cut short before the index at its end."""
    whole = encode(folder / "a.mp4", scenery(60))
    whole.write_bytes(whole.read_bytes()[:2000])
    return whole


def sound_only(folder: Path) -> Path:
    media.write_wav(folder / "a.wav", np.random.default_rng(0).uniform(-0.3, 0.3, 64000).astype(np.float32))
    return folder / "a.wav"


def picture(folder: Path) -> Path:
    cv2.imwrite(str(folder / "a.jpg"), scenery(1)[0])
    return folder / "a.jpg"


def one_frame(folder: Path) -> Path:
    return encode(folder / "a.mp4", scenery(1))


def twelve_pixels(folder: Path) -> Path:
    return encode(folder / "a.mp4", scenery(75, (12, 12)))


def no_face(folder: Path) -> Path:
    return encode(folder / "a.mp4", scenery(75))


def frozen(folder: Path) -> Path:
    return encode(folder / "a.mp4", scenery(1) * 75)


def black(folder: Path) -> Path:
    return encode(folder / "a.mp4", [np.zeros((128, 128, 3), np.uint8)] * 75)


def five_a_second(folder: Path) -> Path:
    return encode(folder / "a.mp4", scenery(20), rate=5)


@pytest.mark.parametrize("make,words", [
    (no_file, "no such file"), (zero_bytes, "is empty"), (noise, "not a readable video"),
    (text, "not a readable video"), (page, "not a readable video"), (directory, "is a folder"), (link_loop, "leads nowhere"),
    (dangling_link, "leads nowhere"), (without_index, "not a readable video"), (sound_only, "only sound"),
    (picture, "still picture"), (one_frame, "at least 2.5 s"), (twelve_pixels, "too small"), (no_face, "no face"),
    (frozen, "no face"), (black, "no face"), (five_a_second, "5 pictures a second"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_refused(make, words, tmp_path, capsys):
    refused(make(tmp_path), tmp_path / "new" / "person", capsys, words)


def test_face_for_three_frames(tmp_path, talker, capsys):
    frames = scenery(72, (160, 160))
    frames[20:23] = talker[:3]
    refused(encode(tmp_path / "a.mp4", frames), tmp_path / "person", capsys, "face")


def test_still_portrait(tmp_path, talker, capsys):
    refused(encode(tmp_path / "a.mp4", talker[:1] * 70), tmp_path / "person", capsys, "nothing moves")


def test_two_people(tmp_path, talker, capsys):
    frames = [np.concatenate([frame, frame[:, ::-1]], 1) for frame in talker]
    refused(encode(tmp_path / "a.mp4", frames), tmp_path / "person", capsys, "two faces")


def test_strict(tmp_path, talker, capsys):
    refused(encode(tmp_path / "a.mp4", talker), tmp_path / "person", capsys, "length: 2.6 s", "--strict")


def test_a_good_clip_and_a_bad_one(tmp_path, talker, capsys):
    """The line says which; nothing is done before."""
    good, bad = encode(tmp_path / "good.mp4", talker), encode(tmp_path / "bad.mp4", scenery(20))
    refused(good, tmp_path / "person", capsys, f"{bad}: the video is 0.8 s long", str(bad))
    refused(good, tmp_path / "person", capsys, "holds the same as", str(good))


# Places that cannot be written to

def test_output_is_in_use(tmp_path, talker, capsys):
    video = encode(tmp_path / "a.mp4", talker)
    (tmp_path / "file").write_text("mine")
    refused(video, tmp_path / "file", capsys, "is a file")
    refused(video, tmp_path / "file" / "person", capsys, "is a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    refused(video, tmp_path / "folder", capsys, "not empty")
    refused(video, video, capsys, "is a file")


def test_read_only_output(tmp_path, talker, capsys, monkeypatch):
    video = encode(tmp_path / "a.mp4", talker)
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
    else:  # the superuser may write anywhere: let the system call say what it says to others
        real = os.mkdir

        def mkdir(path, *args, **kwargs):
            if "locked" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            real(path, *args, **kwargs)

        monkeypatch.setattr(os, "mkdir", mkdir)
    refused(video, tmp_path / "locked" / "person", capsys, "may not be written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_disk_full_in_the_middle(tmp_path, talker, capsys, monkeypatch):
    """The third frame cannot be written: a real ENOSPC from the system."""
    video = encode(tmp_path / "a.mp4", talker)
    real = Path.write_bytes

    def write(path, data):
        return real(Path("/dev/full") if path.name == "000002.jpg" else path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    refused(video, tmp_path / "person", capsys, "no room left")


# Unusual but usable

def test_cut_short_with_its_index_in_front(tmp_path, talker, voice, capsys):
    video = encode(tmp_path / "a.mp4", talker * 2, sound=voice, options={"g": "10"}, container="mp4")
    with av.open(str(video)) as source, av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[:int(0.7 * len(whole))])
    assert "whole file" in warnings(checked(tmp_path / "b.mp4", capsys))


def test_portrait_flag(tmp_path, talker, voice, capsys):
    turned = [np.rot90(frame, 1) for frame in talker]
    video = encode(tmp_path / "a.mp4", turned, sound=voice)
    data = bytearray(video.read_bytes())
    matrix = data.find(b"tkhd") + 4 + 40
    data[matrix:matrix + 20] = struct.pack(">5i", 0, 1 << 16, 0, -1 << 16, 0)
    video.write_bytes(data)
    assert media.probe(video).rotation and not warnings(checked(video, capsys))


def test_variable_frame_rate(tmp_path, talker, voice, capsys):
    times = np.arange(65) / 25 + np.random.default_rng(0).uniform(-0.015, 0.015, 65)
    video = encode(tmp_path / "a.mp4", talker, np.maximum(times, 0), sound=voice)
    assert warnings(checked(video, capsys)) == {"even timing"}


def test_hundred_and_twenty_a_second(tmp_path, talker, capsys):
    video = encode(tmp_path / "a.mp4", [frame for frame in talker for _ in range(5)][:318], rate=120)
    found = checked(video, capsys)
    assert found["frame rate"]["number"] == pytest.approx(120, abs=1) and "frame rate" not in warnings(found)


def test_ten_a_second(tmp_path, talker, voice, capsys):
    found = checked(encode(tmp_path / "a.mp4", talker[::3] + talker[:5], rate=10, sound=voice), capsys)
    assert "frame rate" in warnings(found)


def test_telephone_sound(tmp_path, talker, voice, capsys):
    import soxr

    video = encode(tmp_path / "a.mkv", talker, sound=soxr.resample(voice, 16000, 8000), sound_rate=8000)
    assert warnings(checked(video, capsys)) == {"sound band"}


def test_surround_sound(tmp_path, talker, voice, capsys):
    import soxr

    video = encode(tmp_path / "a.mp4", talker, sound=soxr.resample(voice, 16000, 48000), sound_rate=48000, layout="7.1")
    assert media.probe(video).audio_channels == 8 and not warnings(checked(video, capsys)) - {"clipping"}


def test_wide_strip(tmp_path, talker, voice, capsys):
    strip = np.full((300, 4000, 3), 90, np.uint8)
    frames = []
    for frame in talker:
        strip[70:230, 3100:3260] = frame
        frames.append(strip.copy())
    found = checked(encode(tmp_path / "a.mp4", frames, sound=voice), capsys)
    assert found["face found"]["verdict"] == "ok" and found["resolution"]["number"] < 90


def test_interlaced_and_ten_bit(tmp_path, talker, voice, capsys):
    woven = [a.copy() for a in talker]
    for frame, following in zip(woven, talker[1:]):
        frame[1::2] = following[1::2]
    video = encode(tmp_path / "a.mkv", woven, sound=voice, pixel_format="yuv420p10le", options={"x264-params": "bff=1"})
    assert media.probe(video).bits == 10 and warnings(checked(video, capsys)) == {"interlacing"}


def test_high_dynamic_range(tmp_path, talker, voice, capsys):
    video = encode(tmp_path / "a.mp4", talker, sound=voice, pixel_format="yuv420p10le", colours=(9, 18, 9, 1))
    assert "dynamic range" in warnings(checked(video, capsys))


def test_old_codec(tmp_path, talker, voice, capsys):
    video = encode(tmp_path / "a.avi", talker, codec="mpeg4", options={"qscale": "2"}, sound=voice)
    assert not warnings(checked(video, capsys))


def test_a_name_with_everything_in_it_and_no_sound(tmp_path, talker, capsys):
    """All the way to a person, in a process of its own, as users run it."""
    video = encode(tmp_path / "it's \"my\" film;\n$(no) 100% é.mp4", talker, container="mp4")
    out = tmp_path / "a person\n'here'"
    done = subprocess.run(
        [sys.executable, "-m", "geneface", "prepare", str(video), "-o", str(out), "--json", "--set", "size=128",
         "--set", "plate_samples=10"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["frames"] == 65 and result["verdicts"]["loudness"] == "warn"
    assert Path(result["report"]).is_file() and video.is_file()
