"""Tracking: image landmarks to one identity, and pose and expression of every frame.

The whole clip is one fit: identity, what the basis lacks of this person (a small shift of each landmark) and focal
length are found on frames spread over the clip, then pose and expression of all frames, then both are smoothed over
time without lag. Several clips of one person share a `Person`:

    person = fit_person([detections of clip 1, detections of clip 2], width, height)
    camera, face, quality = fit_track(detections, width, height, fps, person=person)
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from geneface.errors import UserError
from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import FaceBasis, load_basis
from geneface.types import CameraTrack, FaceTrack

from .landmarks import Detections, detect_landmarks
from .smooth import adaptive, fill, jitter, whittaker
from .track_solve import (
    Frames, Head, Prior, frame_step, offset_step, person_step, pose_step, project,
)

__all__ = ["Detections", "Person", "TrackConfig", "TrackQuality", "detect_landmarks", "fit_person", "fit_track"]

_CHUNK = 48  # frames fitted at a time: their derivatives stay in the processor's cache


@dataclass(frozen=True)
class TrackConfig:
    """How the fit weighs evidence, priors and smoothness."""

    noise: float = 0.0015  # standard deviation of a landmark, model error included [m]
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
    # Motion faster than this is taken for noise, in a resting and in a moving head [Hz].
    rotation_cutoff: tuple[float, float] = (2.0, 3.5)
    place_cutoff: tuple[float, float] = (3.5, 7.0)
    depth_cutoff: tuple[float, float] = (1.0, 2.0)
    mouth_cutoff: float = 12.5  # speech moves the lips up to 8 Hz and more: none at 25 fps [Hz]
    eyelid_cutoff: float = 12.5
    other_cutoff: float = 4.0  # brows, cheeks, nose [Hz]
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
    valid: float
    second_face: float
    focal: float
    person: Person

    def summary(self) -> dict[str, float]:
        """The scalars, for reports."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, float)}


def landmark_weights() -> np.ndarray:
    """[478] trust in each landmark; 0 leaves it out.

    Features that are seen count, skin that is guessed hardly does: on renders with known pose MediaPipe's nose follows
    a nod to 80 to 90 %, its forehead and outline to under a half, so they would make every nod too small.
    """
    weights = np.where(np.arange(478) % 3 == 0, 0.3, 0.0)  # cheeks: every third is enough
    weights[lm.FOREHEAD_AND_TEMPLES] = 0
    weights[lm.FACE_OVAL] = 0.08
    weights[[152, 148, 377, 176, 400]] = 0.5  # chin
    weights[lm.BROWS] = 0.8
    weights[lm.NOSE_SKIN] = 1.2
    weights[lm.NOSE] = 1.2
    weights[lm.LIPS_OUTER] = 1.5
    weights[lm.LIPS_INNER] = 4.0
    weights[np.concatenate([lm.EYE_RIGHT, lm.EYE_LEFT])] = 2.0
    weights[np.concatenate([lm.IRIS_RIGHT, lm.IRIS_LEFT])] = 0.5
    return weights


def fit_person(
    clips: Sequence[Detections], width: int, height: int, basis: FaceBasis | None = None,
    config: TrackConfig = TrackConfig(), identity: np.ndarray | None = None, focal: float | None = None,
) -> Person:
    """Identity, landmark shifts and focal length from one or more clips of one person.

    Args:
        clips: detections; all of the same image size.
        width, height: image size [px].
        identity: [K] keeps these coefficients, and fits the rest.
        focal: keeps this focal length [px].

    Raises:
        UserError: no face in any frame.
        ValueError: an identity of the wrong length.
    """
    basis = basis or load_basis()
    side = max(width, height)
    used, weights = _used(config)
    head = _head(basis, used, width, height, (focal or config.focal * side), identity)
    frames, observed, prior = _keyframes(clips, head, used, config)
    scale = config.outlier
    for wide in (0.2, 0.1, 0.05, 0.02, 0.02, scale, scale, scale):
        frames = pose_step(head, frames, observed, weights, wide)
    focal_prior = None if focal else (np.log(config.focal * side), config.focal_spread**-2)
    share = config.keyframe_share
    # A constant gap between the lips would be a mouth that never closes: what opens the lips is expression.
    together = np.searchsorted(used, np.stack([lm.LIPS_INNER_UPPER[1:-1], lm.LIPS_INNER_LOWER[1:-1]], 1))
    for turn in range(config.person_rounds):
        frames = frame_step(head, frames, observed, weights, scale, prior)
        person_step(head, frames, observed, weights, scale, prior, 0.0 if identity is not None else 1.0,
                    focal_prior, share)
        if turn >= config.person_rounds // 2:
            frames = frame_step(head, frames, observed, weights, scale, prior)
            offset_step(head, frames, observed, weights, scale, config.offset**-2, share * 0.25, together)
    offsets = np.zeros((478, 3))
    offsets[used] = head.offsets
    return Person(head.identity.astype(np.float32), offsets.astype(np.float32), head.focal / side)


