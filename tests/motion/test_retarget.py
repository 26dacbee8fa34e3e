"""Retargeting: a driver's movement about their own rest, on another person's, within what that person shows."""
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, GAZE, indices
from geneface.face.motion import motion_from_weights
from geneface.motion.measures import MouthMeasures
from geneface.motion.retarget import (
    rest_weights, retarget, soft_limit, transfer_expression, transfer_gaze, transfer_pose, with_poses,
)
from geneface.types import CameraTrack

JAW, LIDS, SMILE = ARKIT_NAMES.index("jawOpen"), indices("eyeBlink*"), indices("mouthSmile*")
FRAMES = 200


@pytest.fixture(scope="module")
def measures() -> MouthMeasures:
    return MouthMeasures.of_basis()


def face(jaw: float, smile: float, blink: float = 0.8, rest: dict[str, float] = {}) -> np.ndarray:
    """[T,52] somebody who at times opens the mouth, at others smiles, blinks, and in between does nothing."""
    weights = np.zeros((FRAMES, len(ARKIT_NAMES)))
    time = np.arange(FRAMES)
    weights[:, JAW] = jaw * np.maximum(0, np.sin(time / 7)) * (time < 100)
    weights[:, SMILE] = (smile * np.maximum(0, np.sin(time / 11)) * ((time >= 100) & (time < 170)))[:, None]
    weights[180:184, LIDS] = blink
    for name, value in rest.items():
        weights[:, ARKIT_NAMES.index(name)] += value
    return weights


def poses(yaw_deg: float, mean: tuple[float, float, float] = (0, 0, 0), place=(0.0, 0.0, 0.6)) -> np.ndarray:
    """[T,4,4] a head that turns to and fro about a neck 15 cm below and behind."""
    turns = Rotation.from_rotvec(np.radians(yaw_deg) * np.sin(np.arange(FRAMES) / 9)[:, None] * [0, 1, 0])
    turned = Rotation.from_euler("xyz", mean, degrees=True) * turns
    out = np.tile(np.eye(4), (FRAMES, 1, 1))
    neck = np.array([0, 0.12, 0.09])
    out[:, :3, :3] = turned.as_matrix()
    out[:, :3, 3] = np.array(place) + neck - turned.apply(neck)
    return out


def yaw(out: np.ndarray) -> np.ndarray:
    turned = Rotation.from_matrix(out[:, :3, :3])
    return np.degrees((turned.mean().inv() * turned).as_rotvec()[:, 1])


PERSON = face(0.3, 0.2, rest={"browInnerUp": 0.1, "jawOpen": 0.05})


def test_rest_is_what_a_face_always_does(measures):
    rest = rest_weights(face(0.8, 0.3, rest={"mouthSmileLeft": 0.4, "eyeSquintLeft": 0.2}), measures)
    expected = np.zeros(52)
    expected[[ARKIT_NAMES.index("mouthSmileLeft"), ARKIT_NAMES.index("eyeSquintLeft")]] = 0.4, 0.2
    assert np.abs(rest - expected).max() < 0.02


def test_a_driver_at_rest_leaves_the_person_at_theirs(measures):
    still = np.tile(face(0, 0, 0, rest={"mouthSmileLeft": 0.6, "jawOpen": 0.3})[:1], (30, 1))
    out = transfer_expression(still, PERSON, measures)
    assert np.abs(out - rest_weights(PERSON, measures)).max() < 1e-9


def test_what_a_driver_always_does_is_not_transferred(measures):
    plain = transfer_expression(face(0.6, 0.3), PERSON, measures)
    always = face(0.6, 0.3, rest={"mouthSmileLeft": 0.3, "mouthPucker": 0.4, "browDownLeft": 0.2, "jawOpen": 0.2})
    assert np.abs(transfer_expression(always, PERSON, measures) - plain).max() < 0.02


def test_movement_is_brought_to_the_persons_size_and_keeps_its_course(measures):
    for jaw in (0.15, 0.9):
        driver = face(jaw, 0.7)
        out = transfer_expression(driver, PERSON, measures)
        assert np.corrcoef(out[:, JAW], driver[:, JAW])[0, 1] > 0.93
        assert np.corrcoef(out[:, SMILE[0]], driver[:, SMILE[0]])[0, 1] > 0.93
        reached = out[:, JAW].max() - 0.05
        assert 0.45 * min(0.3, 1.5 * jaw) <= reached <= 2.2 * 0.3
    as_it_was = transfer_expression(face(0.2, 0.1), PERSON, measures, match=0.0)
    assert as_it_was[:, JAW].max() - as_it_was[:, JAW].min() == pytest.approx(0.2, abs=0.01)


