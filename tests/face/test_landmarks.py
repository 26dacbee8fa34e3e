"""Landmark index sets and measures."""
from __future__ import annotations

import numpy as np
import pytest

from geneface.face import landmarks as lm
from geneface.face.basis import load_basis
from geneface.face.motion import tracked_motion
from geneface.types import CameraTrack, FaceTrack


def test_index_sets():
    assert lm.MEDIAPIPE_TO_68.shape == (68,) and len(set(lm.MEDIAPIPE_TO_68.tolist())) == 68
    assert len(lm.LIPS_OUTER) == len(set(lm.LIPS_OUTER.tolist())) == 20
    assert len(lm.LIPS_INNER) == len(set(lm.LIPS_INNER.tolist())) == 20
    assert len(lm.LIPS) == 40 and not set(lm.LIPS_OUTER) & set(lm.LIPS_INNER)
    assert len(lm.EYE_RIGHT) == len(lm.EYE_LEFT) == 16
    assert len(lm.FACE_OVAL) == 36
    assert set(lm.MEDIAPIPE_TO_68[lm.LIPS_68]) <= set(lm.LIPS)
    assert set(lm.MEDIAPIPE_TO_68[lm.EYES_68]) <= set(lm.EYE_RIGHT) | set(lm.EYE_LEFT)


def test_sides_are_the_persons():
    points = load_basis().landmarks478()
    for right, left in ((lm.EYE_RIGHT, lm.EYE_LEFT), (lm.BROW_RIGHT, lm.BROW_LEFT), (lm.IRIS_RIGHT, lm.IRIS_LEFT)):
        assert points[right, 0].max() < 0 < points[left, 0].min()
    mirror = load_basis().landmark_mirror
    for right, left in ((lm.EYE_RIGHT_UPPER, lm.EYE_LEFT_UPPER), (lm.EYE_RIGHT_LOWER, lm.EYE_LEFT_LOWER)):
        assert np.array_equal(mirror[right], left)
    sixty_eight = points[lm.MEDIAPIPE_TO_68]
    swap = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38,
            37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    assert np.allclose(sixty_eight[swap], sixty_eight * [-1, 1, 1], atol=6e-4)


def test_measures_agree_on_68_and_478():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 478, 2))
    small = points[:, lm.MEDIAPIPE_TO_68]
    assert np.array_equal(lm.mouth_opening(points), lm.mouth_opening(small))
    assert np.array_equal(lm.mouth_width(points), lm.mouth_width(small))
    assert lm.mouth_opening(points).shape == (3,)
    with pytest.raises(ValueError, match="68 or 478"):
        lm.mouth_opening(points[:, :40])


def test_eye_aspect_does_not_change_with_size():
    points = load_basis().landmarks478()[:, :2]
    assert np.allclose(lm.eye_aspect(points), lm.eye_aspect(7 * points + 3), atol=1e-4)
    assert np.all((lm.eye_aspect(points) > 0.15) & (lm.eye_aspect(points) < 0.4))


def face_track(frames: int) -> FaceTrack:
    rng = np.random.default_rng(1)
    return FaceTrack(
        landmarks=np.zeros((frames, 478, 2), np.float32), valid=np.ones(frames, bool),
        identity=np.zeros(load_basis().components, np.float32),
        expression=rng.uniform(0, 1, (frames, 52)).astype(np.float32),
        eye_open=np.tile(np.float32([0.2, 0.6]), (frames, 1)),
        gaze=rng.normal(size=(frames, 2)).astype(np.float32), fps=25.0,
    )


def test_tracked_motion():
    face = face_track(10)
    pose = np.tile(np.eye(4, dtype=np.float32), (10, 1, 1))
    pose[:, 2, 3] = np.arange(1, 11)
    camera = CameraTrack(np.eye(3, dtype=np.float32), pose, 64, 48, 25.0)
    motion = tracked_motion(face, camera, range(2, 8, 2), "tracked: clip.mp4")
    assert len(motion) == 3 and motion.fps == 25.0 and motion.source == "tracked: clip.mp4"
    assert np.array_equal(motion.expression, face.expression[2:8:2])
    assert np.array_equal(motion.landmarks, load_basis().landmarks68(face.expression[2:8:2]))
    assert np.allclose(motion.blink, 0.6)
    assert np.array_equal(motion.head_pose[:, 2, 3], [3, 5, 7])
    assert tracked_motion(face).head_pose is None and len(tracked_motion(face)) == 10
    assert len(tracked_motion(face, None, range(0))) == 0
    with pytest.raises(ValueError, match="frames"):
        tracked_motion(face, None, range(5, 11))
    with pytest.raises(ValueError, match="camera"):
        tracked_motion(face_track(9), camera)
