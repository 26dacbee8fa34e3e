"""Streamed features: a function of the sound alone, of bounded look-ahead, with real and pretended encoders."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.speech import features
from geneface.speech.framing import energy_db
from geneface.speech.stream import AHEAD, HOP_FRAMES, WINDOW, FeatureStream, load_fast_encoder, stream_features
from geneface.speech.whisper import WhisperEncoder

HOP = 320


class Ears(torch.nn.Module):
    """An encoder that tells the level of every frame of mel and its place in the window."""

    def forward(self, mel: torch.Tensor, kept: slice) -> torch.Tensor:
        out = torch.zeros(len(mel), mel.shape[2] // 2, 512)
        out[..., 0] = mel.mean(1).reshape(len(mel), -1, 2).mean(-1)
        out[..., 1] = torch.arange(mel.shape[2] // 2).float()
        return out[:, kept]


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """A buzz that comes and goes, in noise."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(120 + 30 * np.sin(4 * time)) / 16000))
    return (0.1 * buzz * (np.sin(9 * time) > 0) + 0.003 * random.standard_normal(len(time))).astype(np.float32)


def pushed(audio: np.ndarray, sizes: list[int], encoder=None) -> list[np.ndarray]:
    stream = FeatureStream(encoder or Ears())
    parts, first, turn = [], 0, 0
    while first < len(audio):
        size = sizes[turn % len(sizes)]
        parts.append(stream.push(audio[first:first + size]))
        first, turn = first + size, turn + 1
    parts.append(stream.finish())
    return [np.concatenate(values) for values in zip(*parts)]


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 2559, 2560, 2561, 4800, 4801, 7360, 16000])
def test_frame_counts(samples):
    found = stream_features(voice(1)[:samples], Ears())
    assert len(found) == -(-samples // HOP)
    assert found.content.shape == (len(found), 512) and found.melody.shape == (len(found), 3)


@pytest.mark.parametrize("sizes", [[160], [2560], [7, 5001, 1, 3000], [40000]])
def test_any_pushes_give_the_same(sizes):
    audio = voice(1.7)
    for got, expected in zip(pushed(audio, sizes), stream_features(audio, Ears())):
        np.testing.assert_array_equal(got, expected)


def test_every_hop_stands_at_the_same_place_of_its_window():
    place = stream_features(voice(0.96), Ears()).content[:, 1].reshape(-1, HOP_FRAMES)
    assert (place == np.arange(WINDOW - AHEAD - HOP_FRAMES, WINDOW - AHEAD)).all()


def test_look_ahead_is_bounded():
    """Sound more than 0.3 s after a frame's beginning does not touch it, and sound just before does."""
    audio, hop = voice(1.7), 5
    last = (hop + 1) * HOP_FRAMES  # past the hop's last frame
    heard_until = (last + AHEAD) * HOP
    before = stream_features(audio, Ears())
    later, nearer = audio.copy(), audio.copy()
    later[heard_until:] = 0.5 * np.random.default_rng(1).standard_normal(len(audio) - heard_until)
    nearer[heard_until - 2 * HOP:heard_until] = 0.9
    for old, new in zip(before, stream_features(later, Ears())):
        np.testing.assert_array_equal(new[:last], old[:last])
        assert not np.array_equal(new[last:], old[last:])
    assert not np.array_equal(stream_features(nearer, Ears()).content[last - HOP_FRAMES:last],
                              before.content[last - HOP_FRAMES:last])
    assert heard_until - (last - HOP_FRAMES) * HOP == 0.3 * 16000


def test_level_and_pitch_are_told_relative_to_the_past():
    """A steady buzz lies at its own habit; a loud passage, once 10 s old, no longer sets the level."""
    time = np.arange(16000 * 14) / 16000
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)).astype(np.float32)
    buzz *= np.where(time < 1, 0.3, 0.03)
    melody = stream_features(buzz, Ears()).melody
    assert np.abs(melody[20:-20, 0]).max() < 0.02
    np.testing.assert_allclose(melody[100:400, 1], -1, atol=0.05)  # 20 dB below the loud second
    np.testing.assert_allclose(melody[600:-20, 1], 0, atol=0.05)


def test_silence_and_speech_are_told_apart(footage):
    from geneface.media import read_audio
    from geneface.speech.vad import load_detector

    if load_detector() is None:
        pytest.skip("the voice activity detector cannot be had here")
    audio = read_audio(footage / "driving" / "french_7s.wav")[:3 * 16000]
    quiet = (1e-4 * np.random.default_rng(0).standard_normal(2 * 16000)).astype(np.float32)
    speech = stream_features(np.concatenate([quiet, audio, quiet]), Ears()).speech
    loud = energy_db(audio) > energy_db(audio).max() - 12
    assert speech[:90].max() < 0.3
    assert (speech[100:250][loud] > 0.5).mean() > 0.9
    assert speech[-50:].max() < 0.3


def test_errors():
    stream = FeatureStream(Ears())
    with pytest.raises(ValueError, match="samples: expected mono"):
        stream.push(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="samples: NaN"):
        stream.push(np.array([np.nan]))
    with pytest.raises(ValueError, match="samples: expected floating point"):
        stream.push(np.zeros(3, np.int16))
    assert len(stream.finish()) == 0
    with pytest.raises(ValueError, match="finished"):
        stream.push(np.zeros(3, np.float32))
    with pytest.raises(UserError, match="empty"):
        stream_features(np.zeros(0, np.float32))


def test_encoder_gives_part_of_its_frames():
    torch.manual_seed(0)
    encoder = WhisperEncoder(layers=2, width=16, heads=2, positions=40).eval()
    mel = torch.randn(1, 80, 60)
    torch.testing.assert_close(encoder(mel, slice(20, 28)), encoder(mel)[:, 20:28])


def test_streamed_content_is_near_the_recordings(footage):
    """Beside the recording's own features: the same speech, heard with less context."""
    from geneface.media import read_audio

    try:
        features.load_encoder()
    except UserError as error:
        pytest.skip(f"the speech encoder cannot be had here: {error}")
    audio = read_audio(footage / "driving" / "french_7s.wav")[:4 * 16000]
    streamed, whole = stream_features(audio).content, features.content_features(audio)
    error = np.square((streamed - whole) / whole.std(0)).mean(1) ** 0.5
    assert np.median(error[25:-25]) < 0.7  # of unrelated speech: 1.4
    again = pushed(audio[:16000], [4000], load_fast_encoder())
    np.testing.assert_array_equal(again[0], stream_features(audio[:16000]).content)
