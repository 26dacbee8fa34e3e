"""Make the motion weights that ship with the package, the baseline they are compared with, and their card.

    python tools/train_release_motion.py GRID.corpus [MORE.corpus ...] --work build/motion --minutes 40

GRID.corpus is what `geneface prepare-corpus GRID/s1 -o GRID.corpus --split configs/splits/grid_s1.txt` made of talker
1's sentences; others (`tools/make_natural_corpus.py`) train beside it, mixed as `--set mix=...` says. The model is
measured on the held-out sentences of the first, and on --others, a prepared corpus of talkers that it never heard.
With --experts, the sync expert, the lip reader and the judge are made first. Stopped, it goes on.
"""
from __future__ import annotations

import argparse
import hashlib
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import geneface  # noqa: E402, F401  before torch: its threads must sleep
import torch  # noqa: E402
import train_release_experts  # noqa: E402

from geneface.config import MotionConfig, resolve  # noqa: E402
from geneface.corpus import MotionCorpus  # noqa: E402
from geneface.errors import UserError  # noqa: E402
from geneface.fit.motion import train_motion  # noqa: E402
from geneface.motion.baseline import MelRegression, baseline_path  # noqa: E402
from geneface.motion.evaluate import evaluate_motion  # noqa: E402
from geneface.motion.vae import MotionGenerator  # noqa: E402
from geneface.types import write_atomically  # noqa: E402

