"""Edits of a motion as people ask for them: what changes, what stays."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES, indices
from geneface.face.basis import load_basis
from geneface.face.gaze import gaze_of_weights, gaze_weights
from geneface.face.landmarks import mouth_opening
from geneface.face.motion import motion_from_weights
from geneface.face.pose import head_angles, poses_of_angles
from geneface.motion import edits
from geneface.motion.blinks import BLINK, BLINK_PEAK, found_blinks
from geneface.motion.edits.weights import lip_gap
from geneface.motion.emotions import EMOTIONS, REGIONS
from geneface.types import MotionSequence

FPS, FRAMES = 25.0, 250
CLOSED = (60, 61, 62, 140, 141, 142)  # frames of a p and of a b
BLINKS = (40, 130)


def at(name: str) -> int:
    return ARKIT_NAMES.index(name)


def talk(frames: int = FRAMES, posed: bool = True) -> MotionSequence:
    """Speech for seven seconds of ten: a jaw that opens four times a second, lips that close twice, two blinks."""
    time = np.arange(frames) / FPS
    weights = np.zeros((frames, 52))
    spoken = np.clip((7 - time) * 5, 0, 1)
    weights[:, at("jawOpen")] = spoken * (0.15 + 0.1 * np.sin(2 * np.pi * 4 * time)) + 0.005
    weights[:, indices("mouthLowerDown*")] = 0.5 * weights[:, [at("jawOpen")]]
    weights[:, at("mouthPucker")] = spoken * (0.1 + 0.1 * np.sin(2 * np.pi * 1.1 * time))
    weights[:, at("browInnerUp")] = 0.2 + 0.1 * np.sin(2 * np.pi * 0.5 * time)
    for frame in CLOSED:
        if frame < frames:
            weights[frame, at("mouthClose")] = weights[frame, at("jawOpen")] * 1.1 + 0.02
    for first in BLINKS:
        if first + len(BLINK) <= frames:
            weights[first:first + len(BLINK), indices("eyeBlink*")] = 0.6 * BLINK[:, None]
    gaze = np.radians(np.stack([2 + 2 * np.sin(time), -1 + np.cos(1.3 * time)], axis=1))
    weights += gaze_weights(gaze)
    blink = weights[:, at("eyeBlinkLeft")] / 0.6
    angles = 0.1 * np.sin(time[:, None] * [1.1, 0.7, 0.5]) + [0.05, 0.02, 0.0]
    poses = poses_of_angles(angles, 0.01 * np.sin(time[:, None] * [0.3, 0.4, 0.2])) if posed else None
    motion = motion_from_weights(weights, FPS, "made up", poses, gaze, blink)
    return replace(motion, words=((0.5, 1.0, "one"), (2.0, 2.5, "two"), (6.0, 6.5, "three")))


def same(one: MotionSequence, other: MotionSequence, within: float = 0.0) -> bool:
    return len(one) == len(other) and all(
        (getattr(one, name) is None) == (getattr(other, name) is None)
        and (getattr(one, name) is None or np.abs(getattr(one, name) - getattr(other, name)).max(initial=0) <= within)
        for name in ("landmarks", "expression", "blink", "gaze", "head_pose"))


def consistent(motion: MotionSequence) -> None:
    weights = motion.expression
    assert weights.min() >= 0 and weights.max() <= 1 and 0 <= motion.blink.min() and motion.blink.max() <= 1
    np.testing.assert_allclose(motion.landmarks, load_basis().landmarks68(weights), atol=1e-6)
    if motion.head_pose is not None:
        turned = motion.head_pose[:, :3, :3]
        assert np.abs(turned @ turned.transpose(0, 2, 1) - np.eye(3)).max(initial=0) < 1e-6


OTHER = talk(60)
STRENGTHS = {  # neutral, and two strengths that do something
    "mouth": (1.0, 1.5, 0.5), "expression": (1.0, 1.5, 0.4), "head": (1.0, 2.0, 0.0), "smooth": (0.0, 0.08, 0.02),
    "blinks": (1.0, 0.0, 1.4), "stretch": (1.0, 2.0, 0.5),
}
WITH_STRENGTH = {
    "emotion": lambda m, s: edits.emotion(m, "sad", s), "blink_rate": lambda m, s: edits.blink_rate(m, 20, s),
    "blink_at": lambda m, s: edits.blink_at(m, [1.0], s), "blink_like": lambda m, s: edits.blink_like(m, OTHER, s),
    "gaze": lambda m, s: edits.gaze(m, 10, -5, s), "gaze_at": lambda m, s: edits.gaze_at(m, (0, 0, 0), s),
    "style": lambda m, s: edits.style(m, edits.mouth(OTHER, 0.6), s),
}


@pytest.mark.parametrize("name", STRENGTHS)
def test_gains_change_nothing_at_their_neutral(name):
    motion, change = talk(), getattr(edits, name)
    kept = replace(motion, expression=motion.expression.copy(), head_pose=motion.head_pose.copy())
    neutral, *others = STRENGTHS[name]
    assert change(motion, neutral) is motion
    for strength in others:
        after = change(motion, strength)
        consistent(after)
        assert not same(after, motion) and same(motion, kept) and len(after.history) == 1
    for bad in (float("nan"), -1.0, 1e9):
        with pytest.raises(UserError, match="must lie from"):
            change(motion, bad)


@pytest.mark.parametrize("name", WITH_STRENGTH)
def test_strength_zero_changes_nothing(name):
    motion, change = talk(), WITH_STRENGTH[name]
    assert change(motion, 0.0) is motion
    full, half = change(motion, 1.0), change(motion, 0.5)
    for after in (full, half):
        consistent(after)
        assert not same(after, motion) and len(after.history) == 1
    with pytest.raises(UserError, match="must lie from 0 to 1"):
        change(motion, float("nan"))


@pytest.mark.parametrize("frames", [0, 1, 2, 5])
def test_short_motions(frames):
    motion = talk(frames)
    for name, (_, strength, _) in STRENGTHS.items():
        assert len(getattr(edits, name)(motion, strength)) == (frames if name != "stretch" else 2 * frames)
    for name in ("emotion", "blink_rate", "gaze", "gaze_at", "style"):
        assert len(WITH_STRENGTH[name](motion, 1.0)) == frames
    assert len(edits.mirror(motion)) == frames


@pytest.mark.parametrize("gain", [0.5, 1.5, 2.5])
def test_mouth_opens_wider_and_closes_as_before(gain):
    motion = talk()
    after = edits.mouth(motion, gain)
    before, now = mouth_opening(motion.landmarks), mouth_opening(after.landmarks)
    spoken = np.setdiff1d(np.arange(0, 170), CLOSED)
    assert np.median(now[spoken] / before[spoken]) == pytest.approx(gain, rel=0.12)
    assert (lip_gap(after.expression)[list(CLOSED)] <= lip_gap(motion.expression)[list(CLOSED)] + 5e-4).all()
    others = np.setdiff1d(np.arange(52), indices("jawOpen", "mouthLowerDown*", "mouthUpperUp*"))
    np.testing.assert_array_equal(after.expression[:, others], motion.expression[:, others])


def test_expression_scales_all_but_blinks_and_gaze():
    motion = talk()
    after = edits.expression(motion, 1.5)
    brow, lids = at("browInnerUp"), indices("eyeBlink*", "eyeLookIn*", "eyeLookOut*", "eyeLookUp*", "eyeLookDown*")
    np.testing.assert_allclose(after.expression[:, brow], 1.5 * motion.expression[:, brow], rtol=1e-5)
    np.testing.assert_array_equal(after.expression[:, lids], motion.expression[:, lids])
    assert (lip_gap(after.expression)[list(CLOSED)] <= lip_gap(motion.expression)[list(CLOSED)] + 1e-6).all()


def test_head_gain_is_about_the_mean():
    motion = talk()
    still, double = edits.head(motion, 0.0), edits.head(motion, 2.0)
    assert np.ptp(still.head_pose, axis=0).max() < 1e-9
    np.testing.assert_allclose(still.head_pose[:, :3, 3], np.tile(motion.head_pose[:, :3, 3].mean(0), (FRAMES, 1)))
    # About the mean, small turns add up as vectors.
    spread = head_angles(double).std(0) / head_angles(motion).std(0)
    np.testing.assert_allclose(spread, 2, rtol=0.05)
    with pytest.raises(UserError, match="head: the motion has no head pose"):
        edits.head(talk(posed=False), 0.5)


def test_smooth_calms_without_delay_and_keeps_closures_and_blinks():
    motion = talk()
    random = np.random.default_rng(0)
    shaken = np.clip(motion.expression + 0.02 * random.standard_normal((FRAMES, 52)), 0, 1)
    noisy = replace(motion_from_weights(shaken, FPS, "noisy", motion.head_pose, motion.gaze, motion.blink))
    after = edits.smooth(noisy, 0.06)
    brow = at("browInnerUp")
    rough = [np.abs(np.diff(m.expression[:, brow], 2)).mean() for m in (noisy, after)]
    assert rough[1] < 0.2 * rough[0]
    lag = np.correlate(after.expression[:, brow] - after.expression[:, brow].mean(),
                       motion.expression[:, brow] - motion.expression[:, brow].mean(), "full").argmax() - (FRAMES - 1)
    assert abs(lag) <= 1
    gap = lip_gap(edits.smooth(motion, 0.06).expression)
    assert (gap[list(CLOSED)] < 5e-4).all() and (lip_gap(motion.expression)[list(CLOSED)] < 5e-4).all()
    assert found_blinks(edits.smooth(motion, 0.1).blink, FPS).tolist() == found_blinks(motion.blink, FPS).tolist()
    lid = at("eyeBlinkLeft")
    assert edits.smooth(motion, 0.1).expression[:, lid].max() > 0.97 * motion.expression[:, lid].max()


def test_mirror_twice_is_the_motion():
    motion = edits.emotion(talk(), "contemptuous")
    once = edits.mirror(motion)
    consistent(once)
    assert same(edits.mirror(once), motion, 1e-12) and not same(once, motion)
    np.testing.assert_array_equal(once.expression[:, at("mouthSmileRight")], motion.expression[:, at("mouthSmileLeft")])
    np.testing.assert_allclose(once.gaze, motion.gaze * [-1, 1])
    np.testing.assert_allclose(gaze_of_weights(once.expression), once.gaze, atol=1e-6)
    np.testing.assert_allclose(head_angles(once), head_angles(motion) * [-1, 1, -1], atol=1e-9)
    # The mirrored face, landmark by landmark: the left corner of the mouth where the right one was.
    corners = once.landmarks[:, [48, 54]] * [-1, 1, 1] - motion.landmarks[:, [54, 48]]
    assert np.abs(corners).max() < 5e-4


@pytest.mark.parametrize("name", EMOTIONS)
def test_emotions_leave_speech_readable(name):
    motion = talk()
    after = edits.emotion(motion, name, 1.0)
    consistent(after)
    closed, spoken = list(CLOSED), np.setdiff1d(np.arange(10, 160), CLOSED)
    assert (lip_gap(after.expression)[closed] <= lip_gap(motion.expression)[closed] + 5e-4).all()
    was, now = mouth_opening(motion.landmarks)[spoken], mouth_opening(after.landmarks)[spoken]
    assert np.corrcoef(was, now)[0, 1] > 0.97 and 0.8 < now.std() / was.std() < 1.2
    preset = EMOTIONS[name].vector()
    quiet = after.expression[215:240].mean(0) - motion.expression[215:240].mean(0)
    moved = np.abs(preset) > 0.3
    assert (quiet[moved] > 0.15).all()  # at rest it is there
    assert preset.min() >= 0 and preset.max() <= 0.9


def test_emotion_in_regions_and_of_some_strength():
    motion = talk()
    brows = edits.emotion(motion, "angry", 1.0, ["brows"])
    changed = np.flatnonzero(np.abs(brows.expression - motion.expression).max(0))
    assert set(changed) <= set(REGIONS["brows"]) and len(changed)
    parts = sorted(k for region in REGIONS.values() for k in region)
    assert len(parts) == len(set(parts)) == 52 - 8
    half = edits.emotion(motion, "angry", 0.5, ["brows"]).expression - motion.expression
    np.testing.assert_allclose(half, 0.5 * (brows.expression - motion.expression), atol=1e-6)
    wide = edits.emotion(motion, "surprised").expression[:, at("eyeWideLeft")]
    peak = BLINKS[0] + BLINK_PEAK
    assert wide[peak] < 0.01 < 0.5 < wide[peak - 10]  # a blink goes through
    for bad, message in ((("hapy",), "did you mean happy"), (("happy", 2.0), "must lie from 0 to 1.5"),
                         (("happy", 1.0, ["brow"]), "did you mean brows"), (("happy", 1.0, []), "there are brows")):
        with pytest.raises(UserError, match=message):
            edits.emotion(motion, *bad)


def test_blinks_taken_out_and_put_elsewhere():
    motion = talk()
    assert found_blinks(motion.blink, FPS).tolist() == [first + BLINK_PEAK for first in BLINKS]
    none = edits.blinks(motion, 0.0)
    assert not len(found_blinks(none.blink, FPS)) and none.expression[:, at("eyeBlinkLeft")].max() < 0.01
    elsewhere = edits.blink_at(motion, [3.2, 7.0])
    np.testing.assert_allclose(found_blinks(elsewhere.blink, FPS) / FPS, [3.32, 7.12], atol=0.09)
    assert elsewhere.expression[82:86, at("eyeBlinkLeft")].max() > 0.5
    often = edits.blink_rate(edits.loop(motion, seconds=120), 30)
    assert 22 <= len(found_blinks(often.blink, FPS)) / 2 <= 38
    assert not len(found_blinks(edits.blink_rate(motion, 0).blink, FPS))
    copied = edits.blink_like(replace(motion, expression=np.zeros_like(motion.expression)), motion)
    np.testing.assert_allclose(found_blinks(copied.blink, FPS), found_blinks(motion.blink, FPS), atol=1)
    with pytest.raises(UserError, match="blink-at: times must lie"):
        edits.blink_at(motion, [11.0])
    with pytest.raises(UserError, match="blink-rate: must lie"):
        edits.blink_rate(motion, 1000)


def test_gaze_looks_there_and_keeps_small_movements():
    motion = talk()
    after = edits.gaze(motion, 8, -4)
    np.testing.assert_allclose(np.degrees(after.gaze.mean(0)), [8, -4], atol=1e-4)
    np.testing.assert_allclose(after.gaze.std(0), motion.gaze.std(0), rtol=1e-4)
    np.testing.assert_allclose(gaze_of_weights(after.expression), after.gaze, atol=2e-3)
    for out, back in (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookUpLeft", "eyeLookDownLeft")):
        both = np.minimum(after.expression[:, at(out)], after.expression[:, at(back)])
        assert both.max() < 1e-6  # an eye does not look two ways
    with pytest.raises(UserError, match="gaze: pitch: must lie"):
        edits.gaze(motion, 0, 50)


def test_gaze_rests_on_the_camera_while_the_head_turns():
    motion = talk()
    after = edits.gaze_at(motion, (0, 0, 0))
    pose = motion.head_pose
    yaw, pitch = after.gaze.T
    looks = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], axis=1)
    eyes = load_basis().landmarks68(np.zeros((1, 52), np.float32))[0, 36:48].mean(0)
    towards = -(pose[:, :3, :3] @ eyes + pose[:, :3, 3])
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", pose[:, :3, :3], looks), towards, atol=2e-3)
    assert edits.gaze_at(talk(posed=False), (0.1, 0, 0)).gaze[:, 0].mean() > 0.1  # to the image's right
    with pytest.raises(UserError, match="not in front of the face"):
        edits.gaze_at(motion, (0, 0, 2))


def test_stretch_there_and_back_is_near_the_motion():
    motion = talk()
    slow = edits.stretch(motion, 2.0)
    assert len(slow) == 2 * FRAMES and slow.fps == FPS and slow.words[1] == (4.0, 5.0, "two")
    back = edits.stretch(slow, 0.5)
    error = back.expression - motion.expression
    assert np.sqrt((error**2).mean()) < 2e-3 and back.words == motion.words
    assert np.abs(back.head_pose - motion.head_pose).max() < 1e-3


@pytest.mark.parametrize("where", [1.2, 5.0, 9.96])
def test_joined_cuts_are_the_whole(where):
    motion = talk()
    first, second = edits.cut(motion, 0.0, where), edits.cut(motion, where)
    whole = edits.join(first, second)
    assert same(whole, motion, 1e-7)
    np.testing.assert_allclose([word[:2] for word in whole.words], [word[:2] for word in motion.words], atol=1e-9)
    assert edits.cut(motion, 0.0, 10.0) is motion and edits.cut(motion) is motion
    assert edits.cut(motion, 2.2, 3.0).words == ((0.0, pytest.approx(0.3), "two"),)
    for bad in ((3.0, 3.0), (4.0, 1.0), (11.0, None), (-1.0, 2.0), (float("nan"), 2.0), (3.001, 3.002)):
        with pytest.raises(UserError, match="cut"):
            edits.cut(motion, *bad)


def test_join_fades_and_follows_the_first():
    motion, other = talk(), edits.resample(edits.emotion(talk(), "happy"), 60)
    both = edits.join(motion, other, 0.4)
    consistent(both)
    assert len(both) == 2 * FRAMES - 10 and both.fps == FPS and both.words[3][0] == pytest.approx(0.5 + 9.6)
    smile = both.expression[:, at("mouthSmileLeft")]
    assert np.abs(np.diff(smile))[230:260].max() < 0.15 and smile[245] > 0.1 and smile[100] == 0
    bare = edits.join(motion, talk(posed=False))
    np.testing.assert_allclose(bare.head_pose[FRAMES:], np.tile(motion.head_pose[-1], (FRAMES, 1, 1)))
    led = edits.join(talk(posed=False), motion)
    np.testing.assert_allclose(led.head_pose[:FRAMES], np.tile(motion.head_pose[0], (FRAMES, 1, 1)))
    assert edits.join(talk(posed=False), talk(posed=False)).head_pose is None
    with pytest.raises(UserError, match="crossfade: 12 s is longer"):
        edits.join(motion, other, 12)


def test_loop_has_no_seam():
    motion = edits.cut(talk(), 1.0, 4.0)
    thrice = edits.loop(motion, times=3, crossfade=0.4)
    consistent(thrice)
    turn = len(motion) - 10
    assert len(thrice) == 3 * turn and [word[2] for word in thrice.words] == ["two"] * 3
    np.testing.assert_array_equal(thrice.expression[:turn], thrice.expression[turn:2 * turn])
    brow = thrice.expression[:, at("browInnerUp")]
    usual = np.abs(np.diff(motion.expression[:, at("browInnerUp")])).max()
    assert np.abs(np.diff(np.concatenate([brow, brow[:1]]))).max() < 3 * usual  # the end meets the beginning, too
    steps = Rotation.from_matrix(thrice.head_pose[:, :3, :3])
    assert (steps[:-1].inv() * steps[1:]).magnitude().max() < 0.04
    assert len(edits.loop(motion, seconds=60)) == 1500
    for bad, message in (({"times": 0}, "must lie from"), ({"seconds": 1e9}, "must lie|would make"), ({}, "either"),
                         ({"times": 2, "crossfade": 2.0}, "too short"), ({"seconds": 0.0}, "would make 0")):
        with pytest.raises(UserError, match=message):
            edits.loop(motion, **bad)


def test_landmarks_of_their_own_are_kept():
    motion = talk()
    own = np.zeros((FRAMES, 68, 3), np.float32)
    own[:, 48, 0], own[:, 8, 1] = 0.002, 0.001 * np.sin(np.arange(FRAMES) / 5)  # the right corner, and the chin
    shifted = replace(motion, landmarks=motion.landmarks + own)
    for line in ("mouth 1.5", "smooth 0.04", "gaze 5,0", "resample 30", "stretch 0.5", "cut 1,3", "loop 2x", "mirror"):
        plain, mine = edits.apply(motion, line), edits.apply(shifted, line)
        np.testing.assert_array_equal(plain.expression, mine.expression)
        moved = mine.landmarks - plain.landmarks
        corner, sign = (54, -1) if line == "mirror" else (48, 1)
        np.testing.assert_allclose(moved[:, corner, 0], sign * 0.002, atol=2e-6, err_msg=line)
        assert moved[:, 8, 1].std() > 4e-4


def test_style_of_a_livelier_person():
    quiet = edits.expression(edits.head(talk(), 0.5), 0.5)
    lively = talk()
    after = edits.style(quiet, lively)
    consistent(after)

    def spans(motion: MotionSequence) -> list[float]:
        return [np.ptp(np.quantile(mouth_opening(motion.landmarks)[:170], [0.05, 0.95])),
                motion.expression[:, at("browInnerUp")].std(), head_angles(motion).std(0).max()]

    for before, now, wanted in zip(spans(quiet), spans(after), spans(lively)):
        assert before < 0.7 * wanted and now == pytest.approx(wanted, rel=0.15)
    with pytest.raises(UserError, match="1 s or more"):
        edits.style(quiet, talk(10))
