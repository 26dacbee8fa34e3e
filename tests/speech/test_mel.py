"""Log-mel against librosa's filterbank and against the definition."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.speech import mel


def test_filterbank_is_whispers():
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)
    np.testing.assert_allclose(mel.filterbank(), expected, atol=1e-7)


def test_mel_scale_round_trip():
    hz = np.array([0.0, 100, 999, 1000, 1001, 4000, 8000])
    np.testing.assert_allclose(mel.mel_to_hz(mel.hz_to_mel(hz)), hz, atol=1e-9)
    assert mel.hz_to_mel(np.array(1000.0)) == pytest.approx(15.0)


def test_tone_lands_in_its_band():
    time = torch.arange(16000) / 16000
    spectrum = mel.log_mel(torch.sin(2 * np.pi * 1000 * time)[None])[0]
    assert spectrum.shape == (80, 100)
    centres = mel.mel_to_hz(np.linspace(0, mel.hz_to_mel(np.array(8000.0)), 82))[1:-1]
    assert abs(centres[int(spectrum[:, 50].argmax())] - 1000) < 40


def test_silence_is_the_floor():
    assert torch.equal(mel.log_mel(torch.zeros(1, 3200)), torch.full((1, 80, 20), -10.0))
