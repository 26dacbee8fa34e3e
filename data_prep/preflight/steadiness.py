"""Whether the camera moves: features of the surroundings, followed from look to look."""
from __future__ import annotations

import cv2
import numpy as np

_FEATURES = 150
_LEAST = 10  # features that must agree; a plain wall has fewer, and nothing can be said
_AGREE = 0.6  # share of the followed features that move as one
_BACK = 0.7  # following there and back must end this near [px]
_FAR = 0.12  # displacement at which a new reference is taken, over the picture's width
_PERSON_WIDE = 0.85  # half width of what may be the head, in face widths


class CameraWatch:
    """Displacement of the surroundings, accumulated.

    Features are followed from a reference picture, not from each picture to the next, so that small errors do not
    add up. The person is left out: what lies around and below the face.

    ```
    watch = CameraWatch()
    places = [watch.add(grey, face) for grey, face in looks]
    ```
    """

    def __init__(self) -> None:
        self._reference: np.ndarray | None = None
        self._points = np.zeros((0, 1, 2), np.float32)
        self._base = np.zeros(2)  # where the reference lies
        self._shift = np.zeros(2)  # last displacement from the reference

    def add(self, grey: np.ndarray, face: np.ndarray | None) -> tuple[float, float] | None:
        """Look at the next picture.

        Args:
            grey: [H,W] uint8, about 320 px wide.
            face: [4] left, top, right, bottom of the face [px], None where there is none.

        Returns:
            How far the surroundings have moved since the first picture, to the right and down [px]; None where they
            show nothing to go by, and at the first look after a cut.
        """
        known = self._follow(grey) if len(self._points) >= _LEAST else None
        if known is None:
            self._base = self._base + self._shift
            self._refer(grey, face)
            return None
        self._shift = known
        place = self._base + known
        if np.abs(known).max() > _FAR * grey.shape[1]:
            self._base = place
            self._refer(grey, face)
        return float(place[0]), float(place[1])

    def _refer(self, grey: np.ndarray, face: np.ndarray | None) -> None:
        mask = np.full(grey.shape, 255, np.uint8)
        if face is not None:
            left, top, right, bottom = face
            wide, tall, middle = right - left, bottom - top, (left + right) / 2
            head = slice(max(0, int(top - 0.55 * tall)), max(0, int(bottom + 0.3 * tall)))
            mask[head, max(0, int(middle - _PERSON_WIDE * wide)):max(0, int(middle + _PERSON_WIDE * wide))] = 0
            mask[max(0, int(bottom)):, max(0, int(middle - 1.7 * wide)):max(0, int(middle + 1.7 * wide))] = 0
        points = cv2.goodFeaturesToTrack(grey, _FEATURES, 0.01, 6, mask=mask)
        self._reference, self._shift = grey, np.zeros(2)
        self._points = np.zeros((0, 1, 2), np.float32) if points is None else points

    def _follow(self, grey: np.ndarray) -> np.ndarray | None:
        """[2] displacement of the picture's middle since the reference, None where features do not agree."""
        if grey.shape != self._reference.shape:
            return None
        options = {"winSize": (17, 17), "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
        guess = (self._points + self._shift).astype(np.float32)
        moved, found, _ = cv2.calcOpticalFlowPyrLK(self._reference, grey, self._points, guess, **options)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(grey, self._reference, moved, self._points.copy(), **options)
        good = (found[:, 0] > 0) & (returned[:, 0] > 0)
        good &= np.linalg.norm((back - self._points)[:, 0], axis=-1) < _BACK
        if good.sum() < max(_LEAST, 0.4 * len(good)):
            return None
        matrix, inliers = cv2.estimateAffinePartial2D(self._points[good], moved[good], ransacReprojThreshold=1.5)
        if matrix is None or inliers.mean() < _AGREE or inliers.sum() < _LEAST:
            return None
        middle = np.array([grey.shape[1] / 2, grey.shape[0] / 2])
        return matrix[:, :2] @ middle + matrix[:, 2] - middle
