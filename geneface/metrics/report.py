"""The pages that evaluations leave behind: of one avatar, and of several beside each other."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..face.landmarks import mouth_opening
from ..report import Report, Section, side_by_side
from ..types import PreparedPerson
from . import errormap
from .film import WIDTH
from .gallery import Gallery, Strip
from .judge import Judge
from .measures import MEASURES, best_of

FILE_NAME = "evaluation.html"

_MOTIONS = (
    "tracked: rendered from the motion and head poses seen on these frames, which judges tracking and renderer. "
    "aligned: the same with the head where the avatar itself finds it in each picture (six numbers a frame), which "
    "judges the renderer alone. predicted: from the motion heard in their sound, which judges the whole chain; its "
    "words are right but never spoken the same way twice, so pixel measures of the mouth count less there."
)


def write_report(
    folder: Path, person: PreparedPerson, result: Mapping[str, Any], judge: Judge, frames: range, film: Path
) -> Path:
    """Write `evaluation.html` and `evaluation.json` of one avatar into `folder`; returns the page.

    Args:
        result: what `evaluate` returns.
        judge: that measured the frames.
        frames: of the person.
        film: the video of truth beside the renders.
    """
    names = list(judge.scores)
    report = _report("Evaluation", person, result, frames)
    figures = report.section("Figures")
    figures.table(
        ["", *names, "what it says"],
        [(measure.key, *(result[name][measure.key] for name in names), measure.meaning) for measure in MEASURES],
    )
    figures.text(_MOTIONS)
    figures.text(_about_truth(result))
    _film(report, film)
    _error_maps(report, judge, names)
    _curves(report, judge, names, np.array(frames) / person.fps)
    for title, strips in _strips(judge.gallery):
        section = report.section(title)
        for strip in strips:
            section.picture(strip.side_by_side(), _caption(strip))
    return report.save(folder / FILE_NAME, dict(result) | {"report": FILE_NAME, "video": film.name})


def write_comparison(
    folder: Path, person: PreparedPerson, result: Mapping[str, Any], judge: Judge,
    names: Mapping[str, Mapping[str, str]], minutes: Mapping[str, float | None], frames: range, film: Path,
) -> Path:
    """Write the page and the figures of several avatars into `folder`; returns the page.

    Args:
        result: what `compare` returns.
        names: avatar -> motion -> name of the render in `judge`.
        minutes: avatar -> how long it was fitted.
        frames, film: as for `write_report`.
    """
    report = _report("Comparison", person, result, frames)
    figures = report.section("Figures")
    shown = [measure for measure in MEASURES if measure.title]
    for kind in next(iter(names.values())):
        of = [result["avatars"][name][kind] for name in names]
        columns = [[summary[measure.key] for summary in of] for measure in shown]
        best = {(row, 2 + column) for column, measure in enumerate(shown) for row in best_of(measure, columns[column])}
        figures.table(
            [kind, "minutes", *(measure.title for measure in shown)],
            [(name, minutes[name], *(_aligned(column[row]) for column in columns)) for row, name in enumerate(names)],
            best,
        )
    figures.text("The best of each column is set off. The JSON file beside this page has every figure.")
    figures.points(f"{measure.title}: {measure.meaning}" for measure in shown)
    figures.text(_MOTIONS)
    figures.text(_about_truth(result))
    _film(report, film)
    for kind in next(iter(names.values())):
        rows = ["truth", *(names[avatar][kind] for avatar in names)]
        section = report.section(f"The same frames, {kind}")
        strips = judge.gallery.even
        legend = f"from above: {', '.join(['truth', *names])}; frames {', '.join(str(strip.index) for strip in strips)}"
        section.picture(_sheet([[strip.frames[name] for strip in strips] for name in rows]), legend)
        if all(strip.mouths for strip in strips):
            section.picture(_sheet([[strip.mouths[name] for strip in strips] for name in rows]), legend)
    tracked = [names[avatar]["tracked"] for avatar in names]
    _error_maps(report, judge, tracked)
    _curves(report, judge, tracked, np.array(frames) / person.fps)
    return report.save(folder / FILE_NAME, dict(result) | {"report": FILE_NAME, "video": film.name})


def _aligned(value: float | None) -> str | None:
    """As many decimals as its neighbours in the column."""
    return None if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def _report(title: str, person: PreparedPerson, result: Mapping[str, Any], frames: range) -> Report:
    return Report(
        f"{title}: {person.path.name}",
        f"{len(frames)} held-out frames ({frames.start} to {frames.stop - 1}), compared with the {result['reference']}",
    )


def _about_truth(result: Mapping[str, Any]) -> str:
    truth = result["truth"]
    return (
        f"Truth itself: jitter {truth['jitter_px'] or 0:.3g} px per frame², seam gradient "
        f"{truth['seam_gradient'] or 0:.3g} and jump {truth['seam_jump'] or 0:.3g}, no face found in "
        f"{truth['faces_missing']} frames. SSIM, LPIPS, CSIM, sharpness and seam are means over "
        f"{result['picture_frames']} frames, the others over all."
    )


def _film(report: Report, film: Path) -> None:
    report.section("Moving").film(film, WIDTH, f"{film.name}, beside this page; marked as synthetic in its metadata")


def _strips(gallery: Gallery) -> list[tuple[str, list[Strip]]]:
    return [("Frames", gallery.even), ("Largest lip distance", gallery.worst("lip_distance_px")),
            ("Lowest PSNR of the head", gallery.worst("psnr_head"))]


def _caption(strip: Strip) -> str:
    parts = []
    for name, figures in strip.figures.items():
        lips = figures["lip_distance_px"]
        found = f"lips {lips:.1f} px away" if np.isfinite(lips) else "no face found"
        parts.append(f"{name} {figures['psnr_head']:.1f} dB, {found}")
    return f"frame {strip.index}: truth; " + "; ".join(parts)


def _sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """[H,W,3] uint8: pictures in rows."""
    return np.concatenate([side_by_side(list(row)) for row in rows])


def _error_maps(report: Report, judge: Judge, names: Sequence[str]) -> None:
    section = report.section("Where the errors are")
    truth = judge.gallery.even[len(judge.gallery.even) // 2].frames["truth"]

    def draw(axes: Sequence[Any]) -> None:
        axes[0].imshow(truth)
        axes[0].set_title("truth, one frame", fontsize=9)
        axes[0].set_axis_off()
        for position, name in enumerate(names):
            errormap.draw(axes[1 + position], judge.errors[name].mean(), name, scale=position == len(names) - 1)

    height, width = truth.shape[:2]
    side = min(3.6, 11 / (1 + len(names)))
    section.plot(draw, "mean over all frames, at each pixel of the crop", columns=1 + len(names),
                 size=((1 + len(names)) * side + 0.8, side * height / width + 0.3))


def _curves(report: Report, judge: Judge, names: Sequence[str], seconds: np.ndarray) -> None:
    section = report.section("Over time")
    openings = {"truth": mouth_opening(np.stack(judge.scores[names[0]].truth))}
    openings |= {name: judge.scores[name].mouth_opening() for name in names}
    _plot(section, seconds, openings, "mouth opening", "mouth opening [px at 512]")
    distances_px = {name: judge.scores[name].lip_distance() for name in names}
    _plot(section, seconds, distances_px, "lip distance", "lip distance from truth [px at 512]")


def _plot(section: Section, seconds: np.ndarray, curves: Mapping[str, np.ndarray], caption: str, unit: str) -> None:
    def draw(axes: Any) -> None:
        # Each render has its colour in every plot, whether truth is shown too or not.
        others = [name for name in curves if name != "truth"]
        for name, values in curves.items():
            truth = name == "truth"
            colour = "C7" if truth else f"C{others.index(name) % 7}"
            axes.plot(seconds, values, colour, label=name, linewidth=1.8 if truth else 1.1)
        axes.set_xlabel("time in the video [s]")
        axes.set_ylabel(unit)

    section.plot(draw, caption)
