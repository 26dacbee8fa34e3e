"""The page that `geneface evaluate-motion` leaves behind: figures, moving lips, curves."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..face.landmarks import JAW_68, LIPS_INNER_68, LIPS_OUTER_68, mouth_opening, mouth_width
from ..report import MovingLine, Report
from .comparison import Comparison
from .metrics import correlation

FPS = 25.0
MEANING = {
    "clips": "compared",
    "mouth_open_correlation": "opening over time against the tracked one, mean over clips; 1 is equal",
    "mouth_width_correlation": "the same of the mouth's width",
    "mouth_open_variance": "variance of the opening over the tracked one's; 1 is as lively",
    "lip_distance_mm": "between lip landmarks on the mean face, mean",
    "lip_shape_mm": "the same after the lips are centred on each other: shape without place",
    "lip_velocity_error": "between lip movements [mm per frame]",
    "still_lip_velocity_error": "the same for a mouth that never moves",
    "baseline_lip_velocity_error": "the same for a regression from log-mel trained on the same clips",
    "sync_within_1": "share of clips in which the sync expert is sure that the lips are within one frame of the sound",
    "tracked_sync_within_1": "the same of the tracked lips",
    "sync_offset": "frames by which the lips are late, mean",
    "sync_confidence": "the sync expert's, mean",
    "tracked_sync_confidence": "the same of the tracked lips",
    "wer_real": "word error rate of a lip reader on the tracked lips",
    "wer_generated": "the same on the generated lips",
    "bilabials": "p, b and m whose time is known",
    "bilabial_closure": "share of them at which the lips come within 10 % of closed",
    "tracked_bilabial_closure": "the same of the tracked lips",
    "bilabial_match": "share at which they come as close as the tracked ones, to within 10 % of the opening's range",
    "bilabial_error": "how much wider than the tracked lips they stay there, as a share of the range of the opening",
    "closure_error": "opening beyond the tracked one where that is closed, as a share of its range",
    "jitter": "lip acceleration [mm per frame²]",
    "tracked_jitter": "the same of the tracked lips",
    "seed_distance_mm": "between the lips of two seeds, mean",
    "sampled_open_variance": "variance of sampled openings over the tracked one's",
    "sampled_at": "temperature of those samples",
}
_CURVES = 8  # clips whose curves are shown, from the best to the worst
_MOVING = 3  # clips that move: the best, the middle, the worst
_LONGEST = 12.0  # [s] of a clip that moves
_JAW = JAW_68[5:12]
_GREY, _BLUE = "#7d8596", "#2b83c6"  # seen on white and on black
_SIZE = (900, 210)  # [px] of a figure with three mouths


def write_page(path: Path, comparisons: Sequence[Comparison], figures: Mapping[str, Any]) -> Path:
    """Write the page to `path` (.html) and `figures` beside it as .json; returns `path`."""
    report = Report("Generated against tracked motion", f"clips: {figures['clips']}, at {FPS:g} frames per second")
    report.section("Figures").values({key: figures[key] for key in MEANING if key in figures}, MEANING)
    scores = [correlation(mouth_opening(c.generated), mouth_opening(c.tracked)) for c in comparisons]
    order = sorted(range(len(comparisons)), key=lambda i: -(scores[i] if scores[i] is not None else -2))

    def named(i: int) -> str:
        return f"{comparisons[i].name}: opening r {'–' if scores[i] is None else format(scores[i], '.3f')}"

    moving = report.section("Moving lips")
    moving.text("Tracked (grey), generated (blue), one over the other; the best clip, the middle one, the worst. The "
                "slider goes to any frame.")
    for i in spread(order, _MOVING):
        one, frames = comparisons[i], int(_LONGEST * FPS)
        sound = None if one.audio is None else one.audio[:int(16000 * len(one.tracked[:frames]) / FPS)]
        moving.moving(lip_lines(one.generated[:frames], one.tracked[:frames]), FPS, _SIZE, named(i), sound)
    curves = report.section("Opening and width")
    curves.text("Tracked (grey) and generated (blue), from the best clip to the worst.")
    for i in spread(order, _CURVES):
        curves.plot(lambda axes, one=comparisons[i]: _draw_curves(axes, one), named(i), size=(11, 3.6), rows=2)
    return report.save(path, dict(figures))


def spread(order: Sequence[int], count: int) -> list[int]:
    """At most `count` of them, evenly from the first to the last."""
    return [order[k] for k in sorted({round(x) for x in np.linspace(0, len(order) - 1, min(count, len(order)))})]


def _draw_curves(axes: list, one: Comparison) -> None:
    for rows, (name, measure) in zip(axes, (("opening", mouth_opening), ("width", mouth_width))):
        seconds = (np.arange(len(one.tracked)) + 0.5) / FPS
        rows.plot(seconds, 1000 * measure(one.tracked), color="0.5", label="tracked")
        rows.plot(seconds, 1000 * measure(one.generated), color="tab:blue", label="generated")
        rows.set_ylabel(f"{name} [mm]")
    axes[-1].set_xlabel("time [s]")


def lip_lines(generated: np.ndarray, tracked: np.ndarray) -> list[MovingLine]:
    """Jaw and lips of motions [T, 68, 3] in a figure of `_SIZE`: tracked, generated, both."""
    shown = np.concatenate([_JAW, LIPS_OUTER_68])
    seen = np.concatenate([generated[:, shown, :2], tracked[:, shown, :2]]).reshape(-1, 2)
    low, high = seen.min(0), seen.max(0)
    scale = 0.92 * min(_SIZE[0] / 3 / (high - low)[0], _SIZE[1] / (high - low)[1])
    lines, one, other = [], (tracked, _GREY), (generated, _BLUE)
    for place, motions in enumerate(([one], [other], [one, other])):
        middle = ((2 * place + 1) * _SIZE[0] / 6, _SIZE[1] / 2)
        for motion, colour in motions:
            points = (motion[..., :2] - (low + high) / 2) * scale + middle
            lines += [MovingLine(points[:, _JAW], colour, width=1),
                      MovingLine(points[:, LIPS_OUTER_68], colour, True, 2),
                      MovingLine(points[:, LIPS_INNER_68], colour, True)]
    return lines
