"""Landmarks of a clip."""
from __future__ import annotations

import numpy as np

from data_prep.tracking import landmarks
from data_prep.tracking.landmarks import Detections, detect_in_stretches, detect_landmarks
from geneface import media


def test_stretches_give_what_the_whole_gives(footage, monkeypatch):
    """With a face in all frames but some, and stretches that end among them."""
    frames = list(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25, 0, 50))
    frames[27:31] = [np.zeros_like(frames[0])] * 4
    monkeypatch.setattr(landmarks, "STRETCH", 15)
    monkeypatch.setattr(landmarks, "_EARLY", 4)
    parts = list(detect_in_stretches(lambda indices: [frames[index] for index in indices], len(frames), 25.0))
    assert [len(part) for part in parts] == [15, 15, 15, 5]
    found, whole = Detections.joined(parts), detect_landmarks(frames, 25.0)
    assert np.array_equal(found.valid, whole.valid) and list(np.flatnonzero(~found.valid)) == [27, 28, 29, 30]
    assert np.abs(found.landmarks - whole.landmarks).max() < 1e-3
    assert np.abs(found.scores - whole.scores).max() < 1e-4 and np.array_equal(found.faces, whole.faces)
