"""Where corpora keep their clips: which files there are, who speaks in each, where its words and its sound lie."""
from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from geneface.corpus import recording_of
from geneface.errors import UserError

from . import transcripts
from .transcripts import Transcript

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"}
AUDIO_SUFFIXES = (".wav", ".m4a", ".flac", ".aac", ".mp3")
_SHARE = 0.9  # of the names looked at that must fit a layout
_LOOKED_AT = 200  # names


@dataclass(frozen=True, slots=True)
class Source:
    """A video file of the corpus.

    Attributes:
        path: the file.
        name: its path below the corpus folder, without suffix.
        speaker: files with the same one show one person at one zoom.
        layout: name of the corpus' layout.
        size: of the file [bytes].
        changed: when it was last written [ns].
    """

    path: str
    name: str
    speaker: str
    layout: str
    size: int
    changed: int

    def transcript(self) -> Transcript:
        """What is said, where the corpus knows. Raises UserError for an unreadable file."""
        return _TRANSCRIPTS[self.layout](Path(self.path))

    def audio(self) -> Path | None:
        """A sound file that belongs to a video without sound: beside it, or in VoxCeleb2's `aac` tree."""
        path = Path(self.path)
        places = [path]
        if "mp4" in path.parts[:-1]:
            at = len(path.parts) - 1 - path.parts[::-1].index("mp4", 1)
            places.append(Path(*path.parts[:at], "aac", *path.parts[at + 1:]))
        return next((f for p in places for s in AUDIO_SUFFIXES if (f := p.with_suffix(s)).is_file()), None)


def find_sources(folder: Path, layout: str = "auto", people: str = "auto") -> list[Source]:
    """All video files below `folder`, by name.

    Args:
        layout: grid, lrs, voxceleb, hdtf or plain; auto looks at the names.
        people: who shares an identity. auto: as the layout has it; folder: the files of one folder; file: nobody.

    Raises:
        UserError: no such folder, no videos, or an unknown layout.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of talking clips")
    for value, name, known in ((layout, "layout", ("auto", *LAYOUTS)), (people, "people", ("auto", "folder", "file"))):
        if value not in known:
            raise UserError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    files = sorted(file for file in _files(folder) if Path(file.name).suffix.lower() in VIDEO_SUFFIXES)
    if not files:
        raise UserError(f"{folder}: holds no video clip ({', '.join(sorted(VIDEO_SUFFIXES))})")
    relative = [PurePosixPath(file.relative_to(folder).as_posix()) for file in files]
    layout = recognise(folder, relative) if layout == "auto" else layout
    speaker_of = {"auto": LAYOUTS[layout], "folder": _by_folder, "file": _by_file}[people]
    often = Counter(path.with_suffix("") for path in relative)
    sources = []
    for file, path in zip(files, relative):
        status = file.stat()
        plain = path.with_suffix("")
        # a.mp4 beside a.avi: two clips. And a#1.mp4 is not the first part of a.mp4.
        clear = often[plain] == 1 and recording_of(plain.name) == plain.name
        name = (plain if clear else path).as_posix()
        sources.append(Source(str(file.absolute()), name, speaker_of(plain) or folder.resolve().name, layout,
                              status.st_size, status.st_mtime_ns))
    return sources


def _files(folder: Path) -> list[Path]:
    """Regular files below `folder`, hidden ones left out. Links are followed, into each folder once: a loop ends."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [path for name in names if not name.startswith(".") and (path := Path(parent, name)).is_file()]
    return found


def recognise(folder: Path, relative: list[PurePosixPath]) -> str:
    """The layout that most of the names fit."""
    chosen = np.unique(np.linspace(0, len(relative) - 1, _LOOKED_AT).round().astype(int))
    names = [relative[i] for i in chosen]

    def share(fits) -> float:
        return sum(bool(fits(name)) for name in names) / len(names)

    if share(lambda p: transcripts.grid_sentence(p.stem)) >= _SHARE:
        return "grid"
    if share(lambda p: _VOXCELEB.search(f"/{p.parent}/")) >= _SHARE:
        return "voxceleb"
    if share(lambda p: _HDTF.match(p.stem)) >= _SHARE:
        return "hdtf"
    if share(lambda p: _starts_with_text(folder / p.with_suffix(".txt"))) >= _SHARE:
        return "lrs"
    return "plain"


_VOXCELEB = re.compile(r"/id\d{5}/")
_HDTF = re.compile(r"(RD|WDA|WRA)_")  # radio, weekly address of Democrats, of Republicans
_PROGRAMME = re.compile(r"\d{15,}")  # LRS2 names its folders so; LRS3's are YouTube's eleven letters


def _starts_with_text(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(5) == b"Text:"
    except OSError:
        return False


def _by_folder(path: PurePosixPath) -> str:
    return "" if path.parent == PurePosixPath(".") else path.parent.as_posix()


def _by_file(path: PurePosixPath) -> str:
    return path.as_posix()


def _lrs_speaker(path: PurePosixPath) -> str:
    """A folder of LRS3 is a talk, by one person; one of LRS2 a programme with many."""
    return path.as_posix() if _PROGRAMME.fullmatch(path.parent.name) else _by_folder(path)


def _hdtf_speaker(path: PurePosixPath) -> str:
    """`WDA_BarackObama_000_12`: clip 12 of video 000."""
    return re.sub(r"(_\d+)_\d+$", r"\1", path.as_posix())


LAYOUTS = {
    "grid": _by_folder, "lrs": _lrs_speaker, "voxceleb": _by_folder, "hdtf": _hdtf_speaker, "plain": _by_folder,
}


def _grid_transcript(path: Path) -> Transcript:
    """Text and spelling from the name; word timings from an `.align` file (beside the clip or in a folder `align`, as
    the corpus comes) or from `<folder>_alignments.json` beside the folder."""
    text = transcripts.grid_sentence(path.stem)
    align = f"{path.stem}.align"
    for place in (path.with_name(align), path.parent / "align" / align, path.parent.parent / "align" / align,
                  path.parent.parent / "align" / path.parent.name / align):
        if place.is_file():
            return Transcript(text, transcripts.spelled(text, transcripts.read_align(place)))
    table = path.parent.with_name(f"{path.parent.name}_alignments.json")
    words = transcripts.read_alignments(table).get(path.stem) if table.is_file() else None
    return Transcript(text, transcripts.spelled(text, words))


def _text_beside(path: Path) -> Transcript:
    """Of a `.txt` file beside the clip: in the form of LRS where it has that, else as it stands."""
    text = path.with_suffix(".txt")
    if not text.is_file():
        return Transcript()
    return transcripts.read_lrs(text) if _starts_with_text(text) else transcripts.read_plain(text)


_TRANSCRIPTS = {
    "grid": _grid_transcript, "lrs": _text_beside, "voxceleb": _text_beside, "hdtf": _text_beside,
    "plain": _text_beside,
}