def test_lids_shut_as_the_person_shuts_them(measures):
    for own, reached in ((0.5, 0.5), (0.62, 0.62), (0.95, 0.65)):  # at 0.65 the lids of the mean face meet
        out = transfer_expression(face(0.3, 0.2, blink=0.7), face(0.3, 0.2, blink=own), measures)
        assert out[181, LIDS] == pytest.approx([reached, reached], abs=0.03)
        assert np.abs(out[:170, LIDS]).max() < 0.02


def test_more_strength_is_more_movement_and_none_is_rest(measures):
    driver, before = face(0.9, 0.9), -1.0
    for strength in (0.0, 0.3, 0.6, 1.0, 2.0, 3.0):
        out = transfer_expression(driver, PERSON, measures, strength)
        moved = np.abs(out - rest_weights(PERSON, measures))[:, [JAW, *SMILE]].max()
        assert moved > before or strength == 0 and moved == 0
        before = moved
    far = transfer_expression(driver, PERSON, measures, 3.0, match=0.0)
    widest = np.abs(measures.landmarks(far) - measures.landmarks(rest_weights(PERSON, measures)[None])).max()
    own = np.abs(measures.landmarks(PERSON) - measures.landmarks(rest_weights(PERSON, measures)[None])).max()
    assert widest < 3 * own  # at three times a wide open mouth still a face


def test_soft_limit_holds_without_stopping():
    x = np.linspace(-3, 3, 601)
    y = soft_limit(x, 1.0, 0.5)
    assert np.array_equal(y[np.abs(x) <= 1], x[np.abs(x) <= 1])
    assert (np.diff(y) > 0).all() and np.abs(y).max() < 1.5
    assert y == pytest.approx(-y[::-1])


def test_gaze_is_about_the_persons_own():
    driver = np.radians(np.stack([20 * np.sin(np.arange(90) / 5) + 12, np.full(90, -8.0)], 1))
    recorded = np.radians(np.stack([np.linspace(-6, 2, 101), np.linspace(2, 4, 101)], 1))
    out = np.degrees(transfer_gaze(driver, recorded))
    assert np.corrcoef(out[:, 0], driver[:, 0])[0, 1] > 0.93
    assert out.max(0)[0] < 2 + 6.5 and out.min(0)[0] > -6 - 6.5
    assert out[:, 1] == pytest.approx(np.full(90, 3.0), abs=1e-4)


def test_poses_are_about_the_persons_own_mean_and_within_their_range():
    own = poses(8, mean=(5, -3, 0), place=(0.02, 0.0, 1.2))
    for amount, least, most in ((5, 4.5, 5.5), (40, 8, 14)):
        out = transfer_pose(poses(amount, mean=(-10, 20, 5), place=(0.1, 0.1, 0.4)), own)
        assert least <= np.abs(yaw(out)).max() <= most
        assert np.corrcoef(yaw(out), yaw(poses(amount)))[0, 1] > 0.93
        mean = Rotation.from_matrix(out[:, :3, :3]).mean()
        assert (mean.inv() * Rotation.from_matrix(own[:, :3, :3]).mean()).magnitude() < np.radians(1)
        away, seen = (np.abs(each[:, :3, 3] - own[:, :3, 3].mean(0)).max() for each in (out, own))
        assert away < seen + 0.005
        assert np.abs(out[:, :3, :3] @ out[:, :3, :3].transpose(0, 2, 1) - np.eye(3)).max() < 1e-6
    still = transfer_pose(poses(20), own, 0.0)
    assert np.abs(yaw(still)).max() < 1e-6


def test_a_turned_head_stays_on_its_neck():
    """Whatever the driver's head turns about, the person's turns about their own neck."""
    own, neck = poses(8, place=(0.0, 0.0, 1.2)), np.array([0, 0.12, 0.09])
    driver = poses(8)
    driver[:, :3, 3] = driver[:, :3, 3].mean(0) + [0, 0, 0.3]
    out = transfer_pose(driver, own)
    moved = out[:, :3, :3] @ neck + out[:, :3, 3]
    assert np.ptp(moved, axis=0).max() < 0.004


@pytest.fixture(scope="module")
def avatar():
    camera = CameraTrack(np.diag([800.0, 800.0, 1.0]), poses(6), 512, 512, 25.0)
    return SimpleNamespace(expression_reference=PERSON.astype(np.float32), camera=camera)


