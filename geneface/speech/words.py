"""When each word of a known text is spoken: forced alignment with PocketSphinx and its English model.

A word that its dictionary (CMUdict) lacks is timed by its spelling (`spelling.phones`). The text must be what is said,
all of it and in order; pauses, breaths and silence between words are found by themselves. Text in a language other than
English, but in Latin letters, is taken as if it were English: its words come out roughly where they are.
"""
from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..extras import need
from ..guard import read_text
from ..types.motion import Word
from .spelling import phones, spoken

RATE = 16000
_FRAMES_PER_S = 100
_MOST_WORDS_PER_S = 8.0  # the fastest talkers say six
_TEXT_LIMIT = 1 << 20  # of a transcript [bytes]


@dataclass(frozen=True)
class Alignment:
    """Attributes:
        words: in order, as the text writes them.
        spelled: those of them that the dictionary lacks.
    """

    words: tuple[Word, ...]
    spelled: tuple[str, ...]


def align(samples: np.ndarray, text: str) -> Alignment:
    """The words of `text` in time.

    Args:
        samples: [N] sound at 16 kHz, float in [-1,1].

    Raises:
        UserError: PocketSphinx is missing, there are no English words, or they do not fit the sound.
    """
    need("words", "--transcript")
    from pocketsphinx import Decoder, set_loglevel

    tokens = [(token, spoken(token)) for token in text.split()]
    said = [(token, parts) for token, parts in tokens if parts]
    silent = sum(any(map(str.isalnum, token)) for token, parts in tokens if not parts)
    if silent >= len(said):
        raise UserError("--transcript: no English words in Latin letters; other languages have their words timed "
                        "elsewhere and given with --words FILE")
    seconds = len(samples) / RATE
    if len(said) > max(1, _MOST_WORDS_PER_S * seconds):
        raise UserError(f"--transcript: {len(said)} words in {seconds:.1f} s of sound; give the text of this recording "
                        "only")

    set_loglevel("FATAL")
    decoder = Decoder(lm=None, samprate=RATE, loglevel="FATAL")
    keys, spelled, known = [], [], {}
    for token, parts in said:
        name = " ".join(parts)
        if name not in known:
            entry = decoder.lookup_word(name)
            known[name] = name
            if entry is None:  # several words in one, or unknown
                sounds = [decoder.lookup_word(part) for part in parts]
                if None in sounds:
                    spelled.append(token)
                known[name] = f"_{len(known)}"
                decoder.add_word(known[name], " ".join(s or phones(part) for s, part in zip(sounds, parts)), True)
        keys.append(known[name])
    decoder.set_align_text(" ".join(keys))
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    names = set(keys)
    found = [(segment.start_frame / _FRAMES_PER_S, (segment.end_frame + 1) / _FRAMES_PER_S)
             for segment in (decoder.seg() or ()) if segment.word.split("(")[0] in names]
    if decoder.hyp() is None or len(found) != len(said):
        raise UserError("--transcript: the text does not fit the sound; it must be all that is said, word for word, in "
                        "English")
    words = tuple((begin, min(end, seconds), token) for (begin, end), (token, _) in zip(found, said))
    return Alignment(words, tuple(spelled))


def read_transcript(given: str | Path) -> str:
    """The text itself, or that of the file of this name.

    Raises:
        UserError: no such file, or not text.
    """
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:  # too long to be a name
        is_file = False
    if is_file:
        return read_text(path, _TEXT_LIMIT)
    if path.suffix.lower() in (".txt", ".srt", ".vtt", ".lab"):
        raise UserError(f"{path}: no such file")
    return str(given)


def read_words(path: str | Path) -> tuple[Word, ...]:
    """Known timings: a JSON list of [begin s, end s, word], in order.

    Raises:
        UserError: missing, or something else.
    """
    path = Path(path)
    try:
        rows = json.loads(read_text(path, _TEXT_LIMIT))
        words = tuple((float(begin), float(end), word) for begin, end, word in rows)
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: no word timings; they are JSON, as [[0.1, 0.4, \"hello\"], ...]") from error
    last = 0.0
    for begin, end, word in words:
        if not (isinstance(word, str) and word and math.isfinite(end) and last <= begin <= end):
            raise UserError(f"{path}: the word {str(word)[:40]!r} at {begin:g} to {end:g} s is out of order")
        last = begin
    return words
