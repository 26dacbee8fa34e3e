"""Windowing, levels and errors of the speech features, with the real encoder where it can be had."""
from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from geneface.errors import UserError
from geneface.speech import features
from geneface.speech.ctranslate2 import read_variables
from geneface.speech.whisper import WhisperEncoder


class Ears(torch.nn.Module):
    """An encoder whose features say where and what each frame was, so that windowing can be checked exactly."""

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        loudness = mel.mean(1).reshape(mel.shape[0], -1, 2).mean(-1)
        place = torch.arange(mel.shape[2] // 2).float().expand_as(loudness)
        out = torch.zeros(mel.shape[0], mel.shape[2] // 2, 512)
        out[..., 0], out[..., 1], out[..., 2] = loudness, place, 1.0
        return out


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 16000)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> WhisperEncoder:
    try:
        return features.load_encoder()
    except UserError as error:
        pytest.skip(f"the speech encoder cannot be had here: {error}")


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 16000, 96000, 96001, 128000, 200000])
def test_frame_counts(samples):
    found = features.extract(noise(13)[:samples], Ears())
    assert len(found) == -(-samples // 320) and found.fps == 50
    # Every frame is covered by windows whose weights sum to one.
    np.testing.assert_allclose(found.content[:, 2], 1, atol=1e-6)


def test_windows_keep_their_margins():
    """No frame is taken from within half a second of the end of a window that has a neighbour there."""
    place = features.content_features(noise(25), Ears())[:, 1]
    assert place[0] == features._CONTEXT
    assert place.max() <= features.WINDOW - features._CONTEXT + features._FADE
    # Outside the cross-fades one frame follows the other.
    steps = np.diff(place)
    assert (np.abs(steps - 1) < 1e-4).mean() > 0.7


def test_cross_fade_has_no_seam():
    """Loudness, which every window hears alike, passes smoothly from one window to the next."""
    audio = noise(20)
    heard = features.content_features(audio, Ears())[:, 0]
    assert np.abs(heard - heard.mean()).max() < 0.1


def test_gain_does_not_matter():
    audio = noise(9)
    loud, quiet = (features.content_features(gain * audio, Ears()) for gain in (1.0, 0.1))
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_quiet_noise_is_not_lifted():
    hiss = features.content_features(noise(3) * 1e-3, Ears())[20:100, 0].mean()
    speech = features.content_features(noise(3), Ears())[20:100, 0].mean()
    assert hiss < speech - 0.2


def test_empty_and_odd_input():
    with pytest.raises(UserError, match="empty"):
        features.extract(np.zeros(0, np.float32), Ears())
    with pytest.raises(ValueError, match="mono"):
        features.extract(np.zeros((2, 100), np.float32), Ears())
    with pytest.raises(ValueError, match="floating"):
        features.extract(np.zeros(100, np.int16), Ears())
    with pytest.raises(ValueError, match="NaN"):
        features.extract(np.full(100, np.nan, np.float32), Ears())


def test_real_encoder(encoder):
    """Deterministic; silence is finite; a recording heard from another point on gives nearly the same features."""
    audio = noise(10) * np.repeat(np.random.default_rng(1).uniform(0, 1, 100), 1600).astype(np.float32)
    first, again = features.extract(audio, encoder), features.extract(audio, encoder)
    np.testing.assert_array_equal(first.content, again.content)
    assert first.content.shape == (500, 512)
    assert np.isfinite(features.extract(np.zeros(5000, np.float32), encoder).content).all()
    later = features.content_features(audio[50 * 320:], encoder)
    mean, std = first.content.mean(0), first.content.std(0)
    a, b = (first.content[75:475] - mean) / std, (later[25:425] - mean) / std
    assert (a * b).mean() / np.sqrt((a**2).mean() * (b**2).mean()) > 0.7


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def test_ctranslate2_reader(tmp_path):
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    body = struct.pack("<I", 6) + _string("WhisperSpec") + struct.pack("<II", 3, 2)
    for name in ("decoder/w", "encoder/w"):
        body += _string(name) + struct.pack("<BIIBI", 2, 2, 3, 4, array.nbytes) + array.tobytes()
    path = tmp_path / "model.bin"
    path.write_bytes(body)
    found = read_variables(path, "encoder/")
    assert list(found) == ["w"]
    np.testing.assert_array_equal(found["w"], array)
    path.write_bytes(body[:-4])
    with pytest.raises(UserError, match="cut short"):
        read_variables(path)
    path.write_bytes(b"\x09\0\0\0" + body[4:])
    with pytest.raises(UserError, match="format 9"):
        read_variables(path)
    path.write_bytes(b"no")
    with pytest.raises(UserError, match="not a CTranslate2 model"):
        read_variables(path)
    with pytest.raises(UserError, match="unreadable"):
        read_variables(tmp_path / "none.bin")


def test_encoder_refuses_another_model(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<I", 6) + _string("X") + struct.pack("<II", 1, 0))
    with pytest.raises(UserError, match="not a Whisper model"):
        WhisperEncoder.from_ctranslate2(path)
