"""Takes every measure of rendered frames beside the true ones."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..errors import UserError
from ..face.detector import FaceDetector
from ..progress import say
from . import identity
from .errormap import ErrorMap
from .face import mouth_box
from .flicker import Flicker
from .gallery import Gallery
from .image import dilate, in_sight, psnr, ssim
from .lpips import Lpips, distances
from .scores import Scores
from .seam import Border
from .sharpness import sharpness

T = TypeVar("T")

HEAD_MARGIN_PX = 5
"""The head mask is grown by this much: its edge, where errors show most, counts [px at 512 scale]."""


@dataclass(frozen=True)
class Comparison:
    """One frame as truth and as rendered in several ways.

    Attributes:
        index: frame of the person.
        truth: [H,W,3] uint8 at 512 scale. mask: [H,W,3] uint8 its masks.
        renders: name -> [H,W,3] uint8 at 512 scale. Where something in front hides the person they
            show truth: no render is blamed for a hand, nor for lips that a hand covers.
    """

    index: int
    truth: np.ndarray
    mask: np.ndarray
    renders: dict[str, np.ndarray]


class Judge:
    """Measures comparisons one after the other, keeping figures and landmarks but few pictures.

    Args:
        names: of the renders that are compared.
        gallery: is shown every comparison, to keep some for the report.

    Attributes:
        scores, errors: name -> its measures, its mean error at every pixel.
    """

    def __init__(self, names: list[str], gallery: Gallery | None = None) -> None:
        self.scores = {name: Scores() for name in names}
        self.errors = {name: ErrorMap() for name in names}
        self.gallery = gallery
        self._flicker = Flicker()
        self._lpips = _if_to_be_had(Lpips, "LPIPS")
        self._identity = _if_to_be_had(identity.FaceIdentity, "CSIM") if identity.available() else None

    def measure(self, comparison: Comparison, detector: FaceDetector, pictures: bool) -> None:
        """Add one frame.

        Args:
            detector: finds the faces anew, on truth and renders alike.
            pictures: take the slow picture measures too (SSIM, LPIPS, CSIM, sharpness, seam).
        """
        truth, renders = comparison.truth, comparison.renders
        true_landmarks = _landmarks(detector, truth)
        landmarks = {name: _landmarks(detector, image) for name, image in renders.items()}
        regions = Regions(comparison, true_landmarks)
        figures = {}
        for name, image in renders.items():
            scores = self.scores[name]
            head = psnr(image, truth, regions.head)
            mouth = None
            if regions.mouth is not None:
                mouth = psnr(image[regions.mouth], truth[regions.mouth], regions.seen[regions.mouth])
            self.errors[name].add(image, truth, regions.seen)
            scores.add_face(landmarks[name], true_landmarks)
            scores.add_picture(psnr_head=head, psnr_mouth=mouth, psnr_full=psnr(image, truth, regions.seen))
            figures[name] = {"psnr_head": np.nan if head is None else head,
                             "lip_distance_px": scores.lip_distance_now()}
        flicker = self._flicker.step(comparison.index, {"truth": truth} | renders, true_landmarks, regions.seen)
        if flicker is not None:
            for name in renders:
                self.scores[name].add_pair("flicker", flicker[name], flicker["truth"])
        if pictures:
            self._measure_pictures(comparison, regions, landmarks, true_landmarks)
        if self.gallery is not None:
            self.gallery.offer(comparison.index, truth, renders, true_landmarks, figures)

    def _measure_pictures(
        self, comparison: Comparison, regions: "Regions", landmarks: Mapping[str, np.ndarray | None],
        true_landmarks: np.ndarray | None,
    ) -> None:
        truth, renders, mouth = comparison.truth, comparison.renders, regions.mouth
        perceptual = self._perceptual(truth, renders, regions)
        reference = None
        if self._identity is not None and true_landmarks is not None:
            reference = self._identity.descriptor(truth, true_landmarks)
        border = Border(comparison.mask)
        true_seam = border.seam(truth)
        for name, image in renders.items():
            scores = self.scores[name]
            similarity = None
            if reference is not None and landmarks[name] is not None:
                similarity = identity.csim(self._identity.descriptor(image, landmarks[name]), reference)
            scores.add_picture(
                ssim_full=ssim(image, truth), ssim_head=ssim(image, truth, regions.head),
                sharpness=sharpness(image, truth, regions.inside), csim=similarity,
                seam=border.new_edges(image, truth), **perceptual[name],
            )
            if mouth is not None:
                scores.add_picture(
                    ssim_mouth=ssim(image[mouth], truth[mouth]),
                    sharpness_mouth=sharpness(image[mouth], truth[mouth], regions.seen[mouth]),
                )
            if true_seam is not None:
                seam = border.seam(image)
                scores.add_pair("seam_gradient", seam.gradient, true_seam.gradient)
                scores.add_pair("seam_jump", seam.jump, true_seam.jump)

    def _perceptual(
        self, truth: np.ndarray, renders: Mapping[str, np.ndarray], regions: "Regions"
    ) -> dict[str, dict[str, float | None]]:
        """Name -> lpips_full, lpips_head (truth outside the head) and lpips_mouth."""
        out: dict[str, dict[str, float | None]] = {name: {} for name in renders}
        if self._lpips is None:
            return out
        head = regions.head[..., None]
        # One batch: truth goes through the network once.
        heads = [np.where(head, image, truth) for image in renders.values()]
        values = distances(self._lpips, truth, [*renders.values(), *heads])
        for position, name in enumerate(renders):
            out[name] = {"lpips_full": values[position], "lpips_head": values[len(renders) + position]}
        if regions.mouth is not None:
            crops = [image[regions.mouth] for image in renders.values()]
            for name, value in zip(renders, distances(self._lpips, truth[regions.mouth], crops)):
                out[name]["lpips_mouth"] = value
        return out


class Regions:
    """The parts of a frame that are judged by themselves.

    Attributes:
        seen: [H,W] bool: where nothing is in front of the person.
        inside: [H,W] bool: the head mask, in sight. head: the same, grown by `HEAD_MARGIN_PX`.
        mouth: `mouth_box` of truth; None where no face was found.
    """

    def __init__(self, comparison: Comparison, landmarks: np.ndarray | None) -> None:
        self.seen = in_sight(comparison.mask)
        inside = comparison.mask[..., 0] >= 128
        self.inside, self.head = inside & self.seen, dilate(inside, HEAD_MARGIN_PX) & self.seen
        height, width = self.seen.shape
        self.mouth = None if landmarks is None else mouth_box(landmarks, width, height)


def _landmarks(detector: FaceDetector, image: np.ndarray) -> np.ndarray | None:
    found = detector.detect(image)
    return None if found is None else found.landmarks


def _if_to_be_had(make: Callable[[], T], measure: str) -> T | None:
    """`make()`, or None and a line that says so where its model file cannot be fetched: one measure less,
    at the end of a long fit, is better than none."""
    try:
        return make()
    except UserError as error:
        say(f"{measure} is not measured: {error}")
        return None
