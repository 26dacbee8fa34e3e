"""How often the mouth cue at a phone of generated speech is one that animators draw for it.

    python tools/cues_study.py GRID_FOLDER [--sentences 100]

GRID_FOLDER holds the GRID corpus' talker s1 (s1/*.mp4 and s1_alignments.json). Phones are found by PocketSphinx (extra
`words`). The thresholds of geneface.formats.cues were chosen on the first half of the sentences; both halves are shown.
"""
from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from geneface.formats.cues import Cue, mouth_cues
from geneface.media import read_audio
from geneface.motion.predict import predict
from geneface.speech.features import extract

# The mouths that Rhubarb's rules draw for phones, and those next to them where it chooses by what stands beside.
WANTED = {
    "p b m": ("P B M", "A"), "oo w ow": ("UW W OW", "FE"), "ao er uh": ("AO ER UH", "EF"),
    "aa ay aw": ("AA AY AW", "DC"), "eh ae ah ey": ("EH AE AH EY", "CD"), "f v": ("F V", "G"),
    "other consonants, ee ih": ("K S T D N Z R L TH DH CH JH G NG Y SH IY IH", "BC"),
}
GROUP = {phone: group for group, (phones, _) in WANTED.items() for phone in phones.split()}
BRIEF = {"p b m", "f v"}  # looked for within 0.08 s of their middle: alignments err by two frames
Phone = tuple[float, float, str]


def phones_of(samples: np.ndarray, words: list[str]) -> list[Phone] | None:
    """Start [s], end [s] and name of the phones of known words, or None where they do not fit."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(words))
        for _ in range(2):  # words, then the phones in them
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
            if not decoder.get_alignment():
                decoder.set_alignment()
        return [(phone.start / 100, (phone.start + phone.duration) / 100, phone.name)
                for word in decoder.get_alignment() for phone in word if phone.name in GROUP]
    except RuntimeError:
        return None


def score(clips: list[tuple[list[Cue], list[Phone]]], shift: float = 0.0) -> dict[str, list[bool]]:
    """Of every phone whether a wanted cue is there; with all phones `shift` seconds later, what chance gives."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for cues, phones in clips:
        for start, end, name in phones:
            group = GROUP[name]
            around = 0.08 if group in BRIEF else 0.02
            middle = ((start + end) / 2 + shift) % cues[-1].end
            seen = {cue.mouth for cue in cues if cue.start < middle + around and cue.end > middle - around}
            wanted = set(WANTED[group][1]) | ({"X"} if group == "p b m" else set())  # lips met and stayed so
            hits[group].append(bool(seen & wanted))
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=100)
    options = parser.parse_args()
    words = json.loads((options.folder / "s1_alignments.json").read_text("utf-8"))
    names = sorted(name for name in words if (options.folder / "s1" / f"{name}.mp4").exists())
    clips = []
    for name in np.random.default_rng(5).permutation(names)[:options.sentences]:
        samples = read_audio(options.folder / "s1" / f"{name}.mp4")
        phones = phones_of(samples, [word for _, _, word in words[name] if word not in ("sil", "sp")])
        if phones:
            clips.append((mouth_cues(predict(extract(samples), source=str(name))), phones))
    half = len(clips) // 2
    for title, part in (("chosen on", clips[:half]), ("held out", clips[half:])):
        hits, by_chance = score(part), Counter()
        shifts = np.arange(0.4, 2.6, 0.37)
        for shift in shifts:
            by_chance.update({group: sum(found) for group, found in score(part, shift).items()})
        lengths = [cue.end - cue.start for cues, _ in part for cue in cues[1:-1]]
        shut = [any(start - 0.1 < cue.end and cue.start < end + 0.1 for start, end, name in phones if GROUP[name] == "p b m")
                for cues, phones in part for cue in cues
                if cue.mouth == "A" and phones[0][0] < cue.start and cue.end < phones[-1][1]]
        print(f"{title}: {len(part)} sentences, {sum(map(len, hits.values()))} phones, cues of {np.median(lengths):.2f} s; "
              f"{sum(shut)} of {len(shut)} A are at p, b or m")
        for group, found in hits.items():
            chance = by_chance[group] / len(found) / len(shifts)
            print(f"  {group:24} {len(found):4d} phones, {np.mean(found):.2f} as drawn ({chance:.2f} by chance)")


if __name__ == "__main__":
    main()