def fit_track(
    detections: Detections, width: int, height: int, fps: float, basis: FaceBasis | None = None,
    config: TrackConfig = TrackConfig(), person: Person | None = None, identity: np.ndarray | None = None,
    focal: float | None = None,
) -> tuple[CameraTrack, FaceTrack, TrackQuality]:
    """Fit the head basis to a clip.

    Args:
        detections: landmarks of every frame.
        width, height: image size [px].
        fps: frames per second.
        basis: head model, the bundled one by default.
        person: from `fit_person`, or `TrackQuality.person` of another clip of this person; then only pose and
            expression are fitted, which is faster and keeps clips comparable.
        identity, focal: instead of `person`: coefficients [K] or focal length [px] that are known.

    Returns:
        The camera with the head's pose, the face, and how good they are. Frames without a face are interpolated
        and marked in `FaceTrack.valid`.

    Raises:
        UserError: no face in any frame.
    """
    basis = basis or load_basis()
    _require_face([detections])
    if person is None:
        person = fit_person([detections], width, height, basis, config, identity, focal)
    used, weights = _used(config)
    head = _head(basis, used, width, height, person.focal * max(width, height), person.identity)
    head.offsets = person.offsets[used].astype(np.float64)

    found = np.flatnonzero(detections.valid)
    observed = detections.landmarks[found][:, used].astype(np.float64)
    prior = _prior([detections], config)
    frames = _fit_frames(head, observed, weights, prior, config)
    whole = _spread(frames, detections.valid)
    raw_jitter = _rotation_jitter(whole.rotation, fps)
    whole = _smooth_pose(head, whole, detections.valid, fps, config)
    whole = _refit_expression(head, whole, found, observed, weights, prior, config)
    whole.expression = _smooth_expression(whole.expression, detections.valid, fps, config)
    return _result(head, whole, detections, width, height, fps, person, raw_jitter, basis)


