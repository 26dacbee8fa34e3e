"""Tracking: image landmarks to one identity, and pose and expression of every frame.

The whole clip is one fit: identity, what the basis lacks of this person (a small shift of each landmark) and focal
length are found on frames spread over the clip, then pose and expression of all frames, then both are smoothed over
time without lag. Several clips of one person share a `Person`:

    person = fit_person([detections of clip 1, detections of clip 2], width, height)
    camera, face, quality = fit_track(detections, width, height, fps, person=person)
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation, Slerp
from threadpoolctl import threadpool_limits

from geneface.errors import UserError
from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import FaceBasis, load_basis
from geneface.types import CameraTrack, FaceTrack

from .beliefs import expression_prior, used_landmarks
from .config import Person, TrackConfig, TrackQuality
from .eyes import eye_openness, gaze_angles
from .landmarks import Detections
from .quality import WATCHED, compare, rotation_jitter
from .smooth import adaptive, fill, whittaker
from .solve import (
    Frames, Head, Prior, Trust, frame_step, offset_step, person_step, pose_step, project,
)
from .takes import pieces

__all__ = [
    "Person", "TrackConfig", "TrackQuality", "fit_person", "fit_track", "predicted_landmarks", "refit_expression",
]

_CHUNK = 48  # frames fitted at a time: their derivatives stay in the processor's cache


@threadpool_limits.wrap(limits=1)  # the matrices are small: more threads than one wait for each other
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
    used, trust = used_landmarks(config)
    head = _head(basis, used, width, height, (focal or config.focal * side), identity)
    frames, observed, prior = _keyframes(clips, head, used, config)
    scale = config.outlier
    for wide in (0.2, 0.1, 0.05, 0.02, 0.02, scale, scale, scale):
        frames = pose_step(head, frames, observed, trust, wide)
    focal_prior = None if focal else (np.log(config.focal * side), config.focal_spread**-2)
    share = config.keyframe_share
    # A constant gap between the lips would be a mouth that never closes: what opens them is expression.
    together = np.searchsorted(used, lm.LIPS_APART)
    for turn in range(config.person_rounds):
        frames = frame_step(head, frames, observed, trust, scale, prior)
        person_step(head, frames, observed, trust, scale, prior, 0.0 if identity is not None else 1.0,
                    focal_prior, share)
        if turn >= config.person_rounds // 2:
            frames = frame_step(head, frames, observed, trust, scale, prior)
            offset_step(head, frames, observed, trust, scale, config.offset**-2, share * 0.25, together)
    offsets = np.zeros((478, 3))
    offsets[used] = head.offsets
    return Person(head.identity.astype(np.float32), offsets.astype(np.float32), head.focal / side)


@threadpool_limits.wrap(limits=1)
def fit_track(
    detections: Detections, width: int, height: int, fps: float, basis: FaceBasis | None = None,
    config: TrackConfig = TrackConfig(), person: Person | None = None, identity: np.ndarray | None = None,
    focal: float | None = None, jumps: Sequence[int] = (),
) -> tuple[CameraTrack, FaceTrack, TrackQuality]:
    """Fit the head basis to a clip, or to several of one person standing one after another.

    Args:
        detections: landmarks of every frame.
        width, height: image size [px].
        fps: frames per second.
        basis: head model, the bundled one by default.
        person: from `fit_person`, or `TrackQuality.person` of another clip of this person; then only pose and
            expression are fitted, which is faster and keeps clips comparable.
        identity, focal: instead of `person`: coefficients [K] or focal length [px] that are known.
        jumps: first frames after jumps (cuts, or where one clip ends and the next begins). Identity and focal length
            hold for all frames; nothing is smoothed or interpolated across a jump. The focal length is in pixels of
            the cropped picture: clips whose crops take different parts of the same camera's picture differ in it by
            the ratio of their sides, and then come out nearer or farther by as much, which moves no landmark by
            more than perspective does between those distances.

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
    used, trust = used_landmarks(config)
    head = _person_head(basis, person, width, height, used)
    found = np.flatnonzero(detections.valid)
    observed = detections.landmarks[found][:, used].astype(np.float64)
    prior = expression_prior([detections], config)
    frames = _fit_frames(head, observed, trust, prior, config)

    runs = pieces(detections.valid, jumps)
    whole = _spread(frames, detections.valid, runs)
    rough = whole.rotation
    whole = _smooth_pose(head, whole, detections.valid, runs, fps, config)
    whole = _refit_expression(head, whole, found, runs, observed, trust, prior, config)
    whole.expression = _smooth_expression(whole.expression, detections.valid, runs, fps, config)
    return _result(basis, person, whole, rough, detections, runs, width, height, fps)


