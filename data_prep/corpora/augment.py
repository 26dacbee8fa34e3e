"""Changes to the sound of a talking clip that leave the lips as they are: other voices, rooms, lines and levels.

A corpus of one talker teaches one voice; the motion model hears these instead (as do speech recognisers, see Ko et al.
2015, "Audio augmentation for speech recognition"). All take and give [N] float32 at 16 kHz; only `change_speed` changes
how long a sound lasts.
"""
from __future__ import annotations

import io

import av
import numpy as np
import soxr
import torch
from scipy import signal

SAMPLE_RATE = 16000  # [Hz]
CODECS = {"mp3": ("mp3", "mp3", SAMPLE_RATE), "opus": ("libopus", "ogg", SAMPLE_RATE),
          "telephone": ("pcm_mulaw", "wav", 8000)}  # encoder, container, rate
_LIFTER = 0.003  # s: what changes more slowly along the frequencies is the throat's doing, not the voice's
_DELAY = SAMPLE_RATE // 5  # the most that a codec is looked for to be late [samples]


def shift_voice(audio: np.ndarray, semitones: float) -> np.ndarray:
    """Pitch and formants shifted together, positive for a smaller talker."""
    rate = 2 ** (-semitones / 12)
    return _fitted(soxr.resample(_stretched(audio, rate), SAMPLE_RATE / rate, SAMPLE_RATE), len(audio))


def _stretched(audio: np.ndarray, rate: float) -> np.ndarray:
    """[N / rate] the same pitch, `rate` times as fast: a phase vocoder (Flanagan and Golden 1966)."""
    window, hop = 2048, 512
    shape = {"n_fft": window, "hop_length": hop, "window": torch.hann_window(window, dtype=torch.float64)}
    spectrum = torch.stft(torch.from_numpy(audio).double(), **shape, pad_mode="constant", return_complex=True).numpy()
    times = np.arange(0, spectrum.shape[1], rate)
    first, share = times.astype(int), times % 1
    level = np.pad(np.abs(spectrum), ((0, 0), (0, 2)))
    phase = np.pad(np.angle(spectrum), ((0, 0), (0, 2)))
    # Between two frames the phase goes on as far as each frequency's middle would take it, and by what it is off that.
    expected = 2 * np.pi * hop / window * np.arange(len(phase))[:, None]
    off = phase[:, first + 1] - phase[:, first] - expected
    advance = expected + off - 2 * np.pi * np.round(off / (2 * np.pi))
    turned = np.cumsum(np.concatenate([phase[:, :1], advance[:, :-1]], axis=1), axis=1)
    changed = ((1 - share) * level[:, first] + share * level[:, first + 1]) * np.exp(1j * turned)
    return torch.istft(torch.from_numpy(changed), **shape, length=round(len(audio) / rate)).numpy()


def shift_formants(audio: np.ndarray, semitones: float) -> np.ndarray:
    """The throat's resonances shifted, the pitch kept: the smooth envelope of every short spectrum is stretched."""
    _, _, spectrum = signal.stft(audio, SAMPLE_RATE, nperseg=512, noverlap=384)
    level = np.log(np.abs(spectrum) + 1e-7)
    cepstrum = np.fft.irfft(level, axis=0)
    keep = int(_LIFTER * SAMPLE_RATE)
    cepstrum[keep:len(cepstrum) - keep + 1] = 0
    envelope = np.fft.rfft(cepstrum, axis=0).real
    bins = np.arange(len(envelope)) * 2 ** (-semitones / 12)
    low = np.minimum(bins.astype(int), len(envelope) - 2)
    share = np.minimum(bins - low, 1)[:, None]
    moved = (1 - share) * envelope[low] + share * envelope[low + 1]
    _, changed = signal.istft(spectrum * np.exp(moved - envelope), SAMPLE_RATE, nperseg=512, noverlap=384)
    return _fitted(changed, len(audio))


def shift_pitch(audio: np.ndarray, semitones: float) -> np.ndarray:
    """The pitch shifted, the formants kept."""
    return shift_formants(shift_voice(audio, semitones), -semitones)


def change_speed(audio: np.ndarray, factor: float) -> np.ndarray:
    """Played faster (factor above 1) or slower, as a tape: pitch and formants go with it. [N / factor]."""
    return soxr.resample(audio, SAMPLE_RATE, SAMPLE_RATE / factor).astype(np.float32)


def equalise(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random smooth response of up to +-12 dB: a room, a microphone."""
    knots = np.geomspace(60, SAMPLE_RATE / 2, 7)
    gains = rng.uniform(-12, 12, len(knots)) * rng.uniform(0, 1)
    response = np.interp([0, *knots], [0, *knots], [gains[0], *gains])
    return signal.lfilter(signal.firwin2(255, [0, *knots], 10 ** (response / 20), fs=SAMPLE_RATE), 1.0,
                          np.pad(audio, (0, 127)))[127:].astype(np.float32)


def reverberate(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An exponentially decaying noise tail of 0.1 to 0.5 s, 6 to 20 dB below the direct sound."""
    seconds = rng.uniform(0.1, 0.5)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (-rng.uniform(6, 20) / 20) / np.linalg.norm(tail)
    tail[0] += 1
    return signal.fftconvolve(audio, tail)[:len(audio)].astype(np.float32)


def coloured_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """[samples] Gaussian noise of unit RMS with a 1/f^k power spectrum, k drawn from 0 (white) to 2 (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 40)
    noise = np.fft.irfft(spectrum * frequency ** (-rng.uniform(0, 2) / 2), samples)
    return (noise / max(noise.std(), 1e-9)).astype(np.float32)


def add_noise(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """`audio` with coloured noise `snr_db` below its loud parts (95th percentile of 20 ms levels)."""
    whole = len(audio) // 320 * 320
    level = np.sqrt(np.mean(audio[:whole].reshape(-1, 320) ** 2, axis=1)) if whole else np.abs(audio)
    loud = float(np.percentile(level, 95)) if level.size else 0.0
    return audio + loud * 10 ** (-snr_db / 20) * coloured_noise(len(audio), rng)


def transmit(audio: np.ndarray, codec: str, bit_rate: int) -> np.ndarray:
    """Coded and decoded again.

    Args:
        codec: mp3, opus or telephone (8 kHz, mu-law, which knows no bit rate).
        bit_rate: [bit/s].
    """
    encoder, container, rate = CODECS[codec]
    file = io.BytesIO()
    peak = max(1.0, float(np.abs(audio).max(initial=0)))
    sound = audio / peak if rate == SAMPLE_RATE else soxr.resample(audio / peak, SAMPLE_RATE, rate)
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(encoder, rate=rate, bit_rate=bit_rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = rate
        converter = av.AudioResampler(stream.format, "mono", rate, frame_size=stream.frame_size or None)
        for piece in (*converter.resample(frame), *converter.resample(None)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as back:
        converter = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        pieces = [p.to_ndarray()[0] for f in (*back.decode(audio=0), None) for p in converter.resample(f)]
    decoded = np.concatenate(pieces)
    # Codecs delay, and not every container says by how much.
    match = signal.correlate(np.pad(decoded, _DELAY)[:len(audio) + 2 * _DELAY], audio, "valid", "fft")
    late = int(np.argmax(match)) - _DELAY if len(match) and match.any() else 0
    decoded = decoded[late:] if late >= 0 else np.pad(decoded, (-late, 0))
    return peak * _fitted(decoded, len(audio))


def _fitted(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(audio[:samples], (0, max(0, samples - len(audio)))).astype(np.float32)
