"""Held-out evaluation of an avatar: what it makes of frames that no training step saw."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EvaluateConfig, MotionConfig
from ..errors import UserError
from ..face.detector import FaceDetector
from ..face.landmarks import mouth_opening
from ..face.motion import tracked_motion
from ..motion.predict import predict
from ..nerf.align import PoseAligner
from ..nerf.render import AvatarRenderer
from ..progress import track
from ..types import Avatar, MotionSequence, PreparedPerson, SpeechFeatures, require
from .face import jitter_px
from .film import Film
from .gallery import BADNESS, Gallery
from .image import in_sight, resize
from .judge import Comparison, Judge
from .original import original_frames
from .report import write_comparison, write_report

FILM_NAME = "comparison.mp4"
KINDS = ("tracked", "aligned", "predicted")


@dataclass(frozen=True)
class Drive:
    """What an avatar is made to show.

    Attributes:
        driving: [T,69,3] `MotionSequence.driving` of the frames that are compared.
        aligned: put the head where each picture shows it (`nerf.align`) instead of where it was tracked.
    """

    driving: np.ndarray
    aligned: bool = False


@dataclass(frozen=True)
class Subject:
    """An avatar and what it is made to show.

    Attributes:
        name: of the avatar, for messages; "" where there is but one.
        motions: name of the render -> what is shown.
    """

    name: str
    avatar: Avatar
    motions: dict[str, Drive]

    def renderer(self) -> AvatarRenderer:
        """Raises UserError, naming the avatar, for one that this version cannot render."""
        try:
            return AvatarRenderer(self.avatar)
        except UserError as error:
            raise UserError(f"{self.name}: {error}" if self.name else str(error)) from error


def evaluate(
    avatar: Avatar, person: PreparedPerson, out: str | Path | None = None, config: EvaluateConfig = EvaluateConfig(),
    motion: MotionConfig = MotionConfig(), video: str | Path | None = None,
) -> dict[str, Any]:
    """Compare an avatar with the held-out frames of its person.

    The frames are rendered three times: with motion and head poses as tracked on them (`tracked`, the renderer alone),
    with the same motion and the head poses that the avatar itself finds in the pictures (`aligned`: what the tracker's
    errors of pose cost is left out; nothing else is taken from a picture), and with the motion that the motion model
    predicts from their sound (`predicted`, the whole chain). Faces are detected anew on truth and renders; the figures
    are described in `scores.Scores.summary`, `measures.MEASURES` and beside each measure.

    Args:
        out: folder for the report (page, figures, video of truth beside the renders); None for none.
        motion: how motion is predicted.
        video: the video the person was prepared from; None to look for it (`original.original_frames`).

    Returns:
        `tracked`, `aligned`, `predicted` (null if the person has no sound to predict from); `truth` {jitter_px,
        faces_missing, seam_gradient, seam_jump}; `frames`, `picture_frames`: how many were measured; `reference`:
        "source video" or "prepared frames", what the renders were compared with; `worst_frames` {lip_distance_px,
        psnr_head}: frames of the person, the worst first; `report`, `video`: the files or null.

    Raises:
        UserError: no held-out frames, or an avatar of another person's camera.
    """
    frames = person.held_out_frames[: config.frames]
    _check(avatar, person, frames)
    motions = _motions(avatar, person, frames, motion)
    film = None if out is None else Film(Path(out) / FILM_NAME, [["truth", *motions]], person, frames)
    judge, result = _judge([Subject("", avatar, motions)], person, frames, config, film, video)
    summaries = {name: scores.summary() for name, scores in judge.scores.items()}
    result = {kind: summaries.get(kind) for kind in KINDS} | result
    if out is not None:
        result["report"] = str(write_report(Path(out), person, result, judge, frames, film.path))
    return result


def compare(
    avatars: Mapping[str, Avatar], person: PreparedPerson, out: str | Path | None = None,
    config: EvaluateConfig = EvaluateConfig(), motion: MotionConfig = MotionConfig(), video: str | Path | None = None,
) -> dict[str, Any]:
    """Several avatars of one person beside each other, on the same held-out frames; as `evaluate` for the rest.

    Args:
        avatars: name -> avatar.

    Returns:
        `avatars` {name: {tracked, aligned, predicted}}, and `evaluate`'s other keys.

    Raises:
        UserError: as `evaluate`; the message names the avatar.
        ValueError: no avatar.
    """
    require(len(avatars) > 0, "avatars: none given")
    frames = person.held_out_frames[: config.frames]
    for name, avatar in avatars.items():
        _check(avatar, person, frames, name)
    names: dict[str, dict[str, str]] = {}  # avatar -> motion -> render
    subjects = []
    for avatar_name, avatar in avatars.items():
        motions = _motions(avatar, person, frames, motion)
        names[avatar_name] = {kind: f"{avatar_name}, {kind}" for kind in motions}
        renders = {names[avatar_name][kind]: points for kind, points in motions.items()}
        subjects.append(Subject(avatar_name, avatar, renders))
    kinds = list(next(iter(names.values())))
    film = None
    if out is not None:
        rows = [["truth", *(names[avatar][kind] for avatar in names)] for kind in kinds]
        film = Film(Path(out) / FILM_NAME, rows, person, frames)
    judge, result = _judge(subjects, person, frames, config, film, video)
    figures: dict[str, dict[str, Any]] = {name: dict.fromkeys(KINDS) for name in names}
    for avatar_name, of in names.items():
        figures[avatar_name] |= {kind: judge.scores[render].summary() for kind, render in of.items()}
    result = {"avatars": figures} | result
    if out is not None:
        minutes = {name: avatar.info.get("minutes") for name, avatar in avatars.items()}
        result["report"] = str(write_comparison(Path(out), person, result, judge, names, minutes, frames, film.path))
    return result


def held_out(avatar: Avatar, person: PreparedPerson, count: int = 12) -> dict[str, float | None]:
    """The three figures that a fit ends with, on `count` held-out frames spread evenly.

    Returns:
        psnr_head [dB], lpips_full, lip_distance_px, from tracked motion; see `evaluate`.

    Raises:
        UserError: as `evaluate`.
    """
    available = person.held_out_frames
    _check(avatar, person, available)
    frames = available[:: max(1, -(-len(available) // count))]
    judge = Judge(["tracked"])
    _, comparisons = _comparisons([Subject("", avatar, {"tracked": Drive(_tracked(person, frames))})], person, frames)
    with FaceDetector() as detector:
        for comparison in comparisons:
            judge.measure(comparison, detector, pictures=True)
    summary = judge.scores["tracked"].summary()
    return {key: summary[key] for key in ("psnr_head", "lpips_full", "lip_distance_px")}


def _judge(
    subjects: Sequence[Subject], person: PreparedPerson, frames: range, config: EvaluateConfig, film: Film | None,
    video: str | Path | None,
) -> tuple[Judge, dict[str, Any]]:
    """Measure consecutive frames, and the part of the result that is not any single render's."""
    renders = [name for subject in subjects for name in subject.motions]
    gallery = Gallery(len(frames), config.strips)
    judge = Judge(renders, gallery)
    stride = max(1, -(-len(frames) // config.picture_frames))
    reference, comparisons = _comparisons(subjects, person, frames, video)
    with FaceDetector() as detector, film or nullcontext():
        for step, comparison in enumerate(track(comparisons, "evaluating", total=len(frames))):
            judge.measure(comparison, detector, pictures=step % stride == 0)
            if film is not None:
                film.add({"truth": comparison.truth, **comparison.renders})
    first = judge.scores[renders[0]]
    truth = np.stack(first.truth)
    return judge, {
        "truth": {"jitter_px": jitter_px(truth), "faces_missing": int(np.isnan(truth[:, 0, 0]).sum())}
        | first.true_seam(),
        "frames": len(frames),
        "picture_frames": -(-len(frames) // stride),
        "reference": reference,
        "worst_frames": {figure: [strip.index for strip in gallery.worst(figure)] for figure in BADNESS},
        "report": None,
        "video": None if film is None else str(film.path),
    }


def _check(avatar: Avatar, person: PreparedPerson, frames: range, name: str = "this avatar") -> None:
    if not len(frames):
        raise UserError(f"{person.path}: no held-out frames to evaluate on; prepare a longer video")
    same_camera = np.allclose(avatar.camera.intrinsics, person.camera.intrinsics, rtol=1e-5)
    identities = avatar.identity, person.face.identity
    if not same_camera or len(identities[0]) != len(identities[1]) or not np.allclose(*identities, atol=1e-4):
        raise UserError(f"{person.path}: is not the prepared person {name} was fitted on; give that one")


def _motions(avatar: Avatar, person: PreparedPerson, frames: range, config: MotionConfig) -> dict[str, Drive]:
    """`KINDS`, the last where the person has sound."""
    tracked = _tracked(person, frames)
    motions = {"tracked": Drive(tracked), "aligned": Drive(tracked, aligned=True)}
    if len(person.speech):
        motions["predicted"] = Drive(_predicted(avatar, person, frames, config))
    return motions


def _tracked(person: PreparedPerson, frames: range) -> np.ndarray:
    """[len(frames),69,3] driving values as tracked."""
    whole: MotionSequence = tracked_motion(person.face, person.camera, None, f"tracked: {person.path.name}")
    return whole.driving[list(frames)]


def _predicted(avatar: Avatar, person: PreparedPerson, frames: range, config: MotionConfig) -> np.ndarray:
    """[len(frames),69,3] driving values as predicted from the sound of the frames alone."""
    driving = predict(excerpt(person.speech, frames, person.fps), avatar, config).driving
    # Rounding may leave the prediction a frame short; its last frame is held.
    return driving[np.minimum(np.arange(len(frames)), len(driving) - 1)]


def excerpt(speech: SpeechFeatures, frames: range, fps: float) -> SpeechFeatures:
    """The speech features that sound during consecutive video frames.

    Args:
        frames: video frames, a range of step 1. fps: their rate.
    """
    if frames.step != 1:
        raise ValueError(f"frames: must be consecutive, got step {frames.step}")
    first, last = (round(t / fps * speech.fps) for t in (frames.start, frames.stop))
    part = slice(first, min(last, len(speech)))
    return replace(
        speech, content=speech.content[part], log_f0=speech.log_f0[part], energy=speech.energy[part],
        voicing=speech.voicing[part], speech=speech.speech[part],
    )


def _comparisons(
    subjects: Sequence[Subject], person: PreparedPerson, frames: range, video: str | Path | None = None,
) -> tuple[str, Iterator[Comparison]]:
    """What the renders are compared with, and the comparisons one by one."""
    reference, originals = original_frames(person, frames, video)
    renderers = [subject.renderer() for subject in subjects]
    aligners = [PoseAligner(renderer) for renderer in renderers]

    def comparisons() -> Iterator[Comparison]:
        for step, (index, truth) in enumerate(zip(frames, originals, strict=True)):
            size = truth.shape[1], truth.shape[0]
            pose = person.camera.head_to_camera[index]
            mask = resize(person.mask(index), size)
            seen = in_sight(mask)[..., None]
            renders = {}
            for renderer, aligner, subject in zip(renderers, aligners, subjects):
                for name, drive in subject.motions.items():
                    driving, at = drive.driving[step], pose
                    if drive.aligned:
                        at = aligner.pose(person.frame(index), person.mask(index), driving, pose)
                    renders[name] = np.where(seen, resize(renderer.frame(driving, at), size), truth)
            yield Comparison(index, truth, mask, renders)

    return reference, comparisons()
