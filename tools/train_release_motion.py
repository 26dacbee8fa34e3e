"""Make the motion weights that ship with the package, and their card.

    python tools/train_release_motion.py GRID/s1 --work build/motion --minutes 40

GRID/s1 holds talker 1's sentences. The corpus is prepared (or taken as it lies in WORK), the model trained on all but
the held-out sentences, measured on those, and geneface/data/motion.safetensors and motion_card.md are written. Stopped,
it goes on. Other talkers' clips (--others) lie in one folder each.
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

import torch  # noqa: E402

from data_prep.corpora.prepare import prepare_corpus  # noqa: E402
from geneface.config import CorpusConfig, MotionConfig  # noqa: E402
from geneface.corpus import MotionCorpus  # noqa: E402
from geneface.errors import UserError  # noqa: E402
from geneface.fit.motion import train_motion  # noqa: E402
from geneface.motion.baseline import baseline_path  # noqa: E402
from geneface.motion.evaluate import corpus_metrics  # noqa: E402
from geneface.motion.measures import MouthMeasures  # noqa: E402
from geneface.motion.vae import MotionGenerator  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

DATA = ROOT / "geneface" / "data"
CARD = """# Motion model

`motion.safetensors` ({size:.1f} MB, sha256 `{sha}`):
speech features to ARKit expression weights at 25 fps.

**What it is.** A conditional variational auto-encoder with a normalising-flow prior (after GeneFace, Ye et al. 2023),
{parameters:.2f} million parameters, stored in half precision. It hears content features (Whisper base, encoder layer
4), F0, energy and voicing at 50 Hz and gives {driven} of the 52 ARKit weights: jaw, lips, cheeks, brows and nose. Eyes
blink and look on their own; the tongue is not seen.

**Trained on.** Talker 1 of the GRID corpus: {train} sentences of 3 s, {minutes:.0f} minutes ({held} more sentences were
held out, {dropped} were dropped), tracked by this package's own landmarks and head basis. Audio in {renderings}
renderings: as recorded; joined to running speech at random places of the encoder's window; and joined with pitch and
formants shifted (-5 to +7 semitones), random equalisation, telephone band, reverberation and noise (8 to 35 dB).
{steps} steps of {batch} clips, seed {seed}; corpus sha256 (names, audio, tracked motion)
`{corpus_sha}`.

**Licence and citation.** The weights come under this package's MIT licence; the corpus is believed to be under CC BY
4.0. Cite: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic
speech recognition", Journal of the Acoustical Society of America 120(5), 2421-2424, 2006.

**Measured** on the {held} held-out sentences (deterministic prediction against tracked motion, landmarks of the mean
face; velocities in mm per frame, jitter in mm per frame^2; see `geneface.motion.evaluate.mouth_metrics`):

| figure | value |
|---|---|
{figures}

{other}**Limits.** One male British talker reads six-word command sentences with 51 different words: lip shapes outside
that are guessed from content features that carry over voices and languages only in part. Natural speech of other people
is followed less closely than the figures above; how wide a person opens their mouth and which shapes they make come
only from the match to their recorded frames. Head motion is not predicted. Laughter, shouting, singing and several
voices at once were not trained on. Content features have up to 7 s of context, so this model is not a streaming one.

**Made with** `python tools/train_release_motion.py GRID/s1 --work WORK --steps {planned} --seed {seed}{limit}`
in {spent:.0f} minutes of training on one core of a shared two-core machine.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of GRID talker 1's clips")
    parser.add_argument("--work", type=Path, required=True, help="folder for corpus, checkpoints and logs")
    parser.add_argument("--others", type=Path, help="other GRID talkers, measured but not trained on")
    parser.add_argument("--minutes", type=float, default=None, help="stop training after so long")
    parser.add_argument("--steps", type=int, default=MotionConfig.steps)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(MotionConfig(), steps=arguments.steps, seed=arguments.seed)
    try:
        corpus = CorpusConfig(seed=arguments.seed)
        prepare_corpus(arguments.clips, arguments.work / "corpus", corpus)
        model = arguments.work / "motion.safetensors"
        result = train_motion(arguments.work / "corpus", model, config, minutes=arguments.minutes)
        other = ""
        if arguments.others:
            strangers = replace(corpus, held_out_every=1, renderings=1)
            prepare_corpus(arguments.others, arguments.work / "others", strangers)
            other = others_paragraph(model, arguments.work / "others")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_card(model, result["held_out"], other, arguments.minutes)
    shutil.copyfile(model, DATA / "motion.safetensors")
    shutil.copyfile(baseline_path(model), DATA / "motion_baseline.safetensors")
    return 0


def others_paragraph(path: Path, corpus: Path) -> str:
    """What the card says of talkers that were not trained on."""
    strangers = corpus_metrics(MotionGenerator.load(path)[0], MotionCorpus(corpus), MouthMeasures.of_basis())
    return (f"On {strangers['clips']} sentences of other GRID talkers, never heard: opening correlation "
            f"{strangers['mouth_open_correlation']:.3f}, width {strangers['mouth_width_correlation']:.3f}.\n\n")


def write_card(path: Path, held_out: dict, other: str, minutes: float | None) -> None:
    """Fill the card in from the model file and its figures on the held-out sentences."""
    model, info = MotionGenerator.load(path)
    trained = info["corpora"][0]
    corpus = trained["info"]
    figures = "\n".join(f"| {name.replace('_', ' ')} | {value:.4g} |" if isinstance(value, float)
                        else f"| {name.replace('_', ' ')} | {value} |" for name, value in held_out.items())
    config = info["config"]
    text = CARD.format(
        size=path.stat().st_size / 1e6, sha=hashlib.sha256(path.read_bytes()).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()) / 1e6, driven=len(model.spec.driven),
        train=trained["clips"],
        minutes=trained["clips"] * corpus["seconds"] / corpus["clips"] / 60, held=corpus["held_out"],
        dropped=sum(corpus["dropped"].values()), renderings=corpus["renderings"], steps=info["steps"],
        batch=config["batch"], seed=config["seed"], corpus_sha=corpus["sha256"], figures=figures, other=other,
        planned=config["steps"], limit=f" --minutes {minutes:g}" if minutes else "", spent=info["minutes"])
    write_atomically(DATA / "motion_card.md", lambda part: part.write_text(text, "utf-8"))


if __name__ == "__main__":
    sys.exit(main())
