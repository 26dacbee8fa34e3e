"""The person's outline in a frame, with soft edges.

The person is found by MediaPipe's selfie segmenter (256x256); its edge is then decided by the clean plate
where that was seen, and drawn to the picture's own edges by a guided filter (He, Sun and Tang 2010), which
gives hair a soft alpha.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from geneface import assets
from geneface.errors import UserError

_MODEL_SIZE = 256
_CLASSES = "background", "hair", "body skin", "face skin", "clothes", "others"  # of MediaPipe's multiclass model


class Look(NamedTuple):
    """What a segmenter says of a frame, the whole frame scaled to a square.

    Attributes:
        person: [256,256] float32 in [0,1], probability that a pixel belongs to a person.
        head: [256,256] float32 in [0,1], that it then belongs to hair or face and not to body or clothes; None
            where the model does not tell them apart.
    """

    person: np.ndarray
    head: np.ndarray | None


class PersonSegmenter:
    """MediaPipe's selfie segmenter; a context manager, since the model holds native memory.

    Args:
        model: a model file, MediaPipe's selfie_segmenter or selfie_multiclass_256x256; "" for the one of the assets.

    Raises:
        UserError: the file is missing, or no such model.
    """

    def __init__(self, model: str | Path = "") -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        file = Path(model) if model else assets.path("selfie-segmenter")
        try:
            self._segmenter = vision.ImageSegmenter.create_from_options(vision.ImageSegmenterOptions(
                base_options=BaseOptions(model_asset_buffer=file.read_bytes()),
                output_confidence_masks=True, output_category_mask=False,
            ))
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{file}: not a segmentation model that can be read ({str(error).splitlines()[0]}); give "
                            "MediaPipe's selfie_multiclass_256x256.tflite, or none") from error

    def look(self, frame: np.ndarray) -> Look:
        """What is to be seen in `frame` [H,W,3] uint8 RGB."""
        import mediapipe

        small = cv2.resize(frame, (_MODEL_SIZE, _MODEL_SIZE), interpolation=cv2.INTER_AREA)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=small)
        masks = [mask.numpy_view().reshape(_MODEL_SIZE, _MODEL_SIZE).astype(np.float32)
                 for mask in self._segmenter.segment(image).confidence_masks]
        if len(masks) != len(_CLASSES):
            return Look(masks[-1], None)
        named = dict(zip(_CLASSES, masks))
        head, body = named["hair"] + named["face skin"], named["body skin"] + named["clothes"]
        # Accessories are wherever they are: they say nothing.
        return Look(1 - named["background"], (head + 1e-3) / (head + body + 2e-3))

    def probability(self, frame: np.ndarray) -> np.ndarray:
        """[256,256] float32 in [0,1], the person's part of `look`."""
        return self.look(frame).person

    def close(self) -> None:
        self._segmenter.close()

    def __enter__(self) -> "PersonSegmenter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Plate:
    """The picture without the person, to tell one from the other.

    Attributes:
        picture: [H,W,3] uint8 RGB.
        seen: [H,W] bool, where it was really seen.
        unrest: how far the background strays from it by itself [grey levels].
    """

    picture: np.ndarray
    seen: np.ndarray
    unrest: float

    def difference(self, frame: np.ndarray, at: np.ndarray) -> np.ndarray:
        """[N] float32 in [0,1] at pixels `at` [N] of the flattened frame: 0 where it shows the plate, 1 where it surely
        shows something else."""
        change = cv2.GaussianBlur(cv2.absdiff(frame, self.picture), (0, 0), 0.8).reshape(-1, 3)[at].astype(np.float32)
        distance = np.sqrt(np.einsum("nc,nc->n", change, change))
        low, high = 8 + 3 * self.unrest, 30 + 6 * self.unrest
        return ((distance - low) / (high - low)).clip(0, 1)


def refine(probability: np.ndarray, frame: np.ndarray, plate: Plate | None = None) -> np.ndarray:
    """Person alpha at the frame's resolution, its edge drawn to the picture's.

    Args:
        probability: [h,w] float32 in [0,1].
        frame: [H,W,3] uint8 RGB.
        plate: decides along the edge, where it was seen.

    Returns:
        [H,W] float32 in [0,1].
    """
    height, width = frame.shape[:2]
    coarse = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(0.016 * max(height, width)))
    # An eighth is the depth of its steps: fine enough for a weight.
    edge = cv2.blur(cv2.inRange(coarse, 0.03, 0.97), (2 * radius + 1, 2 * radius + 1))
    where = np.flatnonzero(edge)
    band = np.minimum(edge.ravel()[where] * np.float32(6 / 255), 1)
    doubt = coarse.ravel()[where]
    evidence = coarse
    if plate is not None:
        other = plate.difference(frame, where)
        # What shows the plate is not the person; what does not is, where the segmenter finds it possible.
        decided = np.where(doubt < 0.9, doubt * other, doubt)
        decided = np.where(doubt > 0.3, np.maximum(decided, other * ((doubt - 0.3) / 0.2).clip(0, 1)), decided)
        evidence = coarse.copy()
        evidence.ravel()[where] = np.where(plate.seen.ravel()[where], band * decided + (1 - band) * doubt, doubt)
    scale = 0.5 if max(height, width) > 400 else 1.0  # its coefficients are smooth
    fine = cv2.ximgproc.guidedFilter(frame, evidence, radius, (0.02 * 255) ** 2, scale=scale).ravel()[where]
    fine = ((fine - 0.18) / 0.74).clip(0, 1)  # the filter leaves a veil on both sides of the edge
    # Far from the segmenter's own edge it is trusted as it is: the filter may leak along like colours.
    out = (coarse > 0.5).astype(np.float32)
    out.ravel()[where] = band * fine + (1 - band) * (doubt > 0.5)
    return out


def to_bytes(masks: np.ndarray) -> np.ndarray:
    """[H,W,3] in [0,1] to uint8; where they sum to 1, they then sum to exactly 255."""
    head, torso, background = cv2.split(masks)
    total = cv2.convertScaleAbs(head + torso + background, alpha=255)
    head = cv2.min(cv2.convertScaleAbs(head, alpha=255), total)
    background = cv2.min(cv2.convertScaleAbs(background, alpha=255), total - head)
    return cv2.merge([head, total - head - background, background])
