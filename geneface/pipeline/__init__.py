"""The stages, one after the other: what `geneface.prepare`, `fit`, `speak`, `render` and the rest do.

Paths or boundary objects are taken alike, so that a stage's result can be handed to the next directly.
"""
from __future__ import annotations

from .inputs import check_output
from .motion import export, speak, track
from .portrait import check, compare, demo, evaluate, export_mesh, fit, prepare, render
from .training import evaluate_motion, prepare_corpus, prepared_corpus, syncnet_score, train_expert, train_motion

__all__ = [
    "check", "check_output", "compare", "demo", "evaluate", "evaluate_motion", "export", "export_mesh", "fit", "prepare",
    "prepare_corpus", "prepared_corpus", "render", "speak", "syncnet_score", "track", "train_expert", "train_motion",
]
