"""The verbs of the motion model: prepare-corpus, evaluate-motion and train-motion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..config import CorpusConfig, MotionConfig, resolve
from ..errors import UserError
from .common import AsJson, ConfigFile, Settings, show

EVALUATE_KEYS = (
    "clips",
    "mouth_open_correlation",
    "mouth_width_correlation",
    "lip_velocity_error",
    "baseline_lip_velocity_error",
    "sync_within_1",
    "wer_real",
    "wer_generated",
    "closure_error",
    "jitter",
    "report",
)

PARTS = ("generator", "sync", "reader", "judge")

Split = Annotated[Optional[Path], typer.Option(metavar="FILE", help="Names of the clips to hold out, one a line.")]
Work = Annotated[
    Optional[Path], typer.Option(metavar="DIR", help="Where a folder of clips is prepared. Default: ./NAME.corpus.")
]


def add_to(app: typer.Typer) -> None:
    """Offer the verbs of this file."""
    app.command("prepare-corpus")(prepare_corpus)
    app.command("evaluate-motion")(evaluate_motion)
    app.command("train-motion")(train_motion)


def prepare_corpus(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Talking clips: GRID, LRS2, LRS3, VoxCeleb2, HDTF or your own.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the corpus.")],
    workers: Annotated[Optional[int], typer.Option(help="Processes. Default: one per core.")] = None,
    cluster: Annotated[
        Optional[str],
        typer.Option(metavar="ADDRESS", help="Ray cluster to work on: auto, host:port, or local for one here."),
    ] = None,
    layout: Annotated[
        Optional[str], typer.Option(help="How files are named: grid, lrs, voxceleb, hdtf, plain. Default: auto.")
    ] = None,
    split: Split = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """A folder of talking clips to training clips for train-motion. An interrupted run goes on when called again."""
    from .. import pipeline

    given = {"workers": workers, "cluster": cluster, "layout": layout}
    options = resolve(CorpusConfig(), "corpus", None, config, settings or (), given)
    show(pipeline.prepare_corpus(folder, output, options, split), as_json)


def evaluate_motion(
    corpus: Annotated[
        Optional[Path],
        typer.Option(metavar="DIR", help="Prepared corpus, or folder of talking clips; its held-out clips."),
    ] = None,
    person: Annotated[
        Optional[Path], typer.Option(metavar="PERSON_DIR", help="Prepared person; their held-out frames.")
    ] = None,
    split: Split = None,
    avatar: Annotated[
        Optional[Path], typer.Option(metavar="X.avatar", help="With --person: whose motion to generate.")
    ] = None,
    work: Work = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="REPORT.html", help="Report to write.")
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Motion generated from speech against motion tracked on video."""
    from .. import pipeline

    if (corpus is None) == (person is None):
        raise UserError("give either --corpus DIR or --person PERSON_DIR")
    if avatar is not None and person is None:
        raise UserError("--avatar goes with --person")
    if split is not None and corpus is None:
        raise UserError("--split goes with --corpus")
    options = resolve(MotionConfig(), "motion", None, config, settings or ())
    show(pipeline.evaluate_motion(corpus, person, avatar, output, options, split, work), as_json, EVALUATE_KEYS)


def train_motion(
    corpora: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="Prepared corpora, or one folder of talking clips.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL.safetensors", help="Model to write.")],
    steps: Annotated[Optional[int], typer.Option(help=f"Optimisation steps. Default: {MotionConfig.steps}.")] = None,
    part: Annotated[
        str,
        typer.Option(help="generator, or an expert: sync, reader (of lips), judge (a reader that only measures)."),
    ] = "generator",
    split: Split = None,
    work: Work = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Talking clips to a motion model. An interrupted run goes on when it is called again.

    On several GPUs: torchrun --nproc_per_node=N -m geneface train-motion ...
    """
    from .. import pipeline

    if part not in PARTS:
        raise UserError(f"--part {part}: is none of {', '.join(PARTS)}")
    if part != "generator":
        if config is not None or settings:
            raise UserError(f"--part {part}: an expert is trained by a plan of its own; leave out --config and --set")
        if len(corpora) > 1:
            raise UserError(f"--part {part}: an expert is trained on one corpus; got {len(corpora)}")
        show(pipeline.train_expert(part, corpora[0], output, steps, split, work), as_json)
        return
    options = resolve(MotionConfig(), "motion", None, config, settings or (), {"steps": steps})
    result = pipeline.train_motion(corpora, output, options, split, work)
    if result is not None:  # else another of torchrun's processes says it
        show(result, as_json)
