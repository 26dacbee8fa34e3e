"""Make the sync expert, the lip reader and the judge that ship with the package, and their card.

    python tools/train_release_experts.py CORPUS --work build/experts

CORPUS is prepared from GRID talker 1's sentences (`geneface prepare-corpus GRID/s1 -o CORPUS --split
configs/splits/grid_s1.txt`). Stopped, it goes on; `--part` makes one of them and leaves the others.
"""
from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import geneface  # noqa: E402, F401  before torch: its threads must sleep
import torch  # noqa: E402

from geneface.errors import UserError  # noqa: E402
from geneface.fit.experts import PLANS, train_expert  # noqa: E402
from geneface.motion.lipreader import JUDGE, load_reader  # noqa: E402
from geneface.motion.lipreader import RELEASE as READER  # noqa: E402
from geneface.motion.sync import RELEASE as SYNC  # noqa: E402
from geneface.motion.sync import load_sync  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

FILES = {"sync": SYNC, "reader": READER, "judge": JUDGE}
CARD = """# Sync expert, lip reader and judge

Three models of how lips that talk look. A mouth is the 20 lip landmarks on the mean face, 25 times a second, in metres.

| file | what it is | parameters | size | sha256 |
|---|---|---|---|---|
{files}

**Sync expert.** Embeds speech (content features, F0, energy, voicing) and lips, 360 ms about each video frame, so that
what belongs together lies together (after SyncNet, Chung & Zisserman 2016, with landmarks for pixels). Trained with
InfoNCE: each frame's sound against all other frames' lips of its clip that are 2 or more frames off and those of
another clip, and the other way round. Serves as a training loss and measures offset, distance and confidence.

**Lip reader** and **judge.** Word-level CTC readers over {words} words. The reader (dilated convolutions) serves as
a training loss; the judge (convolutions and a bidirectional GRU, other seed) only measures: no model is trained
against it. Both learned from sentences recombined from the corpus' words, warped in time, mirrored, scaled, smoothed
and with noise; every frame was told its word as well. Read with the corpus' grammar (a word from each of six slots,
Viterbi) and without.

**Trained on.** {clips} sentences of 3 s of GRID talker 1, tracked by this package; {held_out} sentences
(`configs/splits/grid_s1.txt`) were held out from all three. {plans} Corpus sha256 `{corpus}`.

**Measured** on the held-out sentences, real tracked motion:

| figure | value |
|---|---|
{figures}

Sync within 1: offsets to the nearest whole frame, as SyncNet's are; offset within 1 counts their fractions, and
recordings of this corpus are themselves up to 2 frames off. Shift found: the worst share over shifts of -5, -3, 3 and
5 frames.

**Limits.** One male British talker and 51 words: the readers know no others, and other talkers' lips less well. Letters
look alike (b, p; d, t; c, z ...): most of the readers' errors are there. The sync expert measures within
15 frames to either side and needs some seconds of speech.

**Licence and citation.** This package's MIT licence; the corpus is believed to be under CC BY 4.0. Cite: M. Cooke,
J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic speech recognition",
Journal of the Acoustical Society of America 120(5), 2421-2424, 2006.

**Made with** `python tools/train_release_experts.py CORPUS --work WORK`, one core of a shared two-core machine.
"""
FIGURES = {
    "sync": ("clips", "sync_within_1", "offset_within_1", "shift_found_within_1", "offset_mean", "offset_deviation",
             "confidence", "distance"),
    "reader": ("wer_real", "wer_real_without_grammar", "wrong_by_place"),
    "judge": ("wer_real", "wer_real_without_grammar", "wrong_by_place"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="prepared corpus of GRID talker 1")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and checkpoints")
    parser.add_argument("--part", choices=PLANS, action="append", help="only this one; may be given again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        make(arguments.corpus, arguments.work, arguments.part or PLANS)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def make(corpus: Path, work: Path, parts: Iterable[str] = PLANS) -> None:
    """Train the parts, put them where they ship from, and write the card."""
    for part in parts:
        made = work / FILES[part].name
        print(part, train_expert(part, corpus, made), flush=True)
        shutil.copyfile(made, FILES[part])
    write_card()


def write_card() -> None:
    """Fill the card in from the three files."""
    loaded = {part: (load_sync if part == "sync" else load_reader)(str(path)) for part, path in FILES.items()}
    infos = {part: info for part, (_, info) in loaded.items()}
    rows = [f"| `{path.name}` | {part} | {sum(p.numel() for p in loaded[part][0].parameters()) / 1e6:.2f} million | "
            f"{path.stat().st_size / 1e6:.2f} MB | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |"
            for part, path in FILES.items()]
    figures = [f"| {part}: {name.replace('_', ' ')} | {_said(infos[part]['held_out'][name])} |"
               for part, names in FIGURES.items() for name in names if name in infos[part]["held_out"]]
    plans = " ".join(f"{part}: {info['steps']} steps of {info['batch']} clips, seed {info['seed']}, "
                     f"{info['minutes']:.0f} minutes." for part, info in infos.items())
    text = CARD.format(files="\n".join(rows), words=len(loaded["reader"][0].spec.words), clips=infos["reader"]["clips"],
                       held_out=infos["reader"]["held_out"]["clips"], plans=plans, figures="\n".join(figures),
                       corpus=infos["reader"]["corpus"]["sha256"])
    write_atomically(SYNC.with_name("experts_card.md"), lambda part: part.write_text(text, "utf-8"))


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_said(x) for x in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
