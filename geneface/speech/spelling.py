"""How English words sound that no dictionary has: names, made-up words, numbers, foreign words.

Letters become phones (ARPAbet, as in CMUdict) by rules, the longest that fits first. They are coarse: enough to say
when a word is spoken, not how.
"""
from __future__ import annotations

import re
import unicodedata

# Letters to phones; ^ and $ stand for the word's beginning and end.
_RULES = {
    "tion": "SH AH N", "sion": "ZH AH N", "ture": "CH ER", "ough": "AO", "augh": "AO", "eigh": "EY", "igh": "AY",
    "tch": "CH", "sch": "SH", "dge": "JH", "ck": "K", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "gh": "G",
    "wh": "W", "qu": "K W", "ng": "NG", "nk": "NG K", "^kn": "N", "^wr": "R", "^ps": "S", "^x": "Z", "^y": "Y",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oi": "OY", "oy": "OY", "ai": "EY", "ay": "EY",
    "au": "AO", "aw": "AO", "ie": "IY", "ei": "EY", "ey": "IY", "eu": "Y UW", "ew": "Y UW", "oa": "OW", "ue": "UW",
    "ui": "UW", "ar": "AA R", "er": "ER", "ir": "ER", "or": "AO R", "ur": "ER", "ce": "S EH", "ci": "S IH",
    "cy": "S IY", "ge": "JH EH", "gi": "JH IH", "ce$": "S", "ge$": "JH", "le$": "AH L", "es$": "AH Z", "ed$": "D",
    "e$": "", "y$": "IY", "a$": "AH", "o$": "OW", "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F",
    "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA",
    "p": "P", "q": "K", "r": "R", "s": "S", "t": "T",
    "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IH", "z": "Z",
}
_LETTERS = dict(zip("abcdefghijklmnopqrstuvwxyz", (
    "EY", "B IY", "S IY", "D IY", "IY", "EH F", "JH IY", "EY CH", "AY", "JH EY", "K EY", "EH L", "EH M", "EH N", "OW",
    "P IY", "K Y UW", "AA R", "EH S", "T IY", "Y UW", "V IY", "D AH B AH L Y UW", "EH K S", "W AY", "Z IY")))
_ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
         "seventeen eighteen nineteen").split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_FOREIGN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "th", "þ": "th"}
_LONGEST = max(map(len, _RULES))


def latin(text: str) -> str:
    """Lower-case text without accents, and with straight apostrophes."""
    text = text.lower().replace("’", "'")
    text = "".join(_FOREIGN.get(letter, letter) for letter in text)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def spoken(token: str) -> list[str]:
    """The English words, lower-case letters and apostrophes, that are said for a piece of text without spaces; [] for
    punctuation, and for scripts other than Latin."""
    parts = re.findall(r"[0-9]+|[a-z]+(?:'[a-z]+)*", latin(token))
    return [word for part in parts for word in (number(part) if part.isdigit() else [part])]


def number(digits: str) -> list[str]:
    """Words of a whole number: up to 999999 as one, beyond and with leading zeros digit by digit."""
    value = int(digits) if len(digits) <= 6 else -1
    if value < 0 or (len(digits) > 1 and digits[0] == "0"):
        return [_ONES[int(digit)] for digit in digits]
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10 - 2]] + ([_ONES[value % 10]] if value % 10 else [])
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    rest = number(str(value % size)) if value % size else []
    return [*number(str(value // size)), name, *rest]


def phones(word: str) -> str:
    """ARPAbet phones of a word of letters a to z and apostrophes, from its spelling alone."""
    word = word.replace("'", "")
    if len(word) == 1 or not set(word) & set("aeiouy"):  # said letter by letter
        return " ".join(_LETTERS[letter] for letter in word)
    marked, at, result = f"^{word}$", 1, []
    while marked[at] != "$":
        # A rule for the beginning takes the mark before the first letter, too; one for the end, that after the last.
        pieces = [(start, stop) for start in ({0, 1} if at == 1 else {at})
                  for stop in range(at + 1, min(at + _LONGEST, len(marked)) + 1)]
        for start, stop in sorted(pieces, key=lambda piece: piece[0] - piece[1]):
            sound = _RULES.get(marked[start:stop])
            if sound is not None:
                break
        if sound and not (result and result[-1] == sound):  # a doubled letter is one sound
            result.append(sound)
        at = min(stop, len(marked) - 1)
    return " ".join(result) or _LETTERS[word[0]]
