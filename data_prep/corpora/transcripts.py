"""What is said in a clip, and when, from the files that lip-reading corpora keep it in."""
from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from geneface.errors import UserError

Word = tuple[float, float, str]

_GRID_NAME = re.compile(r"[blps][bgrw][abiw][a-z][z1-9][anps]")
_GRID_WORDS = (
    dict(b="bin", l="lay", p="place", s="set"), dict(b="blue", g="green", r="red", w="white"),
    dict(a="at", b="by", i="in", w="with"), None,
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split())),
    dict(a="again", n="now", p="please", s="soon"),
)
_GRID_TICKS = 25000  # of an .align file, per second
_SILENCE = {"sil", "sp"}


@dataclass(frozen=True)
class Transcript:
    """Attributes: text, what is said, or None; words, (start [s], end [s], word) in order, or None."""

    text: str | None = None
    words: tuple[Word, ...] | None = None

    def between(self, start: float, end: float) -> "Transcript":
        """Of the part from `start` to `end` [s]: the words whose middle lies there, in the part's own time. A text
        without timings cannot be cut."""
        if self.words is None:
            return Transcript()
        inside = [word for word in self.words if start <= (word[0] + word[1]) / 2 < end]
        words = tuple((max(0.0, a - start), min(b, end) - start, word) for a, b, word in inside)
        return Transcript(" ".join(word for *_, word in words) or None, words)

    def later(self, seconds: float) -> "Transcript":
        """With all words so much later, none before the beginning."""
        words = self.words
        return self if words is None else replace(self, words=tuple(
            (max(0.0, a + seconds), max(0.0, b + seconds), word) for a, b, word in words))


def grid_sentence(stem: str) -> str | None:
    """The six words that a GRID clip's name spells (Cooke et al. 2006), or None for another name."""
    if not _GRID_NAME.fullmatch(stem):
        return None
    return " ".join(letter if words is None else words[letter] for letter, words in zip(stem, _GRID_WORDS))


def read_align(path: Path) -> tuple[Word, ...]:
    """Words of a GRID `.align` file: start, end (1/25000 s) and word a line. Raises UserError."""
    words = []
    for line in _text(path).splitlines():
        parts = line.split()
        if not parts:
            continue
        try:
            start, end, word = float(parts[0]) / _GRID_TICKS, float(parts[1]) / _GRID_TICKS, parts[2]
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}: expected 'start end word' lines, got {line!r}") from error
        if word not in _SILENCE:
            words.append((start, end, word))
    return tuple(words)


def spelled(text: str | None, words: tuple[Word, ...] | None) -> tuple[Word, ...] | None:
    """Timed words as `text` spells them, where there is one time for each (aligners write 'fe' for the letter f)."""
    if not text or not words or len(words) != len(text.split()):
        return words
    return tuple((start, end, word) for (start, end, _), word in zip(words, text.split()))


@lru_cache(maxsize=4)
def read_alignments(path: Path) -> dict[str, tuple[Word, ...]]:
    """Words of every clip of a JSON file: name -> [[start s, end s, word], ...]. Raises UserError."""
    try:
        return {name: tuple((float(a), float(b), str(word)) for a, b, word in rows if word not in _SILENCE)
                for name, rows in json.loads(_text(path)).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: expected {{clip: [[start, end, word], ...]}} ({error})") from error


def read_lrs(path: Path) -> Transcript:
    """The `.txt` beside a clip of LRS2 or LRS3: `Text: ...`, other `Key: value` lines, and where the corpus times its
    words, a table headed `WORD START END ASDSCORE` (seconds). Raises UserError."""
    text: str | None = None
    words: list[Word] | None = None
    for line in _text(path).splitlines():
        parts = line.split()
        if line.startswith("Text:"):
            text = " ".join(parts[1:]) or None
        elif parts[:3] == ["WORD", "START", "END"]:
            words = []
        elif words is not None and len(parts) >= 3:
            try:
                words.append((float(parts[1]), float(parts[2]), parts[0]))
            except ValueError as error:
                raise UserError(f"{path}: expected 'word start end' lines, got {line!r}") from error
    return Transcript(text, None if words is None else tuple(words))


def read_plain(path: Path) -> Transcript:
    """A text file that holds what is said. Raises UserError."""
    return Transcript(" ".join(_text(path).split()) or None)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: unreadable ({error})") from error
