"""A folder of talking clips -> a motion corpus: the plan, its shards, and the index.

Work is done in shards of a few dozen files (`shard`), by processes or over a cluster (`workers`). Identities that
several shards share are found first. Everything finished is kept; the same command goes on from there.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from geneface.config import CorpusConfig
from geneface.corpus import FILE_NAME, FPS, SHARDS, read_shard_header, read_split, recording_of, write_index
from geneface.errors import UserError
from geneface.progress import say, track
from geneface.types import write_atomically

from .layouts import Source, find_sources
from .people import PERSON_CLIPS, chosen, find_person, person_file
from .shard import ShardTask, is_done, make_shard
from .workers import run_tasks

_FEWEST = 4  # files that a speaker's identity is found on
_SHARD_NAME = re.compile(r"[0-9a-f]{32}\.safetensors")


def prepare_corpus(folder: str | Path, out: str | Path, config: CorpusConfig = CorpusConfig(),
                   split_file: str | Path | None = None) -> dict[str, Any]:
    """Prepare a corpus.

    Args:
        folder: talking clips; GRID, LRS2, LRS3, VoxCeleb2 and HDTF are known by their names, else each speaker in a
            folder of their own (or one speaker's clips directly).
        out: folder for the corpus and what is kept for another run. Workers on several machines must see both folders
            under the same names.
        split_file: names of the clips to hold out; by default one of `config.held_out_every` by hash.

    Returns:
        clips, held_out, files, frames, seconds, speakers, dropped {reason: count}, layout, cpu_seconds_per_hour (of
        processor per hour of video taken), corpus (path).

    Raises:
        UserError: no clips, or none of use.
    """
    folder, out = Path(folder), Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder for the corpus with -o")
    _validate(config)
    sources = find_sources(folder, config.layout, config.people)
    tasks = plan(sources, config)
    shared = {sources: None for task in tasks for sources in task.people.values()}
    todo = [sources for sources in shared if not person_file(sources, out).is_file()]
    _finish(run_tasks(find_person, [(sources, out) for sources in todo], config.workers, config.cluster),
            "finding speakers", len(todo), "speakers")
    open_tasks = [task for task in tasks if not is_done(task.path(out, config))]
    _finish(run_tasks(make_shard, [(task, str(out), config) for task in open_tasks], config.workers, config.cluster),
            f"preparing {len(sources)} files", len(open_tasks), "shards")
    shards = [(path.name, read_shard_header(path)) for path in (task.path(out, config) for task in tasks)]
    _tidy(out, {name for name, _ in shards})
    spent = sum(header["cpu_seconds"] for _, header in shards) + sum(_person_seconds(s, out) for s in shared)
    return _index(folder, out, shards, split_file, config, sources[0].layout, spent)


def _validate(config: CorpusConfig) -> None:
    least = {"workers": 0, "shard_clips": 1, "renderings": 1, "held_out_every": 1, "longest_seconds": 1}
    for name, value in least.items():
        if getattr(config, name) < value:
            raise UserError(f"{name}: must be at least {value}, got {getattr(config, name)}")


def plan(sources: Sequence[Source], config: CorpusConfig) -> list[ShardTask]:
    """Shards of at most `shard_clips` files and `shard_mb`, one speaker's files together."""
    speakers = [tuple(files) for _, files in groupby(sorted(sources, key=lambda s: (s.speaker, s.name)),
                                                     key=lambda s: s.speaker)]
    shards: list[list[Source]] = [[]]
    size = 0
    for source in (source for files in speakers for source in files):
        if shards[-1] and (len(shards[-1]) >= config.shard_clips or size + source.size > 1e6 * config.shard_mb):
            shards.append([])
            size = 0
        shards[-1].append(source)
        size += source.size
    seen = Counter(speaker for shard in shards for speaker in {source.speaker for source in shard})
    people = {files[0].speaker: _representatives(files, config) for files in speakers if seen[files[0].speaker] > 1}
    return [ShardTask(tuple(shard), {s.speaker: people[s.speaker] for s in shard if s.speaker in people})
            for shard in shards]


def _representatives(files: tuple[Source, ...], config: CorpusConfig) -> tuple[Source, ...]:
    """Files on which a speaker's identity is found: fewer where they are long, a few at least."""
    share = 1e6 * config.shard_mb / max(1, sum(file.size for file in files))
    return tuple(chosen(files, max(_FEWEST, min(PERSON_CLIPS, int(share * len(files))))))


def split(names: Iterable[str], every: int) -> np.ndarray:
    """[C] bool: the clips of one recording of `every` are held out, chosen by the hash of its name: the same when the
    corpus grows."""
    return np.array([int(hashlib.sha256(recording_of(name).encode()).hexdigest(), 16) % every == 0 for name in names],
                    bool)


def _finish(results: Iterable[Any], description: str, total: int, unit: str) -> None:
    if total:
        for _ in track(results, description, total, unit):
            pass


def _person_seconds(sources: tuple[Source, ...], out: Path) -> float:
    with np.load(person_file(sources, out), allow_pickle=False) as stored:
        return float(stored["cpu_seconds"])


def _tidy(out: Path, wanted: set[str]) -> None:
    """Take away shards of earlier options and what killed workers left half-written."""
    for path in (out / SHARDS).iterdir():
        stale = _SHARD_NAME.fullmatch(path.name) and path.name not in wanted
        if stale or re.fullmatch(r"\.[0-9a-f]{32}\.\d+\.part\.safetensors", path.name):
            path.unlink(missing_ok=True)


def _index(folder: Path, out: Path, shards: list[tuple[str, dict[str, Any]]], split_file: str | Path | None,
           config: CorpusConfig, layout: str, spent: float) -> dict[str, Any]:
    """Write what lies beside the shards; returns what `prepare_corpus` does."""
    dropped = {name: reason for _, header in shards for name, reason in header["dropped"].items()}
    counts = Counter(dropped.values())
    names = [clip["name"] for _, header in shards for clip in header["clips"]]
    if not names:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
        raise UserError(f"{folder}: no clip is of use: {reasons}")
    held_out = read_split(Path(split_file), names) if split_file else split(names, config.held_out_every)
    frames = sum(header["starts"][-1] for _, header in shards)
    speakers = {clip["speaker"] for _, header in shards for clip in header["clips"]}
    digest = hashlib.sha256("".join(line for _, header in shards for line in header["sha256"]).encode()).hexdigest()
    info = {"folder": folder.resolve().name, "layout": layout, "clips": len(names), "held_out": int(held_out.sum()),
            "files": sum(len(header["sources"]) for _, header in shards), "speakers": len(speakers), "frames": frames,
            "seconds": round(frames / FPS, 1), "dropped": dict(counts.most_common()), "renderings": config.renderings,
            "streamed": config.streamed,
            "cpu_seconds_per_hour": round(spent / (frames / FPS) * 3600, 1), "sha256": digest}
    write_index(out, shards, held_out, config.renderings, info)
    write_atomically(out / "dropped.json", lambda part: part.write_text(json.dumps(dropped, indent=1), "utf-8"))
    write_atomically(out / "held_out.txt", lambda part: part.write_text(
        "".join(f"{name}\n" for name, test in zip(names, held_out) if test), "utf-8"))
    for reason, count in counts.most_common():
        say(f"dropped {count} clips: {reason}")
    return {key: value for key, value in info.items() if key not in ("folder", "sha256")} | {
        "corpus": str(out / FILE_NAME)}
