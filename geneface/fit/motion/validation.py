"""A model in training on held-out clips: figures, and pictures of the mouth."""
from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from ...config import MotionConfig
from ...corpus import FPS, MotionCorpus
from ...face.landmarks import LIPS_68
from ...motion.baseline import MelRegression
from ...motion.comparison import compare_clips, predict_weights
from ...motion.judges import reading_metrics, sync_metrics
from ...motion.lipreader import LipReader
from ...motion.measures import MouthMeasures
from ...motion.metrics import mouth_metrics
from ...motion.sync import SyncExpert
from ...motion.vae import MotionGenerator

_VALIDATED = 20  # held-out clips of each corpus that a checkpoint is measured on
_PANEL = 160  # [px]
_OUTER, _INNER = slice(0, 12), slice(12, 20)  # of the 20 lip points: two closed outlines


def held_out(corpus: MotionCorpus, limit: int) -> np.ndarray:
    """At most `limit` of the held-out clips, evenly spread."""
    return corpus.test[np.linspace(0, len(corpus.test) - 1, min(limit, len(corpus.test))).round().astype(int)]


def validation_metrics(model: MotionGenerator, corpus: MotionCorpus, measures: MouthMeasures,
                       config: MotionConfig) -> dict:
    """Landmarks, sync and lip reading of 20 held-out clips.

    Lips are read by the expert: what the judge says must stay unknown while anybody can still choose.
    """
    compared = compare_clips(model, corpus, held_out(corpus, _VALIDATED), measures)
    return (mouth_metrics([(one.generated, one.tracked) for one in compared])
            | sync_metrics(compared, SyncExpert.load(config.sync_expert))
            | reading_metrics(compared, LipReader.load(config.lip_reader)))


def held_out_metrics(model: MotionGenerator, baseline: MelRegression, corpus: MotionCorpus,
                     measures: MouthMeasures) -> tuple[dict, dict]:
    """`mouth_metrics` of the generator and of the baseline on all held-out clips."""
    compared = compare_clips(model, corpus, corpus.test, measures, baseline=baseline)
    return (mouth_metrics([(one.generated, one.tracked) for one in compared]),
            mouth_metrics([(one.baseline, one.tracked) for one in compared]))


def mouth_animation(model: MotionGenerator, corpus: MotionCorpus, indices: np.ndarray,
                    measures: MouthMeasures) -> bytes:
    """Animated GIF at 25 fps of the lips, a row a clip: tracked, generated, and two samples at temperature 1."""
    rows = []
    for index in map(int, indices):
        weights = [corpus.clip(index).expression.numpy(), predict_weights(model, corpus, index)]
        weights += [predict_weights(model, corpus, index, 1.0, seed) for seed in (1, 2)]
        rows.append([measures.landmarks(one)[:, LIPS_68, :2] for one in weights])
    corners = measures.neutral[LIPS_68, :2]
    centre = corners.mean(0)
    scale = 0.55 * _PANEL / np.ptp(corners[:, 0])  # [px per m]: room for an open mouth
    frames = []
    for t in range(max(len(row[0]) for row in rows)):
        picture = Image.new("L", (_PANEL * len(rows[0]), _PANEL * len(rows)), 255)
        draw = ImageDraw.Draw(picture)
        for y, row in enumerate(rows):
            for x, lips in enumerate(row):
                points = (lips[min(t, len(lips) - 1)] - centre) * scale + _PANEL * np.array([x + 0.5, y + 0.4])
                for outline, shade in ((_OUTER, 120), (_INNER, 0)):
                    closed = [tuple(map(float, point)) for point in points[outline]]
                    draw.line(closed + closed[:1], fill=shade, width=2)
        frames.append(picture.convert("P"))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 / FPS), loop=0)
    return out.getvalue()
