"""How near forced alignment comes to known word timings, on GRID.

    python tools/words_study.py GRID_FOLDER [--sentences 60]

GRID_FOLDER holds s1/*.mp4 and s1_alignments.json. Prints the error of the words' begins and ends [s], with the
dictionary's pronunciations and, as if no word were in it, with those that their spelling gives.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from geneface.media import read_audio
from geneface.speech import words

TABLES = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"}, {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"}, {letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split())),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--sentences", type=int, default=60)
    given = options.parse_args()
    known = json.loads((given.folder / "s1_alignments.json").read_text())
    names = sorted(known)[:: max(1, len(known) // given.sentences)][:given.sentences]
    sounds = {name: read_audio(given.folder / "s1" / f"{name}.mp4") for name in names}
    import pocketsphinx

    class Unlettered(pocketsphinx.Decoder):
        def lookup_word(self, word):
            return None

    for title, decoder in (("dictionary", pocketsphinx.Decoder), ("spelling", Unlettered)):
        errors, began = [], time.process_time()
        with patch("pocketsphinx.Decoder", decoder):
            for name in names:
                text = " ".join(table[letter] for table, letter in zip(TABLES, name))
                truth = [row for row in known[name] if row[2] not in ("sil", "sp")]
                found = words.align(sounds[name], text).words
                errors += [[ours[side] - theirs[side] for side in (0, 1)]
                           for ours, theirs in zip(found, truth, strict=True)]
        wrong, seconds = np.array(errors), sum(map(len, sounds.values())) / words.RATE
        print(f"{title:<11} {len(wrong)} words: median {np.median(np.abs(wrong)):.3f} s, p90 "
              f"{np.quantile(np.abs(wrong), 0.9):.3f}, most {np.abs(wrong).max():.2f}; bias of begins "
              f"{wrong[:, 0].mean():+.3f}, ends {wrong[:, 1].mean():+.3f}; "
              f"{seconds / (time.process_time() - began):.0f} times real time")


if __name__ == "__main__":
    main()
