"""Log-mel against librosa's filterbank, in numbers it gave, and against the definition."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from geneface.speech import mel


def test_filterbank_is_whispers():
    """librosa 0.11: filters.mel(sr=16000, n_fft=400, n_mels=80); every eighth band's first moment, sums, and maxima."""
    bank = mel.filterbank()
    assert bank.shape == (80, 201)
    np.testing.assert_allclose((bank @ np.arange(201))[::8], [
        0.0248626, 0.20783677, 0.39479259, 0.57776679, 0.76206211, 1.14769611, 1.44469636, 1.98698485, 2.70923093,
        3.69041003], atol=1e-6)
    np.testing.assert_allclose(bank.sum(1)[::8], [
        0.0248626, 0.02486259, 0.02486259, 0.0248626, 0.02410351, 0.02666486, 0.02468032, 0.02496133, 0.0250261,
        0.02507822], atol=1e-7)
    np.testing.assert_allclose(bank.max(0)[:8], [
        0, 0.02486259, 0.02287177, 0.02088095, 0.01889013, 0.01689931, 0.01490848, 0.01393575], atol=1e-7)


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


def test_features_lie_on_the_feature_frames_and_know_no_gain():
    """A beep around the middle of frame 30 is loudest there; a louder recording reads alike; lengths are the features'."""
    beep = np.zeros(16000 - 7, np.float32)
    beep[320 * 30 - 160:320 * 31 + 160] = np.hanning(640) * np.cos(2 * np.pi * 1000 * np.arange(-320, 320) / 16000)
    found = mel.mel_features(beep)
    assert found.shape == (50, 80) and int(found.mean(1).argmax()) == 30 and found.max() <= 1
    np.testing.assert_allclose(found[29].mean(), found[31].mean(), atol=0.02)
    np.testing.assert_allclose(mel.mel_features(0.2 * beep), found, atol=1e-4)
    assert mel.mel_features(np.zeros(321, np.float32)).shape == (2, 80)
