"""What tracking is told, and what it says about itself."""
from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class TrackConfig:
    """How the fit weighs evidence, priors and smoothness."""

    noise: float = 0.0015  # standard deviation of a landmark, model error included [m]
    gap: float = 0.0005  # the same of the opening between lips or lids, whose two edges err together [m]
    correlation: float = 0.25  # neighbouring landmarks err together: each counts as this much of an independent one
    outlier: float = 0.006  # a miss beyond this counts little [m]
    keyframes: int = 90  # frames that identity and focal length are found on
    person_rounds: int = 8
    frame_rounds: int = 3
    # The tracker errs alike in all frames of a clip, so each counts as this small a part of a new one. With more, the
    # identity flattens to follow the tracker (bas-relief) and head turns come out too small.
    keyframe_share: float = 0.06
    offset: float = 0.006  # standard deviation of the person's landmark shifts [m]
    focal: float = 2.5  # expected focal length, in units of the longer image side
    focal_spread: float = 0.35  # its standard deviation, natural log
    expression: float = 0.35  # standard deviation of a weight around MediaPipe's score
    eyelid: float = 0.7  # of the weights that shut the eyes, whose scores hardly pass a half: the lids' edges are seen
    gaze: float = 1.0  # of the weights that turn the eyes aside: irises are seen well, but for up and down
    # Motion faster than this is taken for noise, in a resting and in a moving head [Hz].
    rotation_cutoff: tuple[float, float] = (1.0, 3.5)
    place_cutoff: tuple[float, float] = (1.2, 3.8)
    depth_cutoff: tuple[float, float] = (0.7, 2.0)
    mouth_cutoff: float = 12.5  # speech moves the lips up to 8 Hz and more: none at 25 fps [Hz]
    eyelid_cutoff: float = 12.5  # blinks
    other_cutoff: float = 4.0  # brows, cheeks, nose, squinting [Hz]
    gaze_cutoff: float = 8.0


@dataclass(frozen=True)
class Person:
    """What all clips of one person, filmed at one zoom, share.

    Attributes:
        identity: [K] coefficients.
        offsets: [478,3] shift of the landmarks that the basis cannot express [m].
        focal: focal length over the longer image side.
    """

    identity: np.ndarray
    offsets: np.ndarray
    focal: float


@dataclass(frozen=True)
class TrackQuality:
    """How good a track is.

    Attributes:
        reprojection_px: median distance of the 68 points, projected against detected [px].
        reprojection_p95_px: 95th percentile of the same over points and frames.
        reprojection_frame_px: [T] median of each frame, 0 where no face was found.
        jitter_deg: RMS rotation faster than 5 Hz, of the smoothed track [deg].
        raw_jitter_deg: the same before smoothing.
        noise_ratio: frame-to-frame noise of rigid landmarks as detected over that of the fitted head, 0 where a
            clip is too short to tell (`quality.noise_ratio`).
        lag_frames: how late the fit follows lips, eyelids and head of the detection, the worst of them
            [frames]; 0 where nothing moves.
        valid: share of frames with a face.
        second_face: share of frames with a second face.
        focal: focal length [px].
        person: identity, offsets and focal, to be shared with other clips of this person.
    """

    reprojection_px: float
    reprojection_p95_px: float
    reprojection_frame_px: np.ndarray
    jitter_deg: float
    raw_jitter_deg: float
    noise_ratio: float
    lag_frames: float
    valid: float
    second_face: float
    focal: float
    person: Person

    def summary(self) -> dict[str, float]:
        """The scalars, for reports."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, float)}
