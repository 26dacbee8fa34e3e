"""The page that an evaluation leaves behind."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..report import Report
from ..types import PreparedPerson
from .gallery import Gallery, Strip

FILE_NAME = "evaluation.html"

MEANING = {
    "psnr_head": "dB, over the head and 5 px around it; higher is better",
    "psnr_mouth": "dB, over a square around the mouth of truth, twice as wide as the lips",
    "psnr_full": "dB, over the whole frame",
    "ssim_head": "structural similarity over the head, 1 is equal",
    "ssim_mouth": "the same on the square around the mouth",
    "ssim_full": "the same over the whole frame",
    "lpips_head": "perceptual distance (AlexNet), 0 is equal; truth outside the head",
    "lpips_mouth": "the same on the square around the mouth",
    "lpips_full": "the same of the whole frame",
    "sharpness": "fine detail of the head (variance of the Laplacian) over truth's; 1 is as sharp, camera noise included",
    "sharpness_mouth": "the same on the square around the mouth",
    "lip_distance_px": "px at 512, mean over 40 lip points detected anew",
    "lip_shape_px": "the same after the lips are centred on each other: shape without place",
    "mouth_open_correlation": "gap of the inner lips over time against the truth's",
    "sync_offset_frames": "frames by which the mouth is late",
    "csim": "cosine of dlib's face descriptors; one person is above about 0.95; needs dlib",
    "jitter": "trembling of the head over the truth's; 1 is as steady",
    "jitter_px": "RMS second difference of steady landmarks [px per frame²]",
    "flicker": "change of still skin from frame to frame, along truth's motion, over truth's own; 1 is as steady",
    "seam_ratio": "edge where head and torso meet over truth's edge there; the larger of gradient and colour jump",
    "seam_gradient": "slope across that border [grey levels per px]",
    "seam_jump": "difference of colour between its sides [levels]",
    "seam": "edges along it that truth lacks [grey levels per px]",
    "faces_missing": "frames in which the render shows no face though truth does",
}


def write_report(
    folder: Path, person: PreparedPerson, result: Mapping[str, Any], gallery: Gallery,
    openings: Mapping[str, np.ndarray], lip_distances: Mapping[str, np.ndarray], frames: range,
) -> Path:
    """Write `evaluation.html` and `evaluation.json` into `folder`; returns the page.

    Args:
        result: what `evaluate` returns.
        openings: "truth" and each render -> [T] mouth opening [px at 512 scale].
        lip_distances: each render -> [T] [px at 512 scale].
        frames: of the person.
    """
    names = list(lip_distances)
    report = Report(
        f"Evaluation: {person.path.name}",
        f"{len(frames)} held-out frames ({frames.start} to {frames.stop - 1}), compared with the {result['reference']}",
    )
    figures = report.section("Figures")
    figures.table(
        ["", *names, "what it says"],
        [(key, *(result[name][key] for name in names), text) for key, text in MEANING.items()],
    )
    figures.text(
        "tracked: rendered from the motion seen on these frames, which judges the renderer alone. predicted: from the "
        "motion heard in their sound, which judges the whole chain; its words are right but never spoken the same way "
        "twice, so pixel measures of the mouth count less there."
    )
    figures.text(
        f"Truth itself: jitter {result['truth']['jitter_px'] or 0:.3g} px per frame², no face found in "
        f"{result['truth']['faces_missing']} frames. SSIM, LPIPS, CSIM, sharpness and seam are means "
        f"over {result['picture_frames']} frames, the others over all."
    )
    curves = report.section("Over time")
    seconds = np.array(frames) / person.fps
    _plot(curves, seconds, openings, "mouth opening", "mouth opening [px at 512]")
    _plot(curves, seconds, lip_distances, "lip distance", "lip distance from truth [px at 512]")
    header = ", ".join(["truth", *names])
    for title, strips in (("Frames", gallery.even), ("Largest lip distance", gallery.worst)):
        section = report.section(title)
        section.text(f"From left to right: {header}.")
        for strip in strips:
            section.picture(strip.pictures, _caption(strip))
    return report.save(folder / FILE_NAME, dict(result) | {"report": FILE_NAME})


def _plot(section, seconds: np.ndarray, curves: Mapping[str, np.ndarray], caption: str, unit: str) -> None:
    def draw(axes) -> None:
        for name, values in curves.items():
            axes.plot(seconds, values, label=name, linewidth=1.8 if name == "truth" else 1.1)
        axes.set_xlabel("time in the video [s]")
        axes.set_ylabel(unit)

    section.plot(draw, caption)


def _caption(strip: Strip) -> str:
    distances = ", ".join(
        f"{name} {distance:.1f} px" if np.isfinite(distance) else f"{name} no face found"
        for name, distance in strip.lip_distance_px.items()
    )
    return f"frame {strip.index}: lip distance {distances}"
