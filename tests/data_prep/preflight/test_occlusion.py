"""What is in front of a face."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.preflight import measure
from data_prep.preflight.looks import Looker, find_faces, oval_box
from data_prep.preflight.occlusion import changed_share, front_view, odd_share
from geneface import media
from geneface.face.detector import FaceDetector


def test_an_object_before_the_face_is_odd_and_light_is_not():
    rng = np.random.default_rng(0)
    usual = np.tile(rng.uniform(80, 180, (1, 29, 3)), (40, 1, 1)) + rng.normal(0, 3, (40, 29, 3))
    usual[20:, :, 0] += 40  # a lamp goes on
    usual[30:33, 15:25] = (30, 128, 128)
    share = odd_share(usual)
    assert (share[30:33] > 0.2).all() and np.delete(share, [30, 31, 32]).max() == 0


def test_features_that_are_hidden_have_changed():
    rng = np.random.default_rng(0)
    face = cv2.resize(rng.uniform(0, 255, (16, 16)).astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC)
    views = (face + rng.normal(0, 6, (40, 64, 64))).clip(0, 255).astype(np.uint8)
    views[5] = (0.5 * views[5].astype(int) + 90).astype(np.uint8)  # light alone changes no shape
    views[20:23, 24:, 4:60] = 120
    share = changed_share(views)
    assert (share[20:23] > 0.25).all() and np.delete(share, [20, 21, 22]).max() == 0
    assert changed_share(np.full((3, 64, 64), 90, np.uint8)).max() == 0


def test_front_view_does_not_depend_on_place_size_and_tilt(footage):
    frame = next(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 25))
    with FaceDetector() as detector:
        landmarks, _ = find_faces(detector, frame)
    view = front_view(frame, landmarks).astype(int)
    turn = cv2.getRotationMatrix2D((256, 256), 12, 0.8)
    moved = front_view(cv2.warpAffine(frame, turn, (512, 512)), landmarks @ turn[:, :2].T + turn[:, 2]).astype(int)
    assert np.abs(view - moved)[8:56, 8:56].mean() < 4 and view.std() > 20
    assert front_view(frame, landmarks - 5000).shape == (64, 64)


def hide(frame: np.ndarray, box: np.ndarray, kind: str) -> np.ndarray:
    """The frame with a palm of skin or a black microphone before the mouth."""
    picture, (left, top, right, bottom) = frame.copy(), box
    wide, tall = right - left, bottom - top
    middle = (int(left + 0.5 * wide), int(bottom - (0.25 if kind == "palm" else 0.1) * tall))
    if kind == "palm":
        cheek = frame[int(top + 0.55 * tall), int(left + 0.25 * wide)].tolist()
        cv2.ellipse(picture, middle, (int(0.42 * wide), int(0.3 * tall)), 0, 0, 360, cheek, -1, cv2.LINE_AA)
    else:
        cv2.ellipse(picture, middle, (int(0.2 * wide), int(0.28 * wide)), 0, 0, 360, (35, 35, 38), -1, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("kind", ["palm", "microphone"])
def test_a_real_face_behind_something(footage, kind):
    hidden = {6, 7, 14}
    with Looker() as looker, FaceDetector() as detector:
        for index, frame in enumerate(media.read_frames(footage / "identities" / "speaker_d_5s.mp4", 5, 0, 20)):
            if index in hidden:
                frame = hide(frame, oval_box(find_faces(detector, frame)[0]), kind)
            looker.add(frame, index)
        looks = looker.looks([])
    usual = float(np.median([look.turned for look in looks]))
    assert {look.frame for look in looks if look.face is None or measure.is_covered(look, usual)} == hidden


def draw_hand(frame: np.ndarray, middle: tuple[float, float], size: float) -> np.ndarray:
    """The frame with an open hand, drawn well enough for MediaPipe: palm of half-width 0.45 `size`, fingers upward."""
    skin, shade, light = (205, 160, 135), (147, 115, 97), (229, 179, 151)
    fingers = [((-.32, -.3), (-.45, -.95), .13), ((-.1, -.4), (-.13, -1.15), .14), ((.12, -.4), (.16, -1.1), .14),
               ((.33, -.3), (.42, -.9), .12), ((-.35, .2), (-.85, -.25), .15)]
    picture = np.ascontiguousarray(frame).copy()

    def at(x: float, y: float) -> tuple[int, int]:
        return int(middle[0] + size * x), int(middle[1] + size * y)

    def line(a, b, colour, width: float) -> None:
        cv2.line(picture, at(*a), at(*b), colour, max(1, int(size * width)), cv2.LINE_AA)

    for colour, wider, palm, arm in ((shade, 2.25, (.46, .52), .62), (skin, 2.0, (.43, .49), .56)):
        line((0, .3), (0, 1.3), colour, arm)
        for a, b, width in fingers:
            line(a, b, colour, width * wider)
        cv2.ellipse(picture, at(0, .05), (int(size * palm[0]), int(size * palm[1])), 0, 0, 360, colour, -1, cv2.LINE_AA)
    for a, b, width in fingers:
        line((a[0] - .03, a[1]), (b[0] - .03, b[1]), light, width * 0.8)
        for part in (0.4, 0.72):
            x, y = a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])
            line((x - .7 * width, y), (x + .7 * width, y), shade, 0.025)
    for a, b in (((-.35, -.1), (.3, -.15)), ((-.3, .1), (.1, .3)), ((-.1, -.1), (-.2, .5))):
        line(a, b, shade, 0.03)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def test_hand_before_the_face_and_beside_it(footage):
    frame = next(media.read_frames(footage / "expressions" / "expressive_a.mp4", 5))
    with Looker() as looker, FaceDetector() as detector:
        left, top, right, bottom = oval_box(find_faces(detector, frame)[0])
        wide = right - left
        before = draw_hand(frame, (left + 0.75 * wide, bottom + 0.05 * wide), 0.5 * wide)
        below = draw_hand(frame, (left + 0.75 * wide, bottom + 0.75 * wide), 0.4 * wide)
        for index, picture in enumerate((before, frame, frame, frame, below)):  # hands are looked for in every second
            looker.add(picture, index)
        hands = [look.hand for look in looker.looks([])]
    assert 0.04 < hands[0] < 0.7 and hands[2] == 0 and hands[4] < 0.04
