"""Subtitles, SRT and WebVTT, from the words of a motion.

Captions break where the speaker pauses, after the end of a sentence, and before they grow past two lines of 42 letters
or seven seconds, about as broadcasters set them. WebVTT marks each word with the time at which it is said, for players
that show speech word by word; the formats `srt-words` and `vtt-words` give each word a caption.
"""
from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..types import MotionSequence, write_atomically
from ..types.motion import Word
from . import WriteOptions, format_of

LINE, LINES = 42, 2
LONGEST = 7.0
"""The longest that a caption lasts [s]."""
PAUSE = 0.6
"""So long a silence between words ends a caption [s]."""
LINGER = 0.4
"""How much longer than its last word a caption stays, where no other follows [s]."""
_SENTENCE = (".", "!", "?", "…")


def write(motion: MotionSequence, path: Path, options: WriteOptions) -> dict[str, int]:
    """Write captions. Returns `captions`, their number.

    Raises:
        UserError: the words of the motion are not known.
    """
    words = [word for word in motion.words if word[2].strip()]
    if not words:
        raise UserError(f"{path}: the words of this motion are not known; make it with geneface speak --transcript TEXT")
    name = format_of(path, options.format).name
    captions = [[word] for word in words] if name.endswith("-words") else group(words)
    spans = _spans(captions)
    text = _srt(captions, spans) if name.startswith("srt") else _vtt(captions, spans)
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return {"captions": len(captions)}


def group(words: Sequence[Word]) -> list[list[Word]]:
    """Words that share a caption."""
    captions: list[list[Word]] = []
    for word in words:
        last = captions[-1] if captions else None
        goes_on = last and word[0] - last[-1][1] < PAUSE and not last[-1][2].strip().endswith(_SENTENCE)
        if goes_on and len(_lines([*last, word])) <= LINES and word[1] - last[0][0] <= LONGEST:
            last.append(word)
        else:
            captions.append([word])
    return captions


def _spans(captions: list[list[Word]]) -> list[tuple[int, int]]:
    """When each caption is shown [ms]: never two at once, each for at least a millisecond."""
    starts = [round(caption[0][0] * 1000) for caption in captions]
    spans: list[tuple[int, int]] = []
    for i, caption in enumerate(captions):
        start = max(starts[i], spans[-1][1] if spans else 0)
        end = round((caption[-1][1] + LINGER) * 1000)
        spans.append((start, max(min(end, starts[i + 1]) if i + 1 < len(starts) else end, start + 1)))
    return spans


def _lines(caption: Sequence[Word]) -> list[list[Word]]:
    """Words of a caption in lines of at most `LINE` letters; a single longer word has a line of its own."""
    lines: list[list[Word]] = []
    for word in caption:
        if lines and len(_text([*lines[-1], word])) <= LINE:
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _text(words: Sequence[Word]) -> str:
    """Words as they are read, without line breaks and the arrow that would look like times."""
    return " ".join(" ".join(word.replace("-->", "→").split()) for _, _, word in words)


def _srt(captions: list[list[Word]], spans: list[tuple[int, int]]) -> str:
    blocks = []
    for number, (caption, (start, end)) in enumerate(zip(captions, spans), 1):
        text = "".join(_text(line) + "\n" for line in _lines(caption))
        blocks.append(f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}")
    return "\n".join(blocks)


def _vtt(captions: list[list[Word]], spans: list[tuple[int, int]]) -> str:
    blocks = ["WEBVTT\n"]
    for caption, (start, end) in zip(captions, spans):
        last, lines = start, []
        for line in _lines(caption):
            parts = []
            for word in line:
                said = round(word[0] * 1000)
                # A mark must lie within its caption and after the mark before.
                mark = f"<{_clock(said, '.')}>" if last < said < end else ""
                parts.append(mark + html.escape(_text([word]), quote=False))
                last = max(last, said)
            lines.append(" ".join(parts) + "\n")
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n" + "".join(lines))
    return "\n".join(blocks)


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
