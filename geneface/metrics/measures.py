"""What every figure of an evaluation says, and which way is better."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One figure of `scores.Scores.summary`.

    Attributes:
        key: its name there.
        title: its name at the head of a column, for those that a comparison of avatars shows; else "".
        best: the value that cannot be bettered; None for a figure that is only an explanation of another.
        meaning: for people.
    """

    key: str
    title: str
    best: float | None
    meaning: str


_INFINITE = float("inf")

MEASURES = (
    Measure("psnr_head", "PSNR head", _INFINITE, "dB, over the head and 5 px around it; higher is better"),
    Measure("psnr_mouth", "PSNR mouth", _INFINITE, "dB, over a square around truth's mouth, twice as wide as the lips"),
    Measure("psnr_full", "PSNR full", _INFINITE, "dB, over the whole frame"),
    Measure("ssim_head", "", 1, "structural similarity over the head, 1 is equal"),
    Measure("ssim_mouth", "", 1, "the same on the square around the mouth"),
    Measure("ssim_full", "SSIM full", 1, "structural similarity over the whole frame"),
    Measure("lpips_head", "LPIPS head", 0, "perceptual distance (AlexNet), 0 is equal; truth outside the head"),
    Measure("lpips_mouth", "LPIPS mouth", 0, "the same on the square around the mouth"),
    Measure("lpips_full", "LPIPS full", 0, "the same of the whole frame"),
    Measure("sharpness", "sharpness", 1,
            "fine detail of the head (variance of the Laplacian) over truth's, camera noise included; 1 is as sharp"),
    Measure("sharpness_mouth", "", 1, "the same on the square around the mouth"),
    Measure("lip_distance_px", "lips px", 0,
            "distance from truth's lips, px at 512, mean over 40 points detected anew"),
    Measure("lip_shape_px", "", 0, "the same after the lips are centred on each other: shape without place"),
    Measure("mouth_open_correlation", "lip gap r", 1,
            "correlation of the inner lips' gap over time with the truth's; 1 is together"),
    Measure("sync_offset_frames", "sync", 0, "frames by which the mouth is late"),
    Measure("csim", "CSIM", 1, "cosine of dlib's face descriptors; one person is above about 0.95; needs dlib"),
    Measure("jitter", "jitter", 1, "trembling of the head over the truth's; 1 is as steady"),
    Measure("jitter_px", "", None, "RMS second difference of steady landmarks [px per frame²]"),
    Measure("flicker", "flicker", 0,
            "change of still skin from frame to frame, along truth's motion, over truth's own; below 1 is steadier"),
    Measure("seam_ratio", "seam ratio", 1,
            "edge where head and torso meet over truth's edge there; the larger of gradient and colour jump"),
    Measure("seam_gradient", "", None, "slope across that border [grey levels per px]"),
    Measure("seam_jump", "", None, "difference of colour between its sides [levels]"),
    Measure("seam", "", 0, "edges along that border which truth lacks [grey levels per px]"),
    Measure("faces_missing", "", 0, "frames in which the render shows no face though truth does"),
)


def best_of(measure: Measure, values: Sequence[float | None]) -> set[int]:
    """Positions of the best of several figures: of all that look alike in four digits; none where all are equal."""
    known = {i: value for i, value in enumerate(values) if value is not None}
    if measure.best is None or len(known) < 2:
        return set()
    away = {i: -value if measure.best == _INFINITE else abs(value - measure.best) for i, value in known.items()}
    nearest = min(away.values())
    best = {i for i, value in away.items() if f"{value:.4g}" == f"{nearest:.4g}"}
    return best if len(best) < len(known) else set()
