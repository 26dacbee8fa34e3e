"""Gathers the measures of one rendered sequence, frame after frame, in constant memory per frame."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..face.landmarks import mouth_opening
from ..speech.sync import correlation, sync_offset_frames
from .face import MISSING, jitter_px, lip_distance_px, lip_shape_px

PICTURE_KEYS = (
    "psnr_head", "psnr_mouth", "psnr_full", "ssim_head", "ssim_mouth", "ssim_full", "lpips_head", "lpips_mouth",
    "lpips_full", "sharpness", "sharpness_mouth", "csim", "seam",
)
PAIR_KEYS = ("flicker", "seam_gradient", "seam_jump")
"""Measures of a render and, by themselves, of truth; the ratio of their means is what counts."""


@dataclass
class Scores:
    """Measures of one sequence against the truth; `summary` gives the figures.

    Attributes:
        pictures: key -> values of the frames where it was measured.
        pairs: key -> (value of the render, value of truth) of the frames where both were measured.
        landmarks, truth: detected landmarks of every frame so far, [478,2] each, NaN where no face was found.
    """

    pictures: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in PICTURE_KEYS})
    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {key: [] for key in PAIR_KEYS})
    landmarks: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)

    def add_picture(self, **values: float | None) -> None:
        """Add picture measures of the current frame; None (not measurable there) is left out.

        Raises:
            ValueError: for a key that is not one of `PICTURE_KEYS`.
        """
        for key, value in values.items():
            if key not in self.pictures:
                raise ValueError(f"{key}: not one of {', '.join(PICTURE_KEYS)}")
            if value is not None:
                self.pictures[key].append(float(value))

    def add_pair(self, key: str, value: float, truth: float) -> None:
        """Add one of `PAIR_KEYS` of the current frame, on render and truth."""
        self.pairs[key].append((value, truth))

    def add_face(self, landmarks: np.ndarray | None, truth: np.ndarray | None) -> None:
        """Add the landmarks found on the render and on the truth, [478,2]; None where no face was found."""
        self.landmarks.append(MISSING if landmarks is None else landmarks)
        self.truth.append(MISSING if truth is None else truth)

    def mouth_opening(self) -> np.ndarray:
        """[T] mouth opening of the render [px at 512 scale], NaN where no face was found."""
        return mouth_opening(np.stack(self.landmarks))

    def lip_distance_now(self) -> float:
        """Lip distance of the latest frame [px at 512 scale], NaN where a face was missing."""
        return float(lip_distance_px(self.landmarks[-1], self.truth[-1]))

    def lip_distance(self) -> np.ndarray:
        """[T] lip distance of every frame [px at 512 scale], NaN where a face was missing."""
        return lip_distance_px(np.stack(self.landmarks), np.stack(self.truth))

    def summary(self) -> dict[str, Any]:
        """The keys of `geneface evaluate`, null where not measurable.

        Picture measures are means over the frames they were taken on. `jitter` is the render's trembling
        over the truth's: 1 as steady, more shakes, less is smoother. `flicker` likewise is the render's
        warped difference over truth's (`flicker.Flicker`), `seam_ratio` the larger of the render's gradient
        and colour jump at the border of head and torso over truth's (`seam.Border.seam`). `faces_missing`
        counts the frames whose render shows no face although the truth does; they have no part in the lip
        measures.
        """
        landmarks, truth = np.stack(self.landmarks), np.stack(self.truth)
        found, expected = np.isfinite(landmarks[:, 0, 0]), np.isfinite(truth[:, 0, 0])
        opening, true_opening = mouth_opening(landmarks), mouth_opening(truth)
        # Both on the same frames, or a render without a face in its worst frames would look steadier.
        both = (found & expected)[:, None, None]
        shake, true_shake = jitter_px(np.where(both, landmarks, np.nan)), jitter_px(np.where(both, truth, np.nan))
        ratios = {key: self._ratio(key) for key in PAIR_KEYS}
        seams = [ratios[key] for key in ("seam_gradient", "seam_jump") if ratios[key] is not None]
        return {
            **{key: _mean(values) for key, values in self.pictures.items()},
            "lip_distance_px": _mean(lip_distance_px(landmarks, truth)),
            "lip_shape_px": _mean(lip_shape_px(landmarks, truth)),
            "jitter": shake / true_shake if shake is not None and true_shake else None,
            "jitter_px": shake,
            "flicker": ratios["flicker"],
            "seam_ratio": max(seams, default=None),
            "seam_gradient": _mean([value for value, _ in self.pairs["seam_gradient"]]),
            "seam_jump": _mean([value for value, _ in self.pairs["seam_jump"]]),
            "mouth_open_correlation": correlation(opening, true_opening),
            "sync_offset_frames": sync_offset_frames(opening, true_opening),
            "faces_missing": int((expected & ~found).sum()),
        }

    def true_seam(self) -> dict[str, float | None]:
        """The seam measures of truth itself: gradient [levels per px] and colour jump [levels], null without any."""
        return {key: _mean([truth for _, truth in self.pairs[key]]) for key in ("seam_gradient", "seam_jump")}

    def _ratio(self, key: str) -> float | None:
        """Mean of the render over mean of truth, None without any."""
        value, truth = np.sum(self.pairs[key], axis=0) if self.pairs[key] else (0.0, 0.0)
        return float(value / truth) if truth > 0 else None


def _mean(values: np.ndarray | list[float]) -> float | None:
    """Mean of the finite values, None without any."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None
