"""Faults put into real pictures are measured as such, and as nothing else."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.ingest import Scan
from data_prep.preflight import measure
from data_prep.preflight.looks import Looker
from data_prep.preflight.shots import Take
from geneface import media
from geneface.config import PrepareConfig
from geneface.media import Crop


@pytest.fixture(scope="module")
def frames(footage) -> list[np.ndarray]:
    return list(media.read_frames(footage / "identities" / "speaker_e_8s.mp4", 5, 0, 12))


def nothing(frame, index):
    return frame


def blurred(frame, index):
    return cv2.GaussianBlur(frame, (0, 0), 7)


def dark(frame, index):
    return (0.16 * frame).astype(np.uint8)


def burnt_out(frame, index):
    return np.clip(2.6 * frame.astype(np.float32), 0, 255).astype(np.uint8)


def exposure(frame, index):
    return np.clip(frame * (1.5 if index >= 6 else 1.0), 0, 255).astype(np.uint8)


def white_balance(frame, index):
    return np.clip(frame * np.array([1.25, 1.0, 0.7] if index >= 6 else [1, 1, 1]), 0, 255).astype(np.uint8)


def second_face(frame, index):
    picture = np.concatenate([frame, frame], 1)
    picture[:, 512:] = 60
    if index in (3, 4):
        picture[100:356, 640:896] = cv2.resize(frame[:, ::-1], (256, 256), interpolation=cv2.INTER_AREA)
    return picture


def shaken(frame, index):
    x, y = round(14 * np.sin(2.1 * index)), round(9 * np.cos(1.7 * index))
    return cv2.warpAffine(frame, np.array([[1, 0, x], [0, 1, y]], np.float32), (512, 512), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("fault,expected,possible", [
    (nothing, set(), set()), (blurred, {"sharpness"}, set()), (dark, {"brightness"}, {"black and white", "sharpness"}),
    (burnt_out, {"black and white"}, {"brightness", "nothing in front"}),
    (exposure, {"exposure jumps", "steady light"}, {"black and white"}),
    (white_balance, {"white-balance jumps"}, set()), (second_face, {"one person"}, set()), (shaken, {"camera"}, set()),
], ids=lambda value: getattr(value, "__name__", ""))
def test_fault_is_named(frames, fault, expected, possible):
    with Looker() as looker:
        for index, frame in enumerate(frames):
            looker.add(np.ascontiguousarray(fault(frame, index)), 5 * index)
        looks = looker.looks([])
    height, width = fault(frames[0], 0).shape[:2]
    scan = Scan(60, width, height, (), 50.0, (), looks)
    verdicts = measure.picture_verdicts(scan, Take(0, 60, (), ()), Crop(0, 0, 512, width, height), PrepareConfig())
    warned = {verdict.check for verdict in verdicts if verdict.verdict != "ok"}
    assert expected <= warned <= expected | possible, [(v.check, v.value) for v in verdicts if v.verdict != "ok"]
