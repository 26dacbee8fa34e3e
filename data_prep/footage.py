"""The clips that a person is made of: one after another, as if they were one long take with jumps."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.report import Verdict

from .preflight.examine import Examination, Source, cut_sound


@dataclass(frozen=True)
class Clip:
    """What one video gives.

    Attributes:
        source: the video.
        sha256: of its bytes.
        seen: what was found out about it.
        label: its name in messages, not shared by another clip of the person.
        first: the person's frame that its first one is.
    """

    source: Source
    sha256: str
    seen: Examination
    label: str
    first: int

    @property
    def frames(self) -> slice:
        """Its frames among the person's."""
        return slice(self.first, self.first + len(self.seen.take))

    def to_json(self) -> dict[str, Any]:
        """What leads from the person's frames back to the video."""
        info, take = self.source.info, self.seen.take
        return {
            "source": {"name": info.path.name, "path": str(info.path.resolve()), "sha256": self.sha256,
                       "seconds": info.duration, "fps": info.fps, "width": info.width, "height": info.height,
                       "start_frame": take.start, "stop_frame": take.stop, "interlaced": self.seen.interlaced},
            "crop": self.seen.crop.to_json(), "first_frame": self.first, "frames": len(take),
        }


@dataclass(frozen=True)
class Footage:
    """All clips of a person, in order."""

    clips: tuple[Clip, ...]

    @classmethod
    def of(cls, sources: Sequence[Source], hashes: Sequence[str], seen: Sequence[Examination]) -> "Footage":
        """One after another.

        Args:
            sources: the videos.
            hashes: SHA-256 of each.
            seen: what was found out about each.
        """
        labels = clip_labels(sources)
        firsts = np.cumsum([0, *(len(each.take) for each in seen)])
        return cls(tuple(Clip(*parts, int(first)) for *parts, first in zip(sources, hashes, seen, labels, firsts)))

    def __len__(self) -> int:
        return sum(len(clip.seen.take) for clip in self.clips)

    @property
    def jumps(self) -> tuple[int, ...]:
        """First frames after jumps: those within clips, and where clips meet."""
        found = [clip.first + jump for clip in self.clips for jump in (0, *clip.seen.take.jumps)]
        return tuple(found[1:])

    def spread(self, count: int) -> list[int]:
        """About so many frames, spread evenly over each clip; some of every clip."""
        chosen: set[int] = set()
        for clip in self.clips:
            frames = len(clip.seen.take)
            share = min(frames, count if len(self.clips) == 1 else max(8, round(count * frames / len(self))))
            chosen |= {clip.first + int(i) for i in np.linspace(0, frames - 1, share)}
        return sorted(chosen)

    def sound(self, config: PrepareConfig, shifts: Sequence[float]) -> np.ndarray:
        """[N] float32: the clips' sound, each moved by its share, exactly as long as all frames.

        Args:
            shifts: how much later than its picture each clip's sound is [frames].
        """
        ends = [round((clip.first + len(clip.seen.take)) / config.fps * config.sample_rate) for clip in self.clips]
        whole = np.zeros(ends[-1], np.float32)
        for clip, shift, begin, end in zip(self.clips, shifts, [0, *ends[:-1]], ends):
            piece = cut_sound(clip.seen.sound, clip.seen.take, config, shift)[0][:end - begin]
            whole[begin:begin + len(piece)] = piece
        return whole


def clip_labels(sources: Sequence[Source]) -> list[str]:
    """The videos' names; whole paths where names are shared."""
    names = [source.path.name for source in sources]
    return [name if names.count(name) == 1 else str(source.path) for name, source in zip(names, sources)]


def require_different(sources: Sequence[Source], hashes: Sequence[str]) -> None:
    """Raises UserError where one video is given twice: what is measured must not have been learned from."""
    for index, digest in enumerate(hashes):
        if digest in hashes[:index]:
            other = sources[hashes.index(digest)].path
            raise UserError(f"{sources[index].path}: holds the same as {other}; give each clip once")


def labelled(labels: Sequence[str], verdicts: Sequence[list[Verdict]]) -> list[Verdict]:
    """All clips' verdicts in a row; with several clips, each says whose it is."""
    if len(labels) == 1:
        return list(verdicts[0])
    return [replace(verdict, check=f"{label}: {verdict.check}") for label, of in zip(labels, verdicts) for verdict in of]