def _used(config: TrackConfig) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the landmarks that count, and their precision [1/m^2]."""
    weights = landmark_weights()
    used = np.flatnonzero(weights)
    return used, weights[used] * config.correlation / config.noise**2


def _head(basis: FaceBasis, used: np.ndarray, width: int, height: int, focal: float, identity) -> Head:
    mean, identity_part, expression_part = (part[..., used, :].astype(np.float64) for part in basis.landmark_basis)
    coefficients = np.zeros(len(identity_part)) if identity is None else np.asarray(identity, np.float64)
    if coefficients.shape != (len(identity_part),):
        raise ValueError(f"identity: expected {len(identity_part)} coefficients, got shape {coefficients.shape}")
    return Head(mean, identity_part, expression_part, coefficients, np.zeros_like(mean), float(focal),
                np.array([width / 2, height / 2]))


def _require_face(clips: Sequence[Detections]) -> None:
    if not any(clip.valid.any() for clip in clips):
        raise UserError("no face found in any frame; use a video of one person who faces the camera in good light")


def _prior(clips: Sequence[Detections], config: TrackConfig) -> Prior:
    """Beliefs about expression for all valid frames of the clips."""
    scores = np.concatenate([clip.scores[clip.valid] for clip in clips]).astype(np.float64)
    # How high somebody's brows sit and how narrow the eyes are is identity; MediaPipe reads it as expression.
    held = [*arkit.BROWS, *arkit.indices("eyeSquint*", "eyeWide*")]
    scores[:, held] = np.clip(scores[:, held] - np.quantile(scores[:, held], 0.1, axis=0), 0, 1)
    # Under a closing lid MediaPipe guesses the gaze, and guesses down.
    for side in ("Left", "Right"):
        scores[:, arkit.index(f"eyeLookDown{side}")] *= (1 - scores[:, arkit.index(f"eyeBlink{side}")]) ** 2
    spread = np.full(scores.shape[1], config.expression)
    spread[arkit.index("mouthClose")] = config.expression * 0.4  # the jaw closes the mouth before the lips do
    spread[arkit.indices("jawForward", "cheekPuff")] = config.expression * 0.4
    spread[arkit.index("tongueOut")] = 0.01
    coupling = np.zeros((scores.shape[1],) * 2)
    for a, b, strength in (
        ("eyeLookInLeft", "eyeLookOutRight", 30), ("eyeLookOutLeft", "eyeLookInRight", 30),  # eyes turn together
        ("eyeLookUpLeft", "eyeLookUpRight", 30), ("eyeLookDownLeft", "eyeLookDownRight", 30),
        ("eyeBlinkLeft", "eyeBlinkRight", 5),
    ):
        i, j = arkit.index(a), arkit.index(b)
        coupling[[i, j], [i, j]] += strength
        coupling[[i, j], [j, i]] -= strength
    return Prior(scores, spread**-2, coupling)


def _start(head: Head, observed: np.ndarray, prior: Prior) -> Frames:
    """Upright heads of the right size and place."""
    count = len(observed)
    neutral = head.neutral()
    size = np.sqrt(observed.var(1).sum(-1)) / np.sqrt(neutral[:, :2].var(0).sum())  # pixels per metre
    depth = head.focal / size
    middle = (observed.mean(1) - head.centre) / size[:, None] - neutral[:, :2].mean(0)
    translation = np.concatenate([middle, depth[:, None] - neutral[:, 2].mean()], 1)
    return Frames(np.tile(np.eye(3), (count, 1, 1)), translation, np.clip(prior.mean, 0, 1).copy())


def _keyframes(
    clips: Sequence[Detections], head: Head, used: np.ndarray, config: TrackConfig,
) -> tuple[Frames, np.ndarray, Prior]:
    """Frames spread evenly over all clips."""
    _require_face(clips)
    prior = _prior(clips, config)
    observed = np.concatenate([clip.landmarks[clip.valid] for clip in clips])[:, used].astype(np.float64)
    count = min(config.keyframes, len(observed))
    chosen = np.unique(np.linspace(0, len(observed) - 1, count).round().astype(int))
    observed, prior = observed[chosen], prior.take(chosen)
    return _start(head, observed, prior), observed, prior


def _fit_frames(head: Head, observed: np.ndarray, weights: np.ndarray, prior: Prior, config: TrackConfig) -> Frames:
    """Pose and expression of every frame on its own."""
    parts = []
    for first in range(0, len(observed), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        beliefs = prior.take(chunk)
        frames = _start(head, observed[chunk], beliefs)
        for wide in (0.2, 0.05, 0.02, 0.02, config.outlier):
            frames = pose_step(head, frames, observed[chunk], weights, wide)
        for _ in range(config.frame_rounds):
            frames = frame_step(head, frames, observed[chunk], weights, config.outlier, beliefs)
        parts.append(frames)
    return Frames(*(np.concatenate([getattr(p, name) for p in parts])
                    for name in ("rotation", "translation", "expression")))


def _spread(frames: Frames, valid: np.ndarray) -> Frames:
    """Put the frames at their place in the clip and interpolate the ones without a face."""
    from scipy.spatial.transform import Rotation, Slerp

    known = np.flatnonzero(valid)
    place = np.clip(np.arange(len(valid)), known[0], known[-1])
    if len(known) > 1:
        rotation = Slerp(known, Rotation.from_matrix(frames.rotation))(place).as_matrix()
    else:
        rotation = np.repeat(frames.rotation, len(valid), 0)
    translation = np.zeros((len(valid), 3))
    expression = np.zeros((len(valid), frames.expression.shape[1]))
    translation[known], expression[known] = frames.translation, frames.expression
    return Frames(rotation, fill(translation, valid), fill(expression, valid))


def _smooth_pose(head: Head, frames: Frames, valid: np.ndarray, fps: float, config: TrackConfig) -> Frames:
    """Pose without shaking.

    What the picture shows best is where the middle of the face lies; rotation is seen less well, depth worst. So
    rotation, the ray to the middle of the face, and depth are smoothed each for itself.
    """
    from scipy.spatial.transform import Rotation

    trust = np.where(valid, 1.0, 1e-3)
    mean = Rotation.from_matrix(frames.rotation).mean()
    relative = (mean.inv() * Rotation.from_matrix(frames.rotation)).as_rotvec()
    relative = adaptive(relative, config.rotation_cutoff[0], config.rotation_cutoff[1], fps, trust)
    rotation = (mean * Rotation.from_rotvec(relative)).as_matrix()
    middle = head.neutral().mean(0)
    place = frames.rotation @ middle + frames.translation
    depth = np.exp(adaptive(np.log(place[:, 2:]), config.depth_cutoff[0], config.depth_cutoff[1], fps, trust))
    ray = adaptive(place[:, :2] / place[:, 2:], config.place_cutoff[0], config.place_cutoff[1], fps, trust)
    place = np.concatenate([ray * depth, depth], 1)
    return Frames(rotation, place - rotation @ middle, frames.expression)


def _refit_expression(
    head: Head, whole: Frames, found: np.ndarray, observed: np.ndarray, weights: np.ndarray, prior: Prior,
    config: TrackConfig,
) -> Frames:
    """Expression again, given the smoothed pose, so that removed shaking is not mistaken for expression."""
    expression = whole.expression.copy()
    for first in range(0, len(found), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        frames = whole.take(found[chunk])
        for _ in range(2):
            frames = frame_step(head, frames, observed[chunk], weights, config.outlier, prior.take(chunk), False)
        expression[found[chunk]] = frames.expression
    valid = np.zeros(len(whole), bool)
    valid[found] = True
    return Frames(whole.rotation, whole.translation, fill(expression, valid))


def _smooth_expression(expression: np.ndarray, valid: np.ndarray, fps: float, config: TrackConfig) -> np.ndarray:
    trust = np.where(valid, 1.0, 1e-3)
    result = expression.copy()
    groups = [
        (config.mouth_cutoff, arkit.MOUTH), (config.eyelid_cutoff, arkit.EYELIDS), (config.gaze_cutoff, arkit.GAZE),
    ]
    rest = set(range(expression.shape[1])).difference(*(members for _, members in groups))
    for cutoff, members in (*groups, (config.other_cutoff, rest)):
        columns = list(members)
        result[:, columns] = whittaker(expression[:, columns], cutoff, fps, trust)
    return np.clip(result, 0, 1)


def _rotation_jitter(rotation: np.ndarray, fps: float) -> float:
    """RMS of rotation faster than 5 Hz [deg]."""
    from scipy.spatial.transform import Rotation

    mean = Rotation.from_matrix(rotation).mean()
    relative = (mean.inv() * Rotation.from_matrix(rotation)).as_rotvec()
    return float(np.rad2deg(np.sqrt((jitter(relative, fps) ** 2).sum(1).mean())))


def _result(
    head: Head, whole: Frames, detections: Detections, width: int, height: int, fps: float, person: Person,
    raw_jitter: float, basis: FaceBasis,
) -> tuple[CameraTrack, FaceTrack, TrackQuality]:
    pose = np.tile(np.eye(4), (len(whole), 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = whole.rotation, whole.translation
    intrinsics = np.array([[head.focal, 0, head.centre[0]], [0, head.focal, head.centre[1]], [0, 0, 1]])
    camera = CameraTrack(intrinsics.astype(np.float32), pose.astype(np.float32), width, height, float(fps))

    landmarks = fill(detections.landmarks, detections.valid)
    face = FaceTrack(
        landmarks=landmarks, valid=detections.valid, identity=person.identity.astype(np.float32),
        expression=whole.expression.astype(np.float32), eye_open=eye_openness(landmarks, detections.valid),
        gaze=gaze_angles(basis, whole.expression), fps=float(fps),
    )
    full = _head(basis, np.arange(478), width, height, head.focal, person.identity)
    full.offsets = person.offsets.astype(np.float64)
    found = np.flatnonzero(detections.valid)
    errors = np.zeros((len(whole), 68))
    for first in range(0, len(found), 256):
        index = found[first:first + 256]
        points = project(full, whole.take(index))[:, lm.MEDIAPIPE_TO_68]
        errors[index] = np.linalg.norm(points - detections.landmarks[index][:, lm.MEDIAPIPE_TO_68], axis=-1)
    quality = TrackQuality(
        reprojection_px=float(np.median(errors[found])), reprojection_p95_px=float(np.quantile(errors[found], 0.95)),
        reprojection_frame_px=np.median(errors, 1), jitter_deg=_rotation_jitter(whole.rotation, fps),
        raw_jitter_deg=raw_jitter, valid=float(detections.valid.mean()),
        second_face=float((detections.faces > 1).mean()), focal=float(head.focal), person=person,
    )
    return camera, face, quality


def eye_openness(landmarks: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """[T,2] eyelid opening relative to the person's own open eye, so narrow eyes open as far as wide ones.

    Open is the 80th percentile of the clip; closed is the clip's lowest, but at most 40 % of open where nobody blinks.

    Args:
        landmarks: [T,478,2] (px); valid: [T] bool.
    """
    aspect = lm.eye_aspect(landmarks)
    wide = np.quantile(aspect[valid], 0.8, axis=0)
    shut = np.clip(np.quantile(aspect[valid], 0.005, axis=0), 0.1 * wide, 0.4 * wide)
    return np.clip((aspect - shut) / np.maximum(wide - shut, 1e-6), 0, 1).astype(np.float32)


def gaze_angles(basis: FaceBasis, expression: np.ndarray) -> np.ndarray:
    """[T,2] gaze yaw (positive to the image's right) and pitch (positive up) relative to the head [rad].

    From the shift of the iris centres over the radius of rotation of the human eye, mean of both eyes.
    """
    radius = 0.012  # centre of rotation to iris (Fry and Hill 1962: 13.5 mm to the cornea) [m]
    iris = basis.landmark_basis[2][:, [lm.IRIS_RIGHT[0], lm.IRIS_LEFT[0]]].mean(1)  # [52,3]
    shift = expression @ iris
    angles = np.arcsin(np.clip(np.stack([shift[:, 0], -shift[:, 1]], 1) / radius, -0.95, 0.95))
    return angles.astype(np.float32)
