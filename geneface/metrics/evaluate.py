"""Held-out evaluation of an avatar: what it makes of frames that no training step saw."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EvaluateConfig, MotionConfig
from ..errors import UserError
from ..face.detector import FaceDetector
from ..face.landmarks import mouth_opening
from ..face.motion import tracked_motion
from ..motion.predict import predict
from ..nerf.render import AvatarRenderer
from ..progress import track
from ..types import Avatar, MotionSequence, PreparedPerson, SpeechFeatures
from .face import jitter_px
from .gallery import Gallery
from .image import in_sight, resize
from .judge import Comparison, Judge
from .original import original_frames
from .report import write_report


def evaluate(
    avatar: Avatar, person: PreparedPerson, out: str | Path | None = None, config: EvaluateConfig = EvaluateConfig(),
    motion: MotionConfig = MotionConfig(), video: str | Path | None = None,
) -> dict[str, Any]:
    """Compare an avatar with the held-out frames of its person.

    The frames are rendered twice at their true head poses: with the motion tracked on them (`tracked`, the
    renderer alone) and with the motion that the motion model predicts from their sound (`predicted`, the
    whole chain). Faces are detected anew on truth and renders; the figures are described in
    `scores.Scores.summary` and beside each measure.

    Args:
        out: folder for the report; None for none.
        motion: how motion is predicted.
        video: the video the person was prepared from; None to look for it (`original.original_frames`).

    Returns:
        `tracked`, `predicted` (null if the person has no sound to predict from); `truth` {jitter_px,
        faces_missing, seam_gradient, seam_jump}; `frames`, `picture_frames`: how many were measured; `reference`: "source video" or
        "prepared frames", what the renders were compared with; `report`: the file or null.

    Raises:
        UserError: no held-out frames, or an avatar of another person's camera.
    """
    frames = person.held_out_frames[: config.frames]
    _check(avatar, person, frames)
    motions = {"tracked": _tracked(person, frames)}
    if len(person.speech):
        motions["predicted"] = _predicted(avatar, person, frames, motion)
    gallery = Gallery(len(frames), config.strips)
    judge = Judge(list(motions), gallery)
    stride = max(1, -(-len(frames) // config.picture_frames))
    reference, comparisons = _comparisons(avatar, person, frames, motions, video)
    with FaceDetector() as detector:
        for step, comparison in enumerate(track(comparisons, "evaluating", total=len(frames))):
            judge.measure(comparison, detector, pictures=step % stride == 0)
    truth = np.stack(judge.scores["tracked"].truth)
    result: dict[str, Any] = {
        "tracked": judge.scores["tracked"].summary(),
        "predicted": judge.scores["predicted"].summary() if "predicted" in motions else None,
        "truth": {"jitter_px": jitter_px(truth), "faces_missing": int(np.isnan(truth[:, 0, 0]).sum())}
        | judge.scores["tracked"].true_seam(),
        "frames": len(frames),
        "picture_frames": -(-len(frames) // stride),
        "reference": reference,
        "report": None,
    }
    if out is not None:
        openings = {"truth": mouth_opening(truth)} | {n: s.mouth_opening() for n, s in judge.scores.items()}
        distances_px = {name: scores.lip_distance() for name, scores in judge.scores.items()}
        result["report"] = str(write_report(Path(out), person, result, gallery, openings, distances_px, frames))
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
    _, comparisons = _comparisons(avatar, person, frames, {"tracked": _tracked(person, frames)})
    with FaceDetector() as detector:
        for comparison in comparisons:
            judge.measure(comparison, detector, pictures=True)
    summary = judge.scores["tracked"].summary()
    return {key: summary[key] for key in ("psnr_head", "lpips_full", "lip_distance_px")}


def _check(avatar: Avatar, person: PreparedPerson, frames: range) -> None:
    if not len(frames):
        raise UserError(f"{person.path}: no held-out frames to evaluate on; prepare a longer video")
    same_camera = np.allclose(avatar.camera.intrinsics, person.camera.intrinsics, rtol=1e-5)
    identities = avatar.identity, person.face.identity
    if not same_camera or len(identities[0]) != len(identities[1]) or not np.allclose(*identities, atol=1e-4):
        raise UserError(f"{person.path}: is not the prepared person this avatar was fitted on; give that one")


def _tracked(person: PreparedPerson, frames: range) -> np.ndarray:
    """[len(frames),68,3] driving landmarks as tracked."""
    whole: MotionSequence = tracked_motion(person.face, person.camera, None, f"tracked: {person.path.name}")
    return whole.landmarks[list(frames)]


def _predicted(avatar: Avatar, person: PreparedPerson, frames: range, config: MotionConfig) -> np.ndarray:
    """[len(frames),68,3] driving landmarks as predicted from the sound of the frames alone."""
    landmarks = predict(excerpt(person.speech, frames, person.fps), avatar, config).landmarks
    # Rounding may leave the prediction a frame short; its last frame is held.
    return landmarks[np.minimum(np.arange(len(frames)), len(landmarks) - 1)]


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
    avatar: Avatar, person: PreparedPerson, frames: range, motions: Mapping[str, np.ndarray],
    video: str | Path | None = None,
) -> tuple[str, Iterator[Comparison]]:
    """What the renders are compared with, and the comparisons one by one."""
    reference, originals = original_frames(person, frames, video)

    def comparisons() -> Iterator[Comparison]:
        renderer = AvatarRenderer(avatar)
        for step, (index, truth) in enumerate(zip(frames, originals, strict=True)):
            size = truth.shape[1], truth.shape[0]
            pose = person.camera.head_to_camera[index]
            mask = resize(person.mask(index), size)
            renders = {name: resize(renderer.frame(points[step], pose), size) for name, points in motions.items()}
            seen = in_sight(mask)[..., None]
            renders = {name: np.where(seen, image, truth) for name, image in renders.items()}
            yield Comparison(index, truth, mask, renders)

    return reference, comparisons()
