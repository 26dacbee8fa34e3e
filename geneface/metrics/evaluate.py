"""Held-out evaluation of an avatar: what it makes of frames that no training step saw."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..config import EvaluateConfig, MotionConfig
from ..errors import UserError
from ..face.detector import FaceDetector
from ..face.landmarks import mouth_opening
from ..face.motion import tracked_motion
from ..motion.predict import predict
from ..nerf.render import AvatarRenderer
from ..progress import say, track
from ..types import Avatar, MotionSequence, PreparedPerson, SpeechFeatures
from . import identity
from .face import jitter_px, mouth_box
from .gallery import Gallery
from .image import dilate, in_sight, psnr, resize, ssim
from .lpips import Lpips, distances
from .original import original_frames
from .report import write_report
from .scores import Scores
from .seam import seam

T = TypeVar("T")

HEAD_MARGIN_PX = 5
"""The head mask is grown by this much: its edge, where errors show most, counts [px at 512 scale]."""


@dataclass(frozen=True)
class Comparison:
    """One frame as truth and as rendered from each motion.

    Attributes:
        index: frame of the person.
        truth: [H,W,3] uint8 at 512 scale. mask: [H,W,3] uint8 its masks.
        renders: name of the motion -> [H,W,3] uint8 at 512 scale. Where something in front hides the person they
            show truth: no render is blamed for a hand, nor for lips that a hand covers.
    """

    index: int
    truth: np.ndarray
    mask: np.ndarray
    renders: dict[str, np.ndarray]


class Judge:
    """Measures comparisons one after the other, keeping figures and landmarks but no pictures.

    Args:
        names: the motions that are compared.
        gallery: is shown every comparison, to keep some for the report.
    """

    def __init__(self, names: list[str], gallery: Gallery | None = None) -> None:
        self.scores = {name: Scores() for name in names}
        self._gallery = gallery
        self._lpips = _if_to_be_had(Lpips, "LPIPS")
        self._identity = _if_to_be_had(identity.FaceIdentity, "CSIM") if identity.available() else None

    def measure(self, comparison: Comparison, detector: FaceDetector, pictures: bool) -> None:
        """Add one frame.

        Args:
            detector: finds the faces anew, on truth and renders alike.
            pictures: take the slow picture measures too (SSIM, LPIPS, CSIM, seam).
        """
        truth, mask = comparison.truth, comparison.mask
        found = detector.detect(truth)
        true_landmarks = None if found is None else found.landmarks
        landmarks = {}
        seen = in_sight(mask)
        head = dilate(mask[..., 0] >= 128, HEAD_MARGIN_PX) & seen
        for name, image in comparison.renders.items():
            found = detector.detect(image)
            landmarks[name] = None if found is None else found.landmarks
            self.scores[name].add_face(landmarks[name], true_landmarks)
            self.scores[name].add_picture(psnr_head=psnr(image, truth, head), psnr_full=psnr(image, truth, seen))
        if pictures:
            self._measure_pictures(comparison, landmarks, true_landmarks)
        if self._gallery is not None:
            distances_px = {name: scores.lip_distance_now() for name, scores in self.scores.items()}
            self._gallery.offer(comparison.index, truth, comparison.renders, true_landmarks, distances_px)

    def _measure_pictures(
        self, comparison: Comparison, landmarks: Mapping[str, np.ndarray | None], true_landmarks: np.ndarray | None
    ) -> None:
        truth, renders = comparison.truth, comparison.renders
        full: list[float | None] = [None] * len(renders)
        mouth = list(full)
        if self._lpips is not None:
            full = list(distances(self._lpips, truth, list(renders.values())))
            if true_landmarks is not None:
                box = mouth_box(true_landmarks, truth.shape[1], truth.shape[0])
                mouth = list(distances(self._lpips, truth[box], [image[box] for image in renders.values()]))
        reference = None
        if self._identity is not None and true_landmarks is not None:
            reference = self._identity.descriptor(truth, true_landmarks)
        for (name, image), lpips_full, lpips_mouth in zip(renders.items(), full, mouth):
            similarity = None
            if reference is not None and landmarks[name] is not None:
                similarity = identity.csim(self._identity.descriptor(image, landmarks[name]), reference)
            self.scores[name].add_picture(
                ssim_full=ssim(image, truth), lpips_full=lpips_full, lpips_mouth=lpips_mouth, csim=similarity,
                seam=seam(image, truth, comparison.mask),
            )


def _if_to_be_had(make: Callable[[], T], measure: str) -> T | None:
    """`make()`, or None and a line that says so where its model file cannot be fetched: one measure less,
    at the end of a long fit, is better than none."""
    try:
        return make()
    except UserError as error:
        say(f"{measure} is not measured: {error}")
        return None


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
        faces_missing}; `frames`, `picture_frames`: how many were measured; `reference`: "source video" or
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
        "truth": {"jitter_px": jitter_px(truth), "faces_missing": int(np.isnan(truth[:, 0, 0]).sum())},
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
