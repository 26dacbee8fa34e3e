"""Sound and picture on one clock, from the first to the last frame, whatever the rates."""
from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from data_prep.preflight.examine import cut_sound
from data_prep.preflight.shots import Take
from geneface import media
from geneface.config import PrepareConfig

CONFIG = PrepareConfig()
EVENTS = (1.0, 7.0, 18.6)  # a flash and a click at once [s]


def claps(path, times: np.ndarray, rate: Fraction, start: float):
    """20 s of flashes and clicks; the whole recording begins at `start` on the container's clock."""
    sound = np.zeros(20 * 44100, np.float32)
    for event in EVENTS:
        sound[round(event * 44100):round(event * 44100) + 300] = 0.8
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate)
        video.width = video.height = 64
        video.pix_fmt, video.codec_context.time_base = "yuv420p", Fraction(1, 30000)
        video.options = {"preset": "ultrafast", "g": "30"}
        audio = container.add_stream("pcm_s16le", rate=44100, layout="mono")
        for time in times:
            lit = any(event <= time < event + 0.1 for event in EVENTS)
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 230 if lit else 20, np.uint8), "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = round((time + start) * 30000), Fraction(1, 30000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for at in range(0, len(sound), 4410):
            block = av.AudioFrame.from_ndarray((sound[None, at:at + 4410] * 32767).astype(np.int16), "s16", "mono")
            block.sample_rate, block.time_base = 44100, Fraction(1, 44100)
            block.pts = at + round(start * 44100)
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


def even(rate: Fraction) -> np.ndarray:
    return np.arange(int(20 * rate)) / float(rate)


@pytest.mark.parametrize("rate,times,start", [
    (Fraction(30), even(Fraction(30)), 0.0),
    (Fraction(30000, 1001), even(Fraction(30000, 1001)), 0.0),
    (Fraction(24000, 1001), even(Fraction(24000, 1001)), 0.0),
    (Fraction(60), even(Fraction(60)), 1.5),
    (Fraction(30), np.cumsum(np.tile([0.02, 0.045, 0.035], 200)), 0.4),
], ids=["30", "29.97", "23.976", "60, starts late", "variable"])
def test_flash_and_click_stay_within_a_frame(tmp_path, rate, times, start):
    video = claps(tmp_path / "a.mkv", times, rate, start)
    bright = np.array([frame.mean() for frame in media.read_frames(video, 25)])
    take = Take(5, len(bright) - 5, (), ())
    sound, share = cut_sound(media.read_audio(video), take, CONFIG)
    assert share == 1 and len(sound) == len(take) * 640
    lit = bright[take.start:take.stop] > 120
    flashes = np.flatnonzero(np.diff(np.concatenate([[False], lit]).astype(int)) == 1)
    loud = np.abs(sound) > 0.3
    clicks = [i for i in np.flatnonzero(loud) if not loud[max(0, i - 4000):i].any()]
    assert len(flashes) == len(clicks) == len(EVENTS)
    assert np.abs(flashes - np.array(clicks) / 640).max() < 1


def test_cut_sound_moves_and_pads():
    sound = np.arange(10 * 640, dtype=np.float32)
    piece, share = cut_sound(sound, Take(2, 8, (), ()), CONFIG)
    assert share == 1 and np.array_equal(piece, sound[2 * 640:8 * 640])
    late, share = cut_sound(sound, Take(2, 8, (), ()), CONFIG, later=3)
    assert share == pytest.approx(5 / 6) and np.array_equal(late[:5 * 640], sound[5 * 640:])
    assert not late[5 * 640:].any()
    early, share = cut_sound(sound, Take(0, 4, (), ()), CONFIG, later=-1.5)
    assert share == pytest.approx(2.5 / 4) and not early[:960].any() and np.array_equal(early[960:], sound[:1600])
    nothing, share = cut_sound(sound[:0], Take(0, 4, (), ()), CONFIG)
    assert share == 0 and len(nothing) == 4 * 640
    assert cut_sound(sound, Take(30, 40, (), ()), CONFIG)[1] == 0