def driver(**changes):
    return replace(motion_from_weights(face(0.6, 0.5), 30.0, "tracked: someone.mp4", poses(10)), **changes)


def test_parts_are_transferred_alone(avatar, measures):
    both, expression, pose = (retarget(driver(), avatar, part) for part in ("both", "expression", "pose"))
    assert np.array_equal(both.expression, expression.expression) and np.array_equal(both.head_pose, pose.head_pose)
    assert expression.head_pose is None
    assert np.ptp(pose.expression, axis=0).max() == 0
    assert np.abs(pose.expression[0] - rest_weights(PERSON, measures))[JAW] < 1e-6
    assert both.landmarks == pytest.approx(measures.landmarks(both.expression), abs=1e-6)
    assert 0 <= both.expression.min() and both.expression.max() <= 1
    assert both.blink[181] > 0.9 and both.blink[:170].max() < 0.1
    assert both.fps == 30 and both.source == "tracked: someone.mp4" and both.history[-1] == "retarget both"


def test_poses_go_with_speech_of_another_rate_and_length(avatar):
    speech = motion_from_weights(face(0.3, 0.2)[:170], 25.0, "speech: talk.wav")
    posed = with_poses(speech, retarget(driver(), avatar, "pose"))
    assert len(posed) == 170 and np.array_equal(posed.expression, speech.expression)
    # 200 frames at 30 are 167 at 25; then they run back.
    assert np.array_equal(posed.head_pose[167:], posed.head_pose[[165, 164, 163]])


def test_refusals(avatar):
    with pytest.raises(UserError, match="--transfer expresion: .* did you mean expression"):
        retarget(driver(), avatar, "expresion")
    with pytest.raises(UserError, match="match_driver: must lie from 0 to 1"):
        retarget(driver(), avatar, match=2.0)
    with pytest.raises(UserError, match="has no head poses"):
        retarget(driver(head_pose=None), avatar)
    assert retarget(driver(head_pose=None), avatar, "expression").head_pose is None
    empty = motion_from_weights(np.zeros((0, 52)), 25.0, "nobody")
    with pytest.raises(UserError, match="no frames"):
        retarget(empty, avatar)


def test_gaze_weights_follow_the_gaze(avatar):
    gaze = np.zeros((FRAMES, 2), np.float32)
    gaze[50:, 0] = 0.2
    out = retarget(driver(gaze=gaze), avatar, "expression")
    assert out.gaze[100, 0] - out.gaze[0, 0] == pytest.approx(0.13, abs=0.05)
    assert np.abs(out.expression[100, list(GAZE)] - out.expression[0, list(GAZE)]).max() > 0.2


def test_what_the_person_never_does_is_left_out(measures):
    """A jaw pushed aside by a person who never did so would tear their field; what else the driver does is not lost."""
    aside = ARKIT_NAMES.index("jawLeft")
    odd = face(0.6, 0.5)
    odd[20:180, aside] = 0.8
    out = transfer_expression(odd, PERSON, measures)
    assert np.abs(out[:, aside]).max() < 0.02
    assert np.corrcoef(out[:, JAW], odd[:, JAW])[0, 1] > 0.9
    own = face(0.3, 0.2)
    own[30:60, aside] = 0.3
    assert np.ptp(transfer_expression(odd, own, measures)[:, aside]) > 0.2


def test_a_smile_is_not_lost_beside_a_wide_open_mouth(measures):
    person = face(0.25, 0.12)
    out = transfer_expression(face(1.0, 0.25), person, measures)
    assert 0.18 <= out[:, SMILE].max() <= 0.3
    assert out[:, JAW].max() < 0.4


def test_a_person_who_was_never_seen_to_move_stays_at_rest(measures):
    for frames in (1, 5):
        still = np.tile(face(0, 0, 0, rest={"jawOpen": 0.1})[:1], (frames, 1))
        out = transfer_expression(face(0.6, 0.5, blink=0.0), still, measures)
        assert np.abs(out - still[0]).max() < 1e-6


def test_each_eye_winks_for_itself(measures):
    odd = face(0.3, 0.2, blink=0.0)
    odd[90:94, LIDS[0]] = 0.7
    out = transfer_expression(odd, face(0.3, 0.2, blink=0.6), measures)
    assert out[91, LIDS[0]] > 0.5 and abs(out[91, LIDS[1]]) < 0.05
