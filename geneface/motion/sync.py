"""Do lips and sound belong together, and if so, how far apart are they? A contrastive expert in the manner of SyncNet.

SyncNet (Chung & Zisserman, "Out of time", 2016) embeds 200 ms of sound and of pictures; this expert embeds content
features and melody, and mouth landmarks, 360 ms about every video frame. Embeddings are unit vectors that agree where
sound and lips were recorded together and disagree for lips a few frames off or from elsewhere.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..speech.melody import QUIET
from .modelfile import DATA, load_module, save_module
from .mouth import MaskedConv, MouthFeatures

SCHEMA_VERSION = 1
RELEASE = DATA / "sync_expert.safetensors"
LAGS = 15  # frames to either side that an offset is looked for
# Least confidence at which an offset is to be believed. Of clips of unseen people in English and French cut to 5 s it
# is 0.25 to 0.46, and offsets lie within 0.4 frames of the recording's; with another person's lips it is 0.17 at most.
CONFIDENT = 0.2
_LOUD = -0.5  # relative energy (20 dB units) from which on a frame counts in full; up to `QUIET` it does not at all
_SPREAD = 4  # frames about a loud one that count: lips move before the sound, and closures are silent


@dataclass(frozen=True)
class SyncSpec:
    """Constructor arguments of `SyncExpert`.

    Attributes:
        content: channels of the content features.
        melody: channels of the melody.
        hidden: channels of both encoders.
        embedding: of the embeddings.
        components: principal components of the lips.
        dropout: while training.
        temperature: of the contrast: cosines are divided by it.
    """

    content: int = 512
    melody: int = 3
    hidden: int = 128
    embedding: int = 64
    components: int = 16
    dropout: float = 0.2
    temperature: float = 0.07


@dataclass(frozen=True)
class SyncResult:
    """Attributes:
        frames: video frames that the lips come after the sound (negative: before it), to fractions of a frame.
        confidence: median less smallest distance over the lags, as LSE-C.
        distance: smallest root mean square distance of the unit embeddings over the lags, 0 to 2, as LSE-D.
        curve: [31] distance at every lag from -15 to 15.
    """

    frames: float
    confidence: float
    distance: float
    curve: np.ndarray


class SyncExpert(nn.Module):
    """See the module's docstring. Content and melody [B, channels, 2T] at 50 Hz as the corpus gives them; mouth
    [B, T, 20, 3] in metres at 25 fps; mask [B, T], 1 inside the clip."""

    def __init__(self, spec: SyncSpec = SyncSpec()) -> None:
        super().__init__()
        self.spec = spec
        hidden = spec.hidden
        self.mouth = MouthFeatures(spec.components)
        self.lips = nn.ModuleList([MaskedConv(self.mouth.channels, hidden, 3, 1, spec.dropout),
                                   MaskedConv(hidden, hidden, 3, 1, spec.dropout),
                                   MaskedConv(hidden, hidden, 3, 2, spec.dropout)])
        self.lips_out = nn.Conv1d(hidden, spec.embedding, 1)
        self.content_in = nn.Conv1d(spec.content, hidden, 1)
        self.melody_in = nn.Conv1d(spec.melody, hidden, 5, padding=2)
        self.halve = nn.Conv1d(hidden, hidden, 4, stride=2, padding=1)
        self.sound = nn.ModuleList([MaskedConv(hidden, hidden, 3, 1, spec.dropout),
                                    MaskedConv(hidden, hidden, 3, 2, spec.dropout)])
        self.sound_out = nn.Conv1d(hidden, spec.embedding, 1)
        self.register_buffer("content_mean", torch.zeros(spec.content))
        self.register_buffer("content_std", torch.ones(spec.content))

    def embed_sound(self, content: torch.Tensor, melody: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """-> unit vectors [B, embedding, T]."""
        standard = (content - self.content_mean[:, None]) / self.content_std[:, None]
        return self.embed_standardised(standard, melody, mask)

    def embed_standardised(self, content: torch.Tensor, melody: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`embed_sound` of content that has zero mean and unit variance over the corpus already."""
        inside = mask[:, None].to(content.dtype)
        twice = inside.repeat_interleave(2, dim=2)
        # where, not a product: what lies outside may be anything, NaN included.
        content, melody = (torch.where(twice > 0, x, torch.zeros((), dtype=x.dtype)) for x in (content, melody))
        x = F.silu(self.content_in(content) + self.melody_in(melody)) * twice
        x = F.silu(self.halve(x)) * inside
        for layer in self.sound:
            x = layer(x, inside)
        return F.normalize(self.sound_out(x).float(), dim=1)

    def embed_mouth(self, mouth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """-> unit vectors [B, embedding, T]."""
        inside = mask[:, None].to(mouth.dtype)
        x = self.mouth(mouth, mask)
        for layer in self.lips:
            x = layer(x, inside)
        return F.normalize(self.lips_out(x).float(), dim=1)

    def loss(self, content: torch.Tensor, melody: torch.Tensor, mouth: torch.Tensor,
             mask: torch.Tensor) -> torch.Tensor:
        """How badly lips and sound agree (`contrast` within each clip): a scalar, differentiable in `mouth`."""
        return contrast(self.embed_sound(content, melody, mask), self.embed_mouth(mouth, mask),
                        audible(melody, mask), mask, self.spec.temperature)

    @torch.no_grad()
    def offset(self, content: torch.Tensor, melody: torch.Tensor, mouth: torch.Tensor) -> SyncResult:
        """Of one clip: content [512, 2T], melody [3, 2T], mouth [T, 20, 3]. Frames without speech do not count.

        Raises:
            ValueError: the clip is shorter than 2 frames, or lengths disagree.
        """
        frames = len(mouth)
        if frames < 2 or content.shape[-1] != 2 * frames or melody.shape[-1] != 2 * frames:
            raise ValueError(f"mouth: {frames} frames go with {2 * frames} of content and melody and are at least 2; "
                             f"got {content.shape[-1]} and {melody.shape[-1]}")
        mask = torch.ones(1, frames)
        sound = self.embed_sound(content[None].float(), melody[None].float(), mask)[0]
        lips = self.embed_mouth(mouth[None].float(), mask)[0]
        return offset_of((sound.T @ lips).numpy(), audible(melody[None], mask)[0].numpy())

    def save(self, path: str | Path, info: dict) -> None:
        """Write weights (half precision) and description to one safetensors file, atomically."""
        save_module(path, self, "geneface.SyncExpert", SCHEMA_VERSION, asdict(self.spec), info)

    @classmethod
    def load(cls, path: str | Path = "") -> "SyncExpert":
        """The expert in `path`, or the one shipped with the package. Raises UserError where it cannot be read."""
        return load_sync(str(path or RELEASE))[0]


@lru_cache(maxsize=2)
def load_sync(path: str) -> tuple[SyncExpert, dict]:
    """Expert and the description it was saved with; kept after the first use."""
    return load_module(path, "geneface.SyncExpert", SCHEMA_VERSION, lambda spec: SyncExpert(SyncSpec(**spec)),
                       "sync expert", "train one with geneface train-motion CORPUS -o X.safetensors --part sync")


def audible(melody: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Weights [B, T] of the frames: 1 in and near speech, 0 in silence and outside the mask."""
    energy = F.avg_pool1d(torch.where(melody[:, 1:2].isfinite(), melody[:, 1:2], -2.0), 2)
    loud = ((energy - QUIET) / (_LOUD - QUIET)).clamp(0, 1) * mask[:, None]
    return F.max_pool1d(loud, 2 * _SPREAD + 1, 1, _SPREAD)[:, 0] * mask


def contrast(sound: torch.Tensor, lips: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, temperature: float,
             others: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
    """InfoNCE (van den Oord et al. 2018): the sound of a frame must be told from that of all other frames of its clip
    by the lips of that frame, and the other way round. Direct neighbours (+-1 frame) are left out: nobody sees them.

    Args:
        sound, lips: unit vectors [B, D, T].
        weight: [B, T] of the frames.
        mask: [B, T], 1 inside the clips.
        others: lips [B, D, T] and mask [B, T] of other clips to tell the sound from as well.

    Returns:
        Scalar: 0 where they agree perfectly, log of the number of candidates where they know nothing of each other.
    """
    frames = sound.shape[2]
    logits = sound.transpose(1, 2) @ lips / temperature
    place = torch.arange(frames, device=sound.device)
    lag = place[None] - place[:, None]
    impossible = (lag.abs() == 1)[None] | (mask[:, None, :] == 0)
    from_sound = logits.masked_fill(impossible, -torch.inf)
    from_lips = logits.transpose(1, 2).masked_fill(impossible, -torch.inf)
    if others is not None:
        elsewhere = (sound.transpose(1, 2) @ others[0] / temperature).masked_fill(others[1][:, None] == 0, -torch.inf)
        from_sound = torch.cat([from_sound, elsewhere], dim=2)
    right = logits.diagonal(dim1=1, dim2=2)
    # Rows outside the mask may hold nothing but -inf: their weight is zero, their value must still be a number.
    outside = (mask == 0)[..., None]
    missed = [x.masked_fill(outside, 0).logsumexp(2) - right for x in (from_sound, from_lips)]
    return ((missed[0] + missed[1]) / 2 * weight).sum() / weight.sum().clamp(min=1)


def offset_of(similarity: np.ndarray, weight: np.ndarray) -> SyncResult:
    """Offset from the cosines [T, T] of every frame's sound (rows) with every frame's lips (columns).

    Args:
        weight: [T] of the rows.
    """
    frames = len(similarity)
    curve = np.full(2 * LAGS + 1, np.nan)
    for i, lag in enumerate(range(-LAGS, LAGS + 1)):
        rows = np.arange(max(0, -lag), min(frames, frames - lag))
        total = weight[rows].sum()
        # A lag under which little of the speech is left would be decided by a few frames.
        if total > 0.3 * weight.sum():
            mean = (similarity[rows, rows + lag] * weight[rows]).sum() / total
            curve[i] = np.sqrt(max(0.0, 2 - 2 * mean))
    if np.isnan(curve).all():
        return SyncResult(0.0, 0.0, float(np.sqrt(2)), curve)  # silence: nothing to go by
    best = int(np.nanargmin(curve))
    frame = float(best - LAGS)
    if 0 < best < 2 * LAGS and np.isfinite(curve[best - 1:best + 2]).all():
        before, here, after = curve[best - 1:best + 2] ** 2
        bend = before - 2 * here + after
        frame += 0.5 * (before - after) / bend if bend > 0 else 0.0
    return SyncResult(frame, float(np.nanmedian(curve) - curve[best]), float(curve[best]), curve)