DATA = ROOT / "geneface" / "data"
SPLIT = ROOT / "configs" / "splits" / "grid_s1.txt"
CARD = """# Motion model

`motion.safetensors` ({size:.1f} MB, sha256 `{sha}`):
speech features to ARKit expression weights at 25 fps.

**What it is.** A conditional variational auto-encoder with a normalising-flow prior (after GeneFace, Ye et al. 2023),
{parameters:.2f} million parameters, stored in half precision. It hears content features (Whisper base, encoder layer
4), F0, energy and voicing at 50 Hz and gives {driven} of the 52 ARKit weights: jaw, lips, cheeks, brows and nose. Eyes
blink and look on their own; the tongue is not seen. `motion_baseline.safetensors`
(sha256 `{baseline_sha}`)
is what it is compared with: a regression from log-mel, {baseline_parameters:.2f} million parameters, trained on the
same batches.

**Trained on.** Talker 1 of the GRID corpus, tracked by this package's own landmarks and head basis, each sentence heard
in several renderings (as recorded; joined to running speech; altered in voice, tempo, room, line and noise), and what
the table names beside it. The sentences in `configs/splits/grid_s1.txt` were held out.

| corpus | trained on | held out | dropped | minutes in all | renderings | share of clips | weight of motion | sha256 |
|---|---|---|---|---|---|---|---|---|
{corpora}

{steps} steps of {batch} clips, seed {seed}. Options other than the defaults: {options}.

**Licence and citation.** The weights come under this package's MIT licence; the corpus is believed to be under CC BY
4.0. Cite: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and automatic
speech recognition", Journal of the Acoustical Society of America 120(5), 2421-2424, 2006.

**Measured** (deterministic prediction against tracked motion, landmarks of the mean face; distances in mm, velocities
in mm per frame, jitter in mm per frame^2; see `geneface.motion.evaluate.evaluate_motion`):

| figure | {columns} |
|---|{rule}
{figures}

**Limits.** One male British talker reads six-word command sentences with 51 different words: lip shapes outside that
are guessed from content features that carry over voices and languages only in part. Natural speech of other people is
followed less closely than the figures above; how wide a person opens their mouth and which shapes they make come only
from the match to their recorded frames. Head motion is not predicted. Laughter, shouting, singing and several voices at
once were not trained on. Content features have up to 7 s of context, so this model is not a streaming one.

**Made with** `{command}`
in {spent:.0f} minutes of training on one core of a shared two-core machine.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path, nargs="+", help="prepared corpora, GRID talker 1's first")
    parser.add_argument("--work", type=Path, required=True, help="folder for models, checkpoints and logs")
    parser.add_argument("--others", type=Path, help="prepared corpus of other talkers, measured but not trained on")
    parser.add_argument("--experts", action="store_true", help="make the experts first")
    parser.add_argument("--minutes", type=float, default=None, help="stop training after so long")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="option of train-motion")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = arguments.work / "motion.safetensors"
    try:
        given = {"steps": arguments.steps, "seed": arguments.seed}
        config = resolve(MotionConfig(), "motion", None, None, arguments.set, given)
        held_out = check_split(arguments.corpora)
        if arguments.experts:
            train_release_experts.make(arguments.corpora[0], arguments.work / "experts")
        train_motion(arguments.corpora, model, config, minutes=arguments.minutes)
        measured = {f"{held_out} held-out sentences": evaluate(arguments.corpora[0], model, config)}
        if arguments.others:
            measured["sentences of other talkers"] = evaluate(arguments.others, model, config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_card(model, [path.name for path in arguments.corpora], measured)
    shutil.copyfile(model, DATA / "motion.safetensors")
    shutil.copyfile(baseline_path(model), DATA / "motion_baseline.safetensors")
    return 0


def check_split(corpora: list[Path]) -> int:
    """How many sentences the first corpus holds out. Raises UserError where a corpus would train on one of the split's,
    whatever it is rendered as."""
    split = {line.strip() for line in SPLIT.read_text("utf-8").splitlines() if line.strip()}
    data = [MotionCorpus(path) for path in corpora]
    for path, corpus in zip(corpora, data):
        if wrong := split & {Path(corpus.names[i]).name for i in corpus.train}:
            raise UserError(f"{path}: {sorted(wrong)[0]} is for measuring and would be trained on; prepare the corpus "
                            f"with --split {SPLIT.relative_to(ROOT)}")
    return len(data[0].test)


def evaluate(corpus: Path, model: Path, config: MotionConfig) -> dict:
    """Every figure of `evaluate-motion` that is a number."""
    figures = evaluate_motion(corpus=corpus, config=replace(config, model=str(model)))
    return {name: value for name, value in figures.items() if isinstance(value, (int, float))}


def write_card(path: Path, names: list[str], measured: dict[str, dict]) -> None:
    """Fill the card in from the model file and its figures.

    Args:
        names: of the corpora.
        measured: what was measured on -> figures.
    """
    model, info = MotionGenerator.load(path)
    baseline = MelRegression.load(baseline_path(path))
    config, default = info["config"], MotionConfig()
    rows = [row(name, corpus) for name, corpus in zip(names, info["corpora"])]
    keys = list(dict.fromkeys(key for figures in measured.values() for key in figures))
    figures = [f"| {key.replace('_', ' ')} | " + " | ".join(said(one.get(key)) for one in measured.values()) + " |"
               for key in keys]
    options = [f"{key} = {value}" for key, value in config.items() if value != getattr(default, key)]
    text = CARD.format(
        size=path.stat().st_size / 1e6, sha=digest(path), baseline_sha=digest(baseline_path(path)),
        parameters=count(model), baseline_parameters=count(baseline), driven=len(model.spec.driven),
        corpora="\n".join(rows), steps=info["steps"], batch=config["batch"], seed=config["seed"],
        options=", ".join(options) or "none", columns=" | ".join(measured), rule="---|" * len(measured),
        figures="\n".join(figures), command=command(), spent=info["minutes"])
    write_atomically(DATA / "motion_card.md", lambda part: part.write_text(text, "utf-8"))


def row(name: str, corpus: dict) -> str:
    """A corpus in the card's table."""
    about = corpus["info"]
    cells = [name, corpus["clips"], about["held_out"], sum(about["dropped"].values()), f"{about['seconds'] / 60:.0f}",
             about["renderings"], f"{corpus['share']:.2f}", f"{corpus['trust']:g}", f"`{about['sha256']}`"]
    return f"| {' | '.join(map(str, cells))} |"


def command() -> str:
    """This run's command line, without the folders that things happened to lie in."""
    return "python tools/" + shlex.join(Path(part).name if "/" in part else part for part in sys.argv)


def said(value: float | None) -> str:
    """A figure for people."""
    return "–" if value is None else f"{value:.4g}"


def count(model: torch.nn.Module) -> float:
    """Parameters [million]."""
    return sum(value.numel() for value in model.parameters()) / 1e6


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
