"""How the words of GRID sound (Cooke et al. 2006): British, letters by their names."""
from __future__ import annotations

from functools import lru_cache

from .engines import pronounced
from .phones import letters

# Letters as words that a text-to-speech engine reads as their names.
LETTERS = dict(a="eigh", b="bee", c="see", d="dee", e="ee", f="ef", g="jee", h="aitch", i="eye", j="jay", k="kay",
               l="ell", m="em", n="en", o="oh", p="pea", q="queue", r="are", s="ess", t="tea", u="you", v="vee", x="ex",
               y="why", z="zed")


def spoken(text: str) -> str:
    """A GRID sentence as an engine should read it."""
    return " ".join(LETTERS.get(word, word) for word in text.split()).capitalize() + "."


@lru_cache(maxsize=None)
def word_phones(word: str) -> tuple[tuple[str, float], ...]:
    """Phones of a word as (IPA letter, stress)."""
    ipa, out, stress = pronounced(LETTERS.get(word, word), "en"), [], 0.0
    for sign in ipa:
        stress = {"ˈ": 1.0, "ˌ": 0.5, " ": 0.0}.get(sign, stress)
        out += [(letter, stress) for letter in letters(sign)]
    return tuple(out)
