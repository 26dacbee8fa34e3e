"""The published SyncNet, for those who have its weights: LSE-D and LSE-C of a video as papers give them.

Chung & Zisserman, "Out of time: automated lip sync in the wild" (2016). Layer names, shapes and protocol are those of
github.com/joonson/syncnet_python (`SyncNetModel.py`, `SyncNetInstance.py`, `run_pipeline.py`), whose
`syncnet_v2.model` is read here; the weights are not part of this package. Faces are cropped by this package's own
landmarks in place of that repository's detector, so figures are close to its own but not the same to the last digit.
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import UserError
from .sync import LAGS, SyncResult

SIZE = 224  # of a crop [px]
_WINDOW = 5  # video frames that an embedding sees; 20 of sound at 100 Hz
_CHUNK = 32  # windows embedded at once
_MARGIN = 0.4  # of the crop about the face, in half face heights
_PADDING = 110  # grey beyond the picture
_MEDIAN = 13  # frames over which the face's place is smoothed


class SyncNet(nn.Module):
    """Embeddings of 200 ms of a face and of sound, 1024 values each. Attribute names are the weights' own."""

    def __init__(self) -> None:
        super().__init__()

        def sound(before: int, after: int, kernel: tuple[int, int] = (3, 3), padding: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(before, after, kernel, padding=padding), nn.BatchNorm2d(after), nn.ReLU()]

        def lips(before: int, after: int, kernel: tuple[int, int, int], stride: int = 1,
                 padding: int = 0) -> list[nn.Module]:
            return [nn.Conv3d(before, after, kernel, (1, stride, stride), (0, padding, padding)),
                    nn.BatchNorm3d(after), nn.ReLU()]

        def head() -> nn.Sequential:
            return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))

        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2))
        self.netcnnaud = nn.Sequential(
            *sound(1, 64), nn.Identity(), *sound(64, 192), nn.MaxPool2d(3, (1, 2)), *sound(192, 384), *sound(384, 256),
            *sound(256, 256), nn.MaxPool2d(3, 2), *sound(256, 512, (5, 4), 0))
        self.netfcaud = head()
        self.netcnnlip = nn.Sequential(
            *lips(3, 96, (5, 7, 7), 2), pool, *lips(96, 256, (1, 5, 5), 2, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), *lips(256, 256, (1, 3, 3), 1, 1),
            *lips(256, 256, (1, 3, 3), 1, 1), *lips(256, 256, (1, 3, 3), 1, 1), pool, *lips(256, 512, (1, 6, 6)))
        self.netfclip = head()

    @torch.no_grad()
    def embed_faces(self, frames: np.ndarray) -> torch.Tensor:
        """Crops [T, 224, 224, 3] uint8 RGB at 25 fps -> [T - 4, 1024]."""
        found = []
        for first in range(0, len(frames) - _WINDOW + 1, _CHUNK):
            part = frames[first:first + _CHUNK + _WINDOW - 1, ..., ::-1]  # it was trained on BGR of 0 to 255
            pictures = torch.from_numpy(np.ascontiguousarray(part)).float().permute(3, 0, 1, 2)[None]
            # Only the first layer reaches over time, so a run of frames gives the embedding of every window in it.
            found.append(self.netfclip(self.netcnnlip(pictures)[0, :, :, 0, 0].T))
        return torch.cat(found)

    @torch.no_grad()
    def embed_sound(self, audio: np.ndarray, windows: int) -> torch.Tensor:
        """[N] float32 in [-1, 1] at 16 kHz -> [windows, 1024]; window t begins with video frame t."""
        coefficients = torch.from_numpy(mfcc(audio * 32768.0)).float().T  # of 16-bit samples
        cut = coefficients.unfold(1, 20, 4)[:, :windows].permute(1, 0, 2)[:, None]
        return torch.cat([self.netfcaud(self.netcnnaud(part).flatten(1)) for part in cut.split(_CHUNK)])

    def score(self, frames: np.ndarray, audio: np.ndarray) -> SyncResult:
        """LSE-D, LSE-C and offset of face crops [T, 224, 224, 3] (uint8 RGB, 25 fps) and their sound [N] (16 kHz).

        Whole frames, distances as published: of raw embeddings, not of unit ones.

        Raises:
            ValueError: crops of another size, or fewer than 6 frames with their sound.
        """
        if frames.shape[1:] != (SIZE, SIZE, 3) or frames.dtype != np.uint8:
            raise ValueError(f"frames: expected [T, {SIZE}, {SIZE}, 3] uint8, got {frames.shape} {frames.dtype}")
        windows = min(len(frames), len(audio) // 640) - _WINDOW
        if windows < 1:
            raise ValueError(f"frames: {len(frames)} with {len(audio)} samples are too short; 6 frames are needed")
        faces, sound = self.embed_faces(frames[:windows + _WINDOW - 1]), self.embed_sound(audio, windows)
        windows = min(len(faces), len(sound))
        padded = F.pad(sound[:windows], (0, 0, LAGS, LAGS))
        # Entry k: the sound that comes LAGS - k frames before the lips, which are late by so much.
        curve = torch.stack([F.pairwise_distance(faces[:windows], padded[2 * LAGS - k:2 * LAGS - k + windows]).mean()
                             for k in range(2 * LAGS + 1)]).numpy()
        best = int(curve.argmin())
        return SyncResult(float(best - LAGS), float(np.median(curve) - curve[best]), float(curve[best]), curve)


def load_syncnet(path: str | Path) -> SyncNet:
    """The network with the weights of a `syncnet_v2.model` (a PyTorch state dict; nothing in it is executed).

    Raises:
        UserError: no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such SyncNet weights; see github.com/joonson/syncnet_python for syncnet_v2.model")
    net = SyncNet()
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # whatever torch's reader and the file make of each other
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: not the published SyncNet weights ({said}); get syncnet_v2.model again") from error
    return net.eval().requires_grad_(False)


def crop_faces(frames: Iterable[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """The crops that SyncNet expects: the face in the upper middle, with a margin at the sides and below.

    Args:
        frames: [H, W, 3] uint8.
        boxes: [T, 4] left, top, right, bottom of the face from forehead to chin [px].

    Returns:
        [T, 224, 224, 3] uint8.
    """
    import cv2
    from scipy.signal import medfilt

    half = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) / 2
    place = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2, half], axis=1)
    edge = _MEDIAN // 2
    place = medfilt(np.pad(place, ((edge, edge), (0, 0)), "edge"), (_MEDIAN, 1))[edge:edge + len(boxes)]
    crops = []
    for frame, (x, y, size) in zip(frames, place):
        pad = int(size * (1 + 2 * _MARGIN)) + 1
        wide = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), constant_values=_PADDING)
        x, y = x + pad, y + pad
        rows = slice(max(0, int(y - size)), int(y + size * (1 + 2 * _MARGIN)))
        columns = slice(max(0, int(x - size * (1 + _MARGIN))), int(x + size * (1 + _MARGIN)))
        crops.append(cv2.resize(wide[rows, columns], (SIZE, SIZE)))
    return np.stack(crops)


def mfcc(samples: np.ndarray) -> np.ndarray:
    """13 mel cepstral coefficients every 10 ms [frames, 13], as `python_speech_features.mfcc` computes by default.

    400-sample windows without taper of the signal after pre-emphasis 0.97, power spectrum of 512 points, 26 triangular
    mel filters, log, orthonormal DCT, sine lifter of 22; the first coefficient is the log energy.
    """
    from scipy.fft import dct

    samples = np.asarray(samples, np.float64)
    signal = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    count = 1 + max(0, -(-(len(signal) - 400) // 160))
    signal = np.pad(signal, (0, max(0, 400 + 160 * (count - 1) - len(signal))))
    windows = np.lib.stride_tricks.sliding_window_view(signal, 400)[::160][:count]
    power = np.abs(np.fft.rfft(windows, 512)) ** 2 / 512
    least = np.finfo(np.float64).eps
    bands = power @ _mel_filters().T
    cepstrum = dct(np.log(np.where(bands == 0, least, bands)), type=2, axis=1, norm="ortho")[:, :13]
    cepstrum *= 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    energy = power.sum(1)
    cepstrum[:, 0] = np.log(np.where(energy == 0, least, energy))
    return cepstrum


def _mel_filters() -> np.ndarray:
    """[26, 257] triangles whose corners lie on whole bins, evenly spaced in mel up to 8 kHz."""
    highest = 2595 * np.log10(1 + 8000 / 700)
    corners = np.floor(513 * 700 * (10 ** (np.linspace(0, highest, 28) / 2595) - 1) / 16000)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(257)[None]
    rising = np.where((bins >= low) & (bins < middle), (bins - low) / np.maximum(middle - low, 1), 0)
    falling = np.where((bins >= middle) & (bins < high), (high - bins) / np.maximum(high - middle, 1), 0)
    return rising + falling
