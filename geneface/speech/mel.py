"""Whisper's log-mel spectrogram (80 bands, 16 kHz, 25 ms Hann window every 10 ms).

Same numbers as `whisper.audio.log_mel_spectrogram` (github.com/openai/whisper, MIT) up to the normalisation, which
`speech.features` does per window. The mel scale is Slaney's (Auditory Toolbox, 1998) with area-normalised triangles.
"""
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from .framing import frame_count

SAMPLE_RATE = 16000  # [Hz]
N_FFT = 400  # 25 ms
HOP = 160  # 10 ms
MELS = 80
LOG_FLOOR = 1e-10  # power; smaller values are digital silence
QUIETEST = -2.9  # log10 mel power: a recording or window whose maximum is lower is not lifted (about -60 dB full scale)

_LINEAR_STEP = 200.0 / 3  # [Hz per mel] below the break
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_STEP
_LOG_STEP = np.log(6.4) / 27.0  # [natural log of frequency per mel] above the break


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, np.float64)
    logarithmic = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_STEP, logarithmic)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_STEP, logarithmic)


@lru_cache(maxsize=1)
def filterbank() -> np.ndarray:
    """[80, 201] float32 triangular filters, each of unit area [1/Hz]."""
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    edges = mel_to_hz(np.linspace(0, hz_to_mel(SAMPLE_RATE / 2), MELS + 2))
    width = np.diff(edges)
    distance = edges[:, None] - bins[None, :]
    rising = -distance[:-2] / width[:-1, None]
    falling = distance[2:] / width[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def log_mel(audio: torch.Tensor) -> torch.Tensor:
    """Log-10 mel power spectrum.

    Args:
        audio: [B, N] float32 samples in [-1, 1] at 16 kHz, N a multiple of 160.

    Returns:
        [B, 80, N / 160] log10 of power, at least -10. Frame j is centred on sample 160 j.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(audio, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum[..., :-1].abs().square()
    mel = torch.from_numpy(filterbank()) @ power
    return torch.log10(torch.clamp(mel, min=LOG_FLOOR))


def mel_features(audio: np.ndarray) -> np.ndarray:
    """Log-mel at the rate and places of `speech.features`, for models that hear no more than sound.

    Args:
        audio: [N] float32 mono at 16 kHz.

    Returns:
        [ceil(N / 320), 80] at 50 Hz, normalised as Whisper does (8 decades below the recording's maximum, over 4), the
        maximum at 1.
    """
    padded = torch.from_numpy(np.pad(audio, (0, -len(audio) % (2 * HOP) + 2 * HOP)).astype(np.float32))
    mel = log_mel(padded[None])[0]
    # Every second frame lies on the middle of a feature frame; its neighbours share in it.
    mel = (mel[:, 0:-2:2] + 2 * mel[:, 1:-1:2] + mel[:, 2::2]) / 4
    mel = mel[:, :frame_count(len(audio))]
    maximum = mel.amax().clamp(min=QUIETEST)
    return ((torch.maximum(mel, maximum - 8) - maximum) / 4 + 1).T.contiguous().numpy()
