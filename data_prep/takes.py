"""Tracks of a take that has jumps: one person throughout, nothing smoothed across a jump."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geneface.face.basis import FaceBasis
from geneface.types import CameraTrack, FaceTrack

from .landmarks import Detections
from .track import TrackConfig, eye_openness, fit_person, fit_track

_LEAST = 12  # valid frames a piece needs to be smoothed on its own


@dataclass(frozen=True)
class TakeQuality:
    """How good a take's track is.

    Attributes:
        reprojection_px: median distance of the 68 points, projected against detected [px].
        reprojection_frame_px: [T] median of each frame, 0 where no face was found.
        jitter_deg: RMS of the fitted rotation's trembling [deg].
        raw_jitter_deg: the same before smoothing.
        focal: focal length [px].
    """

    reprojection_px: float
    reprojection_frame_px: np.ndarray
    jitter_deg: float
    raw_jitter_deg: float
    focal: float

    def worst_frames(self, valid: np.ndarray, count: int, apart: int = 8) -> list[int]:
        """Up to `count` frames, in order: without a face, then fitted worst, at least `apart` from each other."""
        badness = np.where(valid, self.reprojection_frame_px, np.inf)
        chosen: list[int] = []
        for index in np.argsort(-badness, kind="stable"):
            if len(chosen) >= count:
                break
            if all(abs(int(index) - other) >= apart for other in chosen):
                chosen.append(int(index))
        return sorted(chosen)


def pieces(valid: np.ndarray, jumps: tuple[int, ...]) -> list[slice]:
    """Runs of frames between jumps, each with enough valid frames; scraps go to the run before (the first to the next).

    Args:
        valid: [T] bool.
        jumps: first frames after jumps.
    """
    edges = [0, *sorted({jump for jump in jumps if 0 < jump < len(valid)}), len(valid)]
    kept = [edges[0]]
    for start, stop in zip(edges[1:-1], edges[2:]):
        if valid[kept[-1]:start].sum() >= _LEAST and valid[start:stop].sum() >= _LEAST:
            kept.append(start)
    return [slice(a, b) for a, b in zip(kept, [*kept[1:], len(valid)])]


def fit_take(
    detections: Detections, width: int, height: int, fps: float, basis: FaceBasis, jumps: tuple[int, ...] = (),
    config: TrackConfig = TrackConfig(),
) -> tuple[CameraTrack, FaceTrack, TakeQuality]:
    """Fit a take: identity and focal length over all of it, pose and expression within each piece.

    Raises:
        UserError: no face in any frame.
    """
    person = fit_person([detections], width, height, basis, config)
    runs = pieces(detections.valid, jumps)
    cameras, faces, qualities = zip(*(
        fit_track(detections[run], width, height, fps, basis, config, person=person) for run in runs))

    def joined(items, name: str) -> np.ndarray:
        return np.concatenate([getattr(item, name) for item in items])

    camera = CameraTrack(cameras[0].intrinsics, joined(cameras, "head_to_camera"), width, height, float(fps))
    landmarks = joined(faces, "landmarks")
    face = FaceTrack(
        landmarks=landmarks, valid=detections.valid, identity=faces[0].identity, expression=joined(faces, "expression"),
        # Open and shut are properties of the person: measured over the whole take, not piece by piece.
        eye_open=eye_openness(landmarks, detections.valid), gaze=joined(faces, "gaze"), fps=float(fps),
    )
    share = np.array([run.stop - run.start for run in runs]) / len(detections)
    per_frame = joined(qualities, "reprojection_frame_px")

    def rms(name: str) -> float:
        return float(np.sqrt(share @ np.square([getattr(quality, name) for quality in qualities])))

    whole = qualities[0].reprojection_px if len(runs) == 1 else float(np.median(per_frame[detections.valid]))
    return camera, face, TakeQuality(whole, per_frame, rms("jitter_deg"), rms("raw_jitter_deg"), qualities[0].focal)
