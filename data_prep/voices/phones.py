"""Phones as the lips know them: symbols of the International Phonetic Alphabet by what the mouth does for them."""
from __future__ import annotations

import unicodedata
from typing import NamedTuple

import numpy as np

FEATURES = ("silence", "vowel", "open", "back", "round", "bilabial", "labiodental", "dental", "alveolar",
            "postalveolar", "velar", "glottal", "stop", "nasal", "fricative", "approximant", "voiced", "stress")

_VOWELS = {  # open, back, round
    "i": (0.0, 0.0, 0.0), "y": (0.0, 0.0, 1.0), "ɨ": (0.0, 0.5, 0.0), "ɯ": (0.0, 1.0, 0.2), "u": (0.0, 1.0, 1.0),
    "ɪ": (0.2, 0.2, 0.0), "ʏ": (0.2, 0.2, 1.0), "ʊ": (0.2, 0.8, 0.8), "ᵻ": (0.2, 0.4, 0.0), "ʉ": (0.0, 0.5, 1.0),
    "e": (0.35, 0.0, 0.0), "ø": (0.35, 0.0, 1.0), "ɘ": (0.35, 0.5, 0.0), "ɵ": (0.35, 0.5, 0.8), "ɤ": (0.35, 1.0, 0.0),
    "o": (0.35, 1.0, 1.0), "ə": (0.45, 0.5, 0.1), "ɚ": (0.45, 0.5, 0.4), "ɛ": (0.6, 0.0, 0.0), "œ": (0.6, 0.0, 0.9),
    "ɜ": (0.55, 0.5, 0.2), "ɝ": (0.5, 0.5, 0.4), "ʌ": (0.7, 0.7, 0.0), "ɔ": (0.6, 1.0, 0.9), "æ": (0.85, 0.1, 0.0),
    "ɐ": (0.8, 0.5, 0.0), "a": (1.0, 0.3, 0.0), "ɶ": (1.0, 0.2, 0.8), "ɑ": (1.0, 1.0, 0.0), "ɒ": (0.9, 1.0, 0.6),
}
_PLACES = {
    "bilabial": "pbmɸβʙw", "labiodental": "fvɱʋ", "dental": "θð", "alveolar": "tdnszlrɾɬɫʂʐsɖʈɳɭɽ",
    "postalveolar": "ʃʒɹɕʑɻ", "velar": "kɡgŋxɣwɰʁʀχqç", "glottal": "hɦʔ",
}
_MANNERS = {"stop": "pbtdkɡgqʔʈɖ", "nasal": "mnŋɱɳɲ", "fricative": "fvθðszʃʒɕʑʂʐxɣçχʁhɦɸβɬ",
            "approximant": "wjɹɻlɫrɾʀʋɰɥɭɽ"}
_VOICELESS = "ptkqfθsʃɕʂxçχhɸʔʈɬ"
_ROUNDED = {"w": 1.0, "ʃ": 0.6, "ʒ": 0.6, "ɹ": 0.5, "ɥ": 1.0, "ɻ": 0.5}  # with the lips pushed forward
_SAME = {"g": "ɡ", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ʥ": "dʑ", "ʨ": "tɕ", "ɲ": "nj", "ʎ": "lj"}
_LOOSE = "w"  # at its place without closing it


class Phone(NamedTuple):
    """Attributes: symbol, one IPA letter, or "" for silence; start and end [s]; stress, 0 to 1."""

    symbol: str
    start: float
    end: float
    stress: float = 0.0


def letters(ipa: str) -> list[str]:
    """The IPA letters in `ipa` that are phones of their own: marks and unknown signs left out, affricates in two."""
    spelt = "".join(_SAME.get(sign, sign) for sign in unicodedata.normalize("NFD", ipa))
    return [sign for sign in spelt if sign in _VOWELS or sign in "jɥ" or any(sign in all_ for all_ in _PLACES.values())]


def features(phone: Phone) -> np.ndarray:
    """[len(FEATURES)] what the mouth does for a phone, each in [0, 1]."""
    values = dict.fromkeys(FEATURES, 0.0)
    symbol = phone.symbol
    if not symbol:
        values["silence"] = 1.0
    elif symbol in _VOWELS:
        values |= {"vowel": 1.0, "voiced": 1.0, "stress": phone.stress}
        values["open"], values["back"], values["round"] = _VOWELS[symbol]
    else:
        values |= {place: 1.0 for place, signs in _PLACES.items() if symbol in signs}
        values |= {manner: 1.0 for manner, signs in _MANNERS.items() if symbol in signs}
        values["round"], values["voiced"] = _ROUNDED.get(symbol, 0.0), float(symbol not in _VOICELESS)
        if symbol in _LOOSE:
            values["bilabial"] = 0.5
    return np.array([values[name] for name in FEATURES], np.float32)


def spread(ipa: str, start: float, end: float, stress: float = 0.0) -> list[Phone]:
    """The phones of a group such as a diphthong, each for an equal part of its time."""
    signs = letters(ipa)
    edges = np.linspace(start, end, len(signs) + 1)
    return [Phone(sign, float(a), float(b), stress) for sign, a, b in zip(signs, edges[:-1], edges[1:])]