def refit_expression(
    detections: Detections, camera: CameraTrack, face: FaceTrack, person: Person, basis: FaceBasis | None = None,
    config: TrackConfig = TrackConfig(), jumps: Sequence[int] = (),
) -> tuple[FaceTrack, TrackQuality]:
    """The face again for poses other than those it was fitted with, such as refined ones.

    Args:
        detections, person, basis, config, jumps: as given to `fit_track`, or in its quality.
        camera: the new poses.
        face: the face as fitted with the old ones.

    Returns:
        The face, and how good it is with these poses (its raw jitter is theirs).
    """
    basis = basis or load_basis()
    used, trust = used_landmarks(config)
    head = _person_head(basis, person, camera.width, camera.height, used)
    found, runs = np.flatnonzero(detections.valid), pieces(detections.valid, jumps)
    observed = detections.landmarks[found][:, used].astype(np.float64)
    pose = camera.head_to_camera.astype(np.float64)
    whole = Frames(pose[:, :3, :3], pose[:, :3, 3], face.expression.astype(np.float64))
    whole = _refit_expression(head, whole, found, runs, observed, trust, expression_prior([detections], config), config)
    whole.expression = _smooth_expression(whole.expression, detections.valid, runs, camera.fps, config)
    return _result(basis, person, whole, whole.rotation, detections, runs, camera.width, camera.height, camera.fps)[1:]


def predicted_landmarks(
    camera: CameraTrack, face: FaceTrack, person: Person, basis: FaceBasis | None = None
) -> np.ndarray:
    """[T,478,2] where the fit expects MediaPipe to see the landmarks [px]: its bias and the person's shifts included."""
    head = _person_head(basis or load_basis(), person, camera.width, camera.height)
    pose = camera.head_to_camera.astype(np.float64)
    frames = Frames(pose[:, :3, :3], pose[:, :3, 3], face.expression.astype(np.float64))
    return np.concatenate([
        project(head, frames.take(slice(first, first + _CHUNK))) for first in range(0, len(frames), _CHUNK)])


def _person_head(
    basis: FaceBasis, person: Person, width: int, height: int, used: np.ndarray = np.arange(478)
) -> Head:
    """The `used` landmarks of a person."""
    head = _head(basis, used, width, height, person.focal * max(width, height), person.identity)
    head.offsets = person.offsets[used].astype(np.float64)
    return head


def _head(basis: FaceBasis, used: np.ndarray, width: int, height: int, focal: float, identity) -> Head:
    mean, identity_part, expression_part, view_part = (part[..., used, :] for part in basis.seen_landmarks)
    coefficients = np.zeros(len(identity_part)) if identity is None else np.asarray(identity, np.float64)
    if coefficients.shape != (len(identity_part),):
        raise ValueError(f"identity: expected {len(identity_part)} coefficients, got shape {coefficients.shape}")
    return Head(mean, identity_part, expression_part, view_part, coefficients, np.zeros_like(mean), float(focal),
                np.array([width / 2, height / 2]))


