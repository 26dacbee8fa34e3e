"""What preparation keeps in memory of each frame: its measurements, not its pictures."""
from __future__ import annotations

import tracemalloc

import numpy as np

from data_prep.layers.masks import write_masks
from data_prep.layers.occluders import REFERENCES
from data_prep.layers.segment import Plate
from data_prep.streams import Sequence, encode_jpeg, ordered_map
from data_prep.tracking.landmarks import Detections, detect_in_stretches
from geneface import media

SIDE = 160
KEPT = 24_000  # bytes a frame: landmarks and scores, and lists of paths; a picture has 77,000


def test_memory_does_not_grow_by_pictures(footage, tmp_path):
    import cv2

    frames = [cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
              for frame in media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25, 0, 10)]
    plate = Plate(np.median(frames, axis=0).astype(np.uint8), np.ones((SIDE, SIDE), bool), 1.0)
    pictures, masks = Sequence(tmp_path / "frames", ".jpg"), Sequence(tmp_path / "masks", ".png")

    def peak(count: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        pictures.clear()
        pictures.write(ordered_map(lambda index: encode_jpeg(frames[index % 10], 95), range(count)))
        found = Detections.joined(detect_in_stretches(pictures.read, count, 25.0))
        write_masks(pictures, masks, found.landmarks, plate)
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(12)  # what is loaded once
        # More frames than are kept for comparison, and as many again.
        short, long = peak(REFERENCES + 6), peak(2 * REFERENCES + 6)
    finally:
        tracemalloc.stop()
    assert long - short < REFERENCES * KEPT
