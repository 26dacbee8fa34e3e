"""How the sentences of GRID sound (Cooke et al. 2006): British, letters by their names; and when."""
from __future__ import annotations

from functools import lru_cache

from geneface.corpus import MotionCorpus
from geneface.errors import UserError

from .align import Sentence, align
from .engines import pronounced
from .phones import Phone, letters

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


def aligned(corpus: MotionCorpus) -> list[tuple[Phone, ...]]:
    """Phones of the clips of a corpus of GRID sentences, found on those that are not held out.

    Raises:
        UserError: the words of a clip are not timed.
    """
    sentences = []
    for i in range(len(corpus)):
        about = corpus.about(i)
        if not about.words:
            raise UserError(f"{corpus.path}: the words of {about.name} are not timed; phones are found in sentences "
                            "whose words are (GRID's .align files or alignments.json)")
        sentences.append(Sentence(corpus.clip(i).content.numpy(), about.words))
    return align(sentences, word_phones, corpus.train)