def _require_face(clips: Sequence[Detections]) -> None:
    if not any(clip.valid.any() for clip in clips):
        raise UserError("no face found in any frame; use a video of one person who faces the camera in good light")


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
    prior = expression_prior(clips, config)
    observed = np.concatenate([clip.landmarks[clip.valid] for clip in clips])[:, used].astype(np.float64)
    count = min(config.keyframes, len(observed))
    chosen = np.unique(np.linspace(0, len(observed) - 1, count).round().astype(int))
    observed, prior = observed[chosen], prior.take(chosen)
    return _start(head, observed, prior), observed, prior


def _fit_frames(head: Head, observed: np.ndarray, trust: Trust, prior: Prior, config: TrackConfig) -> Frames:
    """Pose and expression of every frame on its own."""
    parts = []
    for first in range(0, len(observed), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        beliefs = prior.take(chunk)
        frames = _start(head, observed[chunk], beliefs)
        for wide in (0.2, 0.05, 0.02, 0.02, config.outlier):
            frames = pose_step(head, frames, observed[chunk], trust, wide)
        for _ in range(config.frame_rounds):
            frames = frame_step(head, frames, observed[chunk], trust, config.outlier, beliefs)
        parts.append(frames)
    return Frames(*(np.concatenate([getattr(p, name) for p in parts])
                    for name in ("rotation", "translation", "expression")))


def _spread(frames: Frames, valid: np.ndarray, runs: list[slice]) -> Frames:
    """Put the frames at their place in the clip and interpolate the ones without a face."""
    rotation = np.tile(np.eye(3), (len(valid), 1, 1))
    translation = np.zeros((len(valid), 3))
    expression = np.zeros((len(valid), frames.expression.shape[1]))
    rotation[valid], translation[valid], expression[valid] = frames.rotation, frames.translation, frames.expression
    for run in runs:
        known = np.flatnonzero(valid[run])
        if 1 < len(known) < run.stop - run.start:
            place = np.clip(np.arange(run.stop - run.start), known[0], known[-1])
            rotation[run] = Slerp(known, Rotation.from_matrix(rotation[run][known]))(place).as_matrix()
        elif len(known) == 1:
            rotation[run] = rotation[run][known]
    return Frames(rotation, _filled(translation, valid, runs), _filled(expression, valid, runs))


def _filled(values: np.ndarray, valid: np.ndarray, runs: list[slice]) -> np.ndarray:
    return np.concatenate([fill(values[run], valid[run]) for run in runs])


def _smooth_pose(
    head: Head, frames: Frames, valid: np.ndarray, runs: list[slice], fps: float, config: TrackConfig,
) -> Frames:
    """Pose without shaking.

    What the picture shows best is where the middle of the face lies; rotation is seen less well, depth worst. So
    rotation, the ray to the middle of the face, and depth are smoothed each for itself.
    """
    trust = np.where(valid, 1.0, 1e-3)
    middle = head.neutral().mean(0)
    rotation, translation = frames.rotation.copy(), frames.translation.copy()
    for run in runs:
        def smoothed(values: np.ndarray, cutoff: tuple[float, float], run: slice = run) -> np.ndarray:
            return adaptive(values, *cutoff, fps, trust[run])

        turn = Rotation.from_matrix(frames.rotation[run])
        mean = turn.mean()
        turn = mean * Rotation.from_rotvec(smoothed((mean.inv() * turn).as_rotvec(), config.rotation_cutoff))
        rotation[run] = turn.as_matrix()
        place = frames.rotation[run] @ middle + frames.translation[run]
        depth = np.exp(smoothed(np.log(place[:, 2:]), config.depth_cutoff))
        ray = smoothed(place[:, :2] / place[:, 2:], config.place_cutoff)
        translation[run] = np.concatenate([ray * depth, depth], 1) - rotation[run] @ middle
    return Frames(rotation, translation, frames.expression)


def _refit_expression(
    head: Head, whole: Frames, found: np.ndarray, runs: list[slice], observed: np.ndarray, trust: Trust,
    prior: Prior, config: TrackConfig,
) -> Frames:
    """Expression again, given the smoothed pose, so that removed shaking is not mistaken for expression."""
    expression = whole.expression.copy()
    for first in range(0, len(found), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        frames = whole.take(found[chunk])
        for _ in range(2):
            frames = frame_step(head, frames, observed[chunk], trust, config.outlier, prior.take(chunk), False)
        expression[found[chunk]] = frames.expression
    valid = np.zeros(len(whole), bool)
    valid[found] = True
    return Frames(whole.rotation, whole.translation, _filled(expression, valid, runs))


def _smooth_expression(
    expression: np.ndarray, valid: np.ndarray, runs: list[slice], fps: float, config: TrackConfig,
) -> np.ndarray:
    trust = np.where(valid, 1.0, 1e-3)
    result = expression.copy()
    groups = [
        (config.mouth_cutoff, arkit.MOUTH), (config.eyelid_cutoff, arkit.indices("eyeBlink*")),
        (config.gaze_cutoff, arkit.GAZE),
    ]
    rest = set(range(expression.shape[1])).difference(*(members for _, members in groups))
    for cutoff, members in (*groups, (config.other_cutoff, rest)):
        columns = list(members)
        for run in runs:
            result[run, columns] = whittaker(expression[run, columns], cutoff, fps, trust[run])
    return np.clip(result, 0, 1)


def _result(
    basis: FaceBasis, person: Person, whole: Frames, rough: np.ndarray, detections: Detections, runs: list[slice],
    width: int, height: int, fps: float,
) -> tuple[CameraTrack, FaceTrack, TrackQuality]:
    """The boundary objects, and the fit compared with what was detected; `rough` [T,3,3] is the unsmoothed rotation."""
    valid, landmarks = detections.valid, _filled(detections.landmarks, detections.valid, runs)
    head = _person_head(basis, person, width, height)
    errors, aspect = np.zeros((len(whole), 68)), np.zeros((len(whole), 2))
    watched = np.zeros((len(whole), len(WATCHED), 2))
    for first in range(0, len(whole), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        frames = whole.take(chunk)
        points = project(head, frames)
        missed = (points - landmarks[chunk])[:, lm.MEDIAPIPE_TO_68]
        errors[chunk] = np.linalg.norm(missed, axis=-1) * valid[chunk, None]
        watched[chunk] = points[:, WATCHED]
        aspect[chunk] = lm.eye_aspect(head.points(frames))

    pose = np.tile(np.eye(4), (len(whole), 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = whole.rotation, whole.translation
    intrinsics = np.array([[head.focal, 0, head.centre[0]], [0, head.focal, head.centre[1]], [0, 0, 1]])
    camera = CameraTrack(intrinsics.astype(np.float32), pose.astype(np.float32), width, height, float(fps))
    face = FaceTrack(
        landmarks=landmarks, valid=valid, identity=person.identity.astype(np.float32),
        expression=whole.expression.astype(np.float32), eye_open=eye_openness(aspect, valid),
        gaze=gaze_angles(basis, whole.expression), fps=float(fps),
    )
    ratio, lag = compare(landmarks[:, WATCHED].astype(np.float64), watched, fps, runs)
    quality = TrackQuality(
        reprojection_px=float(np.median(errors[valid])), reprojection_p95_px=float(np.quantile(errors[valid], 0.95)),
        reprojection_frame_px=np.median(errors, 1), jitter_deg=rotation_jitter(whole.rotation, fps, runs),
        raw_jitter_deg=rotation_jitter(rough, fps, runs), noise_ratio=ratio, lag_frames=lag,
        valid=float(valid.mean()), second_face=float((detections.faces > 1).mean()), focal=float(head.focal),
        person=person,
    )
    return camera, face, quality
