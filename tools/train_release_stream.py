"""Make the weights of live speech to motion that ship with the package, and their card.

    python tools/train_release_stream.py GRID/s1 --work build/stream --split configs/splits/grid_s1.txt

GRID/s1 holds talker 1's sentences. Their sound is heard as a stream hears it (`geneface.speech.stream`), a causal
generator is trained on all but the held-out sentences and measured on those, and motion_stream.safetensors and
motion_stream_card.md are written to geneface/data. Stopped, it goes on.
"""
from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import geneface  # noqa: E402, F401  before torch: its threads must sleep
import torch  # noqa: E402

from data_prep.corpora.prepare import prepare_corpus  # noqa: E402
from geneface.config import CorpusConfig, MotionConfig  # noqa: E402
from geneface.errors import UserError  # noqa: E402
from geneface.fit.motion import train_motion  # noqa: E402
from geneface.motion.stream import RELEASE  # noqa: E402
from geneface.motion.vae import MotionGenerator  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

_FIGURES = ("clips", "mouth_open_correlation", "mouth_width_correlation", "mouth_open_variance", "lip_velocity_error",
            "closure_error", "jitter", "tracked_jitter")
CARD = """# Motion model for live use

`motion_stream.safetensors` ({size:.1f} MB, sha256 `{sha}`):
speech to ARKit expression weights at 25 fps while the sound comes in, 0.3 s behind it.

**What it is.** The generator of `motion.safetensors` with causal convolutions ({parameters:.2f} million parameters,
stored in half precision), trained on the streamed features it hears in use (`geneface.speech.stream`): every 160 ms of
sound are told from the 1.24 s before them, themselves, and 140 ms after them.

**Trained on.** Talker 1 of the GRID corpus: {train} sentences of 3 s, tracked by this package's own landmarks and head
basis; {held} more were held out. Sound in {renderings} renderings: as recorded, and joined and altered (other voices,
speeds, rooms, lines and noise, see `data_prep.corpora.renderings`). {steps} steps of {batch} clips, seed {seed}; corpus
sha256 (names, audio, tracked motion) `{corpus_sha}`.

**Licence and citation.** As of `motion.safetensors`.

**Measured** on the held-out sentences, deterministic prediction (see `motion_card.md` for the figures and for those of
the model that hears whole recordings):

| figure | value |
|---|---|
{figures}

**Limits.** Those of `motion.safetensors`, and fewer sentences. Level and pitch are told relative to the last 10 s, so
the first words of a stream are judged with little to compare. A person's post-net belongs to the other model: live
motion is fitted to a person by their rest, amplitude, manifold and range only.

**Made with** `python tools/train_release_stream.py CLIPS --work WORK --split configs/splits/grid_s1.txt
--steps {planned} --seed {seed}{limit}`, CLIPS holding {clips} of talker 1's files (the held-out sentences and, in
alphabetical order, every second of the others), in {spent:.0f} minutes of training on a crowded two-core machine.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of GRID talker 1's clips")
    parser.add_argument("--work", type=Path, required=True, help="folder for corpus, checkpoints and logs")
    parser.add_argument("--split", type=Path, help="names of the sentences to hold out")
    parser.add_argument("--minutes", type=float, default=None, help="stop training after so long")
    parser.add_argument("--steps", type=int, default=MotionConfig.steps)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = arguments.work / RELEASE.name
    try:
        corpus = CorpusConfig(seed=arguments.seed, streamed=True, renderings=2, workers=1)
        prepare_corpus(arguments.clips, arguments.work / "corpus", corpus, arguments.split)
        config = replace(MotionConfig(), steps=arguments.steps, seed=arguments.seed)
        result = train_motion(arguments.work / "corpus", model, config, minutes=arguments.minutes)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shutil.copyfile(model, RELEASE)
    write_card(result["held_out"], arguments)
    return 0


def write_card(held_out: dict, arguments: argparse.Namespace) -> None:
    """Fill the card in from the model file and its figures on the held-out sentences."""
    model, info = MotionGenerator.load(RELEASE)
    corpus = info["corpora"][0]["info"]
    figures = "\n".join(f"| {name.replace('_', ' ')} | {held_out[name]:.4g} |" for name in _FIGURES)
    text = CARD.format(
        size=RELEASE.stat().st_size / 1e6, sha=hashlib.sha256(RELEASE.read_bytes()).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()) / 1e6, train=info["corpora"][0]["clips"],
        held=corpus["held_out"], renderings=corpus["renderings"], steps=info["steps"], batch=info["config"]["batch"],
        seed=info["config"]["seed"], corpus_sha=corpus["sha256"], figures=figures, planned=info["config"]["steps"],
        limit=f" --minutes {arguments.minutes:g}" if arguments.minutes else "", clips=corpus["files"],
        spent=info["minutes"])
    write_atomically(RELEASE.with_name("motion_stream_card.md"), lambda part: part.write_text(text, "utf-8"))


if __name__ == "__main__":
    sys.exit(main())
