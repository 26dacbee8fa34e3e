"""The unit of work: a few dozen files of a corpus -> one shard of training clips.

A shard's name is the hash of all that it is made from, so that it is done where the file is there, whoever made it and
whenever: runs resume, several machines may work on one folder, and a shard made twice is the same file.
"""
from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneface.config import CorpusConfig
from geneface.corpus import SHARDS, ClipInfo, TrainingClip, read_shard_header, write_shard
from geneface.errors import UserError
from geneface.face.basis import load_basis

from .clips import Dropped, Recording, check, cut, load
from .layouts import Source
from .people import Person, Size, chosen, expression_of, find_person, fit_people
from .renderings import render
from .timing import offsets

_VERSION = 6  # raised when the code changes what a shard holds
_OPTIONS = ("longest_seconds", "min_valid", "max_second_face", "min_face_px", "max_fit_error", "max_offset_frames",
            "renderings", "seed")  # of the configuration, that change what a shard holds


@dataclass(frozen=True)
class ShardTask:
    """What one shard is made from.

    Attributes:
        sources: its files.
        people: for speakers with files in other shards too, those on which their identity is found.
    """

    sources: tuple[Source, ...]
    people: dict[str, tuple[Source, ...]]

    def key(self, config: CorpusConfig) -> str:
        """Hash of everything the shard depends on."""
        def files(sources: tuple[Source, ...]) -> list:
            return [[s.name, s.speaker, s.layout, s.size, s.changed] for s in sources]

        basis = [_VERSION, files(self.sources), {name: files(sources) for name, sources in self.people.items()},
                 {name: getattr(config, name) for name in _OPTIONS}, *["streamed"] * config.streamed,
                 *["not aligned"] * (not config.align)]
        return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:32]

    def path(self, folder: Path, config: CorpusConfig) -> Path:
        """Where the shard lies in the corpus folder."""
        return folder / SHARDS / f"{self.key(config)}.safetensors"


def is_done(path: Path) -> bool:
    """Whether the shard is there and whole (a damaged one is made again)."""
    if not path.is_file():
        return False
    try:
        read_shard_header(path)
    except UserError:
        return False
    return True


def make_shard(task: ShardTask, folder: str, config: CorpusConfig) -> str:
    """Make the shard unless it is there. Returns its file's name.

    Args:
        folder: of the corpus, seen under this name by every worker.
    """
    path = task.path(Path(folder), config)
    if is_done(path):
        return path.name
    begin = time.process_time()
    dropped: dict[str, str] = {}
    recordings = _checked(task.sources, Path(folder), config, dropped)
    tracked = _tracked(recordings, _people(task, recordings, Path(folder)), config, dropped)
    clips, expressions = [clip for clip, _ in tracked], [expression for _, expression in tracked]
    # Of the files, not of their number of renderings: more of them leave the first as they are.
    names = " ".join(source.name for source in task.sources)
    seed = int.from_bytes(hashlib.sha256(f"{names} {config.seed}".encode()).digest()[:8], "big")
    recorded = render(0, clips, seed, config.streamed)
    lags = offsets(clips, recorded, expressions)
    kept = []
    for i, (clip, lag) in enumerate(zip(clips, lags)):
        if lag is not None and abs(lag) > config.max_offset_frames:
            dropped[clip.name] = f"sound and picture are more than {config.max_offset_frames:g} frames apart"
        else:
            kept.append(i)
    clips, lags, expressions = ([x[i] for i in kept] for x in (clips, lags, expressions))
    if config.align:
        clips = [clip.moved(lag or 0.0) for clip, lag in zip(clips, lags)]
        recorded = render(0, clips, seed, config.streamed)
    else:
        recorded = [recorded[i] for i in kept]
    renderings = [recorded, *(render(number, clips, seed, config.streamed) for number in range(1, config.renderings))]
    basis = load_basis()
    shard = []
    for i, (clip, lag, expression) in enumerate(zip(clips, lags, expressions)):
        info = ClipInfo(clip.name, clip.speaker, clip.transcript.text, clip.transcript.words, lag)
        landmarks = np.asarray(basis.landmarks68(expression), np.float32)
        shard.append(TrainingClip(info, expression, landmarks, tuple(r[i] for r in renderings)))
    write_shard(path, shard, config.renderings, {
        "dropped": dropped, "sources": [source.name for source in task.sources],
        "sha256": [_digest(clip, expression) for clip, expression in zip(clips, expressions)],
        "cpu_seconds": round(time.process_time() - begin, 2),
    })
    if not config.keep_detections:
        for source in task.sources:
            (Path(folder) / "clips" / f"{source.name}.npz").unlink(missing_ok=True)
    return path.name


def _checked(sources: tuple[Source, ...], folder: Path, config: CorpusConfig,
             dropped: dict[str, str]) -> list[Recording]:
    """The files' clips that pass; the others' reasons go to `dropped`."""
    clips = []
    for source in sources:
        try:
            parts = cut(load(source, folder / "clips"), config)
        except Dropped as error:
            dropped[source.name] = str(error)
            continue
        if not parts:
            dropped[source.name] = "no face"
        for clip in parts:
            try:
                check(clip, config)
                clips.append(clip)
            except Dropped as error:
                dropped[clip.name] = str(error)
    return clips


def _people(task: ShardTask, clips: list[Recording], folder: Path) -> dict[tuple[str, Size], Person]:
    """Everybody in the shard, by speaker and picture size."""
    people = {(speaker, size): person for speaker, sources in task.people.items()
              for size, person in find_person(sources, folder).items()}
    groups: dict[tuple[str, Size], list[Recording]] = {}
    for clip in clips:
        if (clip.speaker, clip.size) not in people:
            groups.setdefault((clip.speaker, clip.size), []).append(clip)
    for (speaker, size), members in groups.items():
        people[speaker, size] = fit_people([clip.detections for clip in chosen(members)], size)
    return people


def _tracked(clips: list[Recording], people: dict[tuple[str, Size], Person], config: CorpusConfig,
             dropped: dict[str, str]) -> list[tuple[Recording, np.ndarray]]:
    """Clip and expression weights [T,52] of those that the head basis fits."""
    tracked = []
    for clip in clips:
        try:
            tracked.append((clip, expression_of(clip, people[clip.speaker, clip.size], config.max_fit_error)))
        except Dropped as error:
            dropped[clip.name] = str(error)
    return tracked


def _digest(clip: Recording, expression: np.ndarray) -> str:
    """Of a clip's name, sound and motion: what a model was trained on."""
    digest = hashlib.sha256(clip.name.encode())
    digest.update(clip.audio.tobytes())
    digest.update(np.round(expression, 3).astype(np.float32).tobytes())
    return digest.hexdigest()
