"""Tracking against heads whose identity, camera, pose and expression are known."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from data_prep.synthetic.compare import correlation, project_head
from data_prep.tracking.eyes import eye_openness, gaze_angles
from data_prep.tracking.fit import fit_person, fit_track, predicted_landmarks, refit_expression
from data_prep.tracking.landmarks import Detections
from data_prep.tracking.quality import RIGID, blink_depth, closed_lips_gap, lag, noise_ratio
from data_prep.tracking.smooth import adaptive, fill, jitter, whittaker
from geneface.errors import UserError
from geneface.face import arkit
from geneface.face import landmarks as lm
from geneface.face.basis import load_basis, view_direction
from geneface.face.motion import tracked_motion
from geneface.types import CameraTrack

FPS = 25.0


def project(points, rotation, translation, focal, size) -> np.ndarray:
    """[T,N,2] image points [px] of points [T,N,3] in the head frame [m]."""
    camera = points @ rotation.transpose(0, 2, 1) + translation[:, None]
    return focal * camera[..., :2] / camera[..., 2:] + np.array(size) / 2


def as_seen(identity, expression, rotation, translation) -> np.ndarray:
    """[T,478,3] where MediaPipe takes the landmarks to be."""
    mean, identity_part, expression_part, view_part = load_basis().seen_landmarks
    view = view_direction(rotation, translation)
    still = mean + np.tensordot(identity, identity_part, 1)
    return still + np.tensordot(expression, expression_part, 1) + np.tensordot(view, view_part, 1)


class Clip:
    """A synthetic clip: what the tracker would see, and the truth."""

    def __init__(self, frames=100, size=(256, 256), noise=0.5, yaw=15.0, focal=2.3, seed=0, still=False, identity=None):
        basis = load_basis()
        rng = np.random.default_rng(seed)

        def wander(spread, hertz, columns):
            noise = rng.normal(size=(frames + 80, columns))
            smooth = gaussian_filter1d(noise, FPS / (2 * np.pi * hertz), axis=0)[40:-40]
            return spread * smooth / smooth.std(0)

        self.width, self.height = size
        side = max(size)
        self.identity = rng.normal(size=basis.components).astype(np.float32) * 0.8 if identity is None else identity
        self.focal = focal * side
        self.expression = np.zeros((frames, 52), np.float32)
        for name, level, hertz in (
            ("jawOpen", 0.25, 3.0), ("mouthFunnel", 0.2, 2.0), ("mouthPucker", 0.25, 2.0), ("browInnerUp", 0.3, 0.5),
        ):
            self.expression[:, arkit.index(name)] = np.clip(level * (0.6 + wander(0.8, hertz, 1)[:, 0]), 0, 1)
        smile = np.clip(0.2 + wander(0.2, 0.5, 1), 0, 1)
        self.expression[:, arkit.indices("mouthSmile*")] = smile
        blink = np.zeros(frames)
        for start in range(20, frames - 8, 45):
            blink[start:start + 7] = (0.2, 0.6, 0.8, 0.8, 0.6, 0.4, 0.1)
        self.expression[:, arkit.indices("eyeBlink*")] = blink[:, None]
        angles = np.zeros((frames, 3)) if still else wander(1.0, 0.4, 3) * [yaw / 2, yaw / 4, yaw / 6]
        self.rotation = Rotation.from_euler("yxz", angles, degrees=True)
        sway = np.zeros((frames, 3)) if still else wander(0.008, 0.3, 3)
        self.translation = sway + [0.01, 0.0, self.focal * 0.24 / (0.75 * side)]
        seen = self.see(rng.normal(0, noise, (frames, 478, 2)))
        scores = np.clip(self.expression * rng.uniform(0.6, 1.0, 52) + rng.normal(0, 0.05, self.expression.shape), 0, 1)
        self.detections = Detections(
            seen.astype(np.float32), scores.astype(np.float32), np.ones(frames, bool), np.ones(frames, np.int32))

    def see(self, noise=0.0) -> np.ndarray:
        """[T,478,2] the landmarks that MediaPipe would give; `truth` is where they are."""
        pose = self.rotation.as_matrix(), self.translation
        camera = *pose, self.focal, (self.width, self.height)
        self.truth = project(load_basis().landmarks478(self.identity, self.expression), *camera)
        return project(as_seen(self.identity, self.expression, *pose), *camera) + noise

    def fit(self, **options):
        return fit_track(self.detections, self.width, self.height, FPS, **options)

    def rotation_error(self, camera) -> np.ndarray:
        """[T] angle between fitted and true rotation [deg]."""
        fitted = Rotation.from_matrix(camera.head_to_camera[:, :3, :3])
        return np.rad2deg((fitted * self.rotation.inv()).magnitude())


@pytest.mark.parametrize("seed,focal,yaw,size", [
    (0, 2.3, 15.0, (256, 256)), (1, 4.0, 30.0, (256, 200)), (2, 1.4, 35.0, (224, 240)),
])
def test_recovers_pose_landmarks_and_expression(seed, focal, yaw, size):
    clip = Clip(seed=seed, focal=focal, yaw=yaw, size=size)
    camera, face, quality = clip.fit()
    miss = np.linalg.norm(project_head(camera, face) - clip.truth, axis=-1)
    assert np.median(miss[:, lm.MEDIAPIPE_TO_68]) < 1.0
    assert np.median(clip.rotation_error(camera)) < 2.0
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "mouthPucker"):
        place = arkit.index(name)
        assert correlation(face.expression[:, place], clip.expression[:, place]) > 0.9, name
    opening = lm.mouth_opening(load_basis().landmarks68(clip.expression))
    assert correlation(lm.mouth_opening(tracked_motion(face).landmarks), opening) > 0.97
    assert quality.valid == 1.0 and quality.second_face == 0.0
    assert quality.summary()["reprojection_px"] == quality.reprojection_px < 1.0


def test_pose_of_a_still_head_does_not_shake():
    clip = Clip(size=(512, 512), noise=0.7, still=True, seed=3)
    camera, _, quality = clip.fit()
    assert quality.jitter_deg < 0.05
    assert quality.jitter_deg < quality.raw_jitter_deg / 3


def test_lips_are_not_smoothed_and_do_not_lag():
    clip = Clip(seed=4, noise=0.3)
    place = arkit.index("jawOpen")
    clip.expression[:, place] = 0.25 + 0.2 * np.sin(2 * np.pi * 7.0 * np.arange(100) / FPS)
    seen = clip.see()
    clip.detections = Detections(seen.astype(np.float32), clip.detections.scores, clip.detections.valid,
                                 clip.detections.faces)
    _, face, _ = clip.fit()
    fitted, truth = face.expression[5:-5, place], clip.expression[5:-5, place]
    assert correlation(fitted, truth) > 0.97
    assert fitted.std() > 0.85 * truth.std()
    assert correlation(fitted, truth) > max(correlation(fitted[1:], truth[:-1]), correlation(fitted[:-1], truth[1:]))


def test_frames_without_a_face_are_interpolated_and_marked():
    clip = Clip(seed=5)
    gap = slice(40, 46)
    seen = clip.detections
    landmarks, scores, valid, faces = (value.copy() for value in (seen.landmarks, seen.scores, seen.valid, seen.faces))
    landmarks[gap], scores[gap], valid[gap], faces[gap] = 0, 0, False, 0
    faces[:10] = 2
    camera, face, quality = fit_track(Detections(landmarks, scores, valid, faces), 256, 256, FPS)
    assert not face.valid[gap].any() and face.valid.sum() == 94
    assert quality.valid == pytest.approx(0.94) and quality.second_face == pytest.approx(0.1)
    assert clip.rotation_error(camera)[gap].max() < 8.0
    assert np.abs(face.landmarks[gap] - clip.truth[gap]).mean() < 8.0


def test_clips_of_one_person_share_identity_and_focal_length():
    first, second = Clip(seed=6, frames=75), Clip(seed=7, frames=75)
    second = Clip(seed=7, frames=75, identity=first.identity)
    person = fit_person([first.detections, second.detections], 256, 256)
    camera_a, face_a, _ = first.fit(person=person)
    camera_b, face_b, quality = second.fit(person=person)
    assert np.array_equal(face_a.identity, face_b.identity)
    assert np.array_equal(camera_a.intrinsics, camera_b.intrinsics)
    assert quality.person is person and quality.reprojection_px < 1.0


def test_known_identity_and_focal_length_are_kept():
    clip = Clip(seed=8, frames=60)
    camera, face, _ = clip.fit(identity=clip.identity, focal=clip.focal)
    assert np.allclose(face.identity, clip.identity, atol=1e-6)
    assert camera.intrinsics[0, 0] == pytest.approx(clip.focal, rel=1e-5)
    assert np.median(clip.rotation_error(camera)) < 0.8
    depth = camera.head_to_camera[:, 2, 3]
    assert np.abs(depth / clip.translation[:, 2] - 1).max() < 0.05


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clips_of_few_frames(frames):
    clip = Clip(seed=9)
    camera, face, quality = fit_track(clip.detections[:frames], 256, 256, FPS)
    assert len(camera) == len(face) == frames
    assert quality.reprojection_px < 2.0


def test_no_face_is_the_users_error():
    nothing = Detections(np.zeros((5, 478, 2), np.float32), np.zeros((5, 52), np.float32), np.zeros(5, bool),
                         np.zeros(5, np.int32))
    with pytest.raises(UserError, match="no face"):
        fit_track(nothing, 256, 256, FPS)


def test_wrong_identity_is_named():
    with pytest.raises(ValueError, match="identity"):
        Clip(frames=5).fit(identity=np.zeros(3, np.float32))


def test_same_input_same_track():
    clip = Clip(seed=10, frames=40)
    a, b = clip.fit(), clip.fit()
    assert np.array_equal(a[0].head_to_camera, b[0].head_to_camera)
    assert np.array_equal(a[1].expression, b[1].expression)


def test_eye_openness_is_relative_to_the_own_open_eye():
    expression = np.zeros((60, 52), np.float32)
    expression[30:33, arkit.indices("eyeBlink*")] = 0.8
    aspect = lm.eye_aspect(load_basis().landmarks478(None, expression))
    open_eyes = eye_openness(aspect, np.ones(60, bool))
    assert open_eyes[:25].min() > 0.95 and open_eyes[30:33].max() < 0.1
    assert np.allclose(eye_openness(0.6 * aspect, np.ones(60, bool)), open_eyes, atol=0.02)
    never_shut = eye_openness(np.full((60, 2), 0.2), np.ones(60, bool))
    assert never_shut.min() == 1


def test_gaze_signs():
    expression = np.zeros((3, 52), np.float32)
    expression[0, arkit.indices("eyeLookOutLeft", "eyeLookInRight")] = 1  # to the person's left, the image's right
    expression[1, arkit.indices("eyeLookUp*")] = 1
    gaze = gaze_angles(load_basis(), expression)
    assert gaze[0, 0] > 0.3 and abs(gaze[0, 1]) < 0.05
    assert gaze[1, 1] > 0.15 and abs(gaze[1, 0]) < 0.05
    assert np.array_equal(gaze[2], [0, 0])


def test_whittaker_keeps_slow_and_drops_fast():
    time = np.arange(200) / FPS
    slow, fast = np.sin(2 * np.pi * 0.8 * time), np.sin(2 * np.pi * 11 * time)
    smooth = whittaker(np.stack([slow, fast], 1), 4.0, FPS)[20:-20]
    assert np.abs(smooth[:, 0] - slow[20:-20]).max() < 0.02
    assert np.abs(smooth[:, 1]).max() < 0.06
    line = np.linspace(0, 5, 50)[:, None]
    assert np.allclose(whittaker(line, 1.0, FPS), line, atol=1e-6)
    at_cutoff = np.sin(2 * np.pi * 4.0 * time)[:, None]
    assert np.abs(whittaker(at_cutoff, 4.0, FPS)[50:-50]).max() == pytest.approx(0.5, abs=0.03)
    assert np.allclose(jitter(line, FPS), 0, atol=1e-6)


def test_adaptive_smoothing_is_strong_at_rest_and_weak_in_motion():
    rng = np.random.default_rng(0)
    time = np.arange(400) / FPS
    truth = np.where(time < 8, 0.0, np.sin(2 * np.pi * 1.5 * (time - 8)))[:, None]
    smooth = adaptive(truth + rng.normal(0, 0.02, truth.shape), 2.0, 7.0, FPS)
    rest, moving = slice(20, 180), slice(220, 380)
    assert (smooth - truth)[rest].std() < 0.011
    assert (smooth - truth)[moving].std() < 0.02
    fixed = whittaker(truth, 2.0, FPS)
    assert np.abs(fixed - truth)[moving].max() > 4 * np.abs(smooth - truth)[moving].max()
    assert adaptive(truth[:4], 2.0, 7.0, FPS).shape == (4, 1)


def test_fill_interpolates_and_holds_the_ends():
    values = np.array([9.0, 1.0, 9.0, 3.0, 9.0])
    valid = np.array([False, True, False, True, False])
    assert np.allclose(fill(values, valid), [1, 1, 2, 3, 3])
    with pytest.raises(ValueError, match="valid"):
        fill(values, np.zeros(5, bool))


def part_of(camera: CameraTrack, part: slice) -> CameraTrack:
    return CameraTrack(camera.intrinsics, camera.head_to_camera[part], camera.width, camera.height, camera.fps)


def test_expression_is_fitted_again_to_other_poses():
    clip = Clip(seed=12, frames=40)
    camera, face, quality = clip.fit(identity=clip.identity, focal=clip.focal)
    same, _ = refit_expression(clip.detections, camera, face, quality.person)
    assert np.abs(same.expression - face.expression).mean() < 0.01
    poses = camera.head_to_camera.copy()
    poses[:, :3, :3] = Rotation.from_rotvec([np.deg2rad(1.5), 0, 0]).as_matrix() @ poses[:, :3, :3]
    nodded = CameraTrack(camera.intrinsics, poses, clip.width, clip.height, FPS)
    refitted, after = refit_expression(clip.detections, nodded, face, quality.person)

    def lips_missed(of) -> float:
        seen = predicted_landmarks(nodded, of, quality.person)
        return float(np.linalg.norm(seen - clip.detections.landmarks, axis=-1)[:, lm.LIPS].mean())

    assert lips_missed(refitted) < 0.7 * lips_missed(face)
    assert after.raw_jitter_deg == after.jitter_deg == pytest.approx(quality.jitter_deg, rel=1e-3)


def test_several_clips_in_one_are_one_person_and_not_smoothed_across():
    first = Clip(seed=11, frames=60)
    second = Clip(seed=12, frames=60, identity=first.identity)
    both = Detections(*(np.concatenate([getattr(clip.detections, name) for clip in (first, second)])
                        for name in ("landmarks", "scores", "valid", "faces")))
    camera, face, quality = fit_track(both, 256, 256, FPS, jumps=(60,))
    for part, clip in ((slice(0, 60), first), (slice(60, 120), second)):
        alone, face_alone, _ = clip.fit(person=quality.person)
        assert np.allclose(camera.head_to_camera[part], alone.head_to_camera, atol=0.006)
        assert np.abs(face.expression[part] - face_alone.expression).mean() < 0.01
        assert np.median(clip.rotation_error(part_of(camera, part))) < 2.0
    assert np.array_equal(quality.person.identity, face.identity)
    smeared, _, _ = fit_track(both, 256, 256, FPS, person=quality.person)
    edge = slice(58, 62)
    assert np.abs(smeared.head_to_camera[edge] - camera.head_to_camera[edge]).max() > 0.01


def test_lips_that_touch_touch_in_the_fit_and_blinks_keep_their_depth():
    clip = Clip(seed=13, noise=0.0, size=(512, 512))
    clip.expression[40:60, list(arkit.MOUTH)] = 0
    seen = clip.see(np.random.default_rng(0).normal(0, 0.3, (100, 478, 2)))
    # Lips that part further than the basis says, and meet all the same.
    seen[:, lm.LIPS_INNER_LOWER[1:-1], 1] += 1.5
    seen[45:55, lm.LIPS_INNER_LOWER[1:-1]] = seen[45:55, lm.LIPS_INNER_UPPER[1:-1]]
    clip.detections = Detections(seen.astype(np.float32), clip.detections.scores, clip.detections.valid,
                                 clip.detections.faces)
    camera, face, quality = clip.fit()
    fitted = predicted_landmarks(camera, face, quality.person)
    assert closed_lips_gap(seen, fitted) < 1.0
    assert 0.9 < blink_depth(seen, fitted) < 1.1


def test_quality_tells_noise_and_lag():
    rng = np.random.default_rng(1)
    time = np.arange(200) / FPS
    truth = np.repeat(20 * np.sin(2 * np.pi * 0.4 * time)[:, None], 2, 1)[:, None] + np.arange(len(RIGID))[:, None]
    noise = rng.normal(0, 1, truth.shape)
    assert noise_ratio(truth + 3 * noise, truth + noise, FPS) == pytest.approx(3.0, rel=0.1)
    assert np.isnan(noise_ratio(truth[:5], truth[:5], FPS))
    curve = gaussian_filter1d(rng.normal(size=400), 1.5)
    later = np.interp(np.arange(400) - 0.4, np.arange(400), curve)
    assert lag(curve, curve) == pytest.approx(0, abs=1e-6)
    assert lag(later, curve) == pytest.approx(0.4, abs=0.12) and lag(curve, later) == pytest.approx(-0.4, abs=0.12)
    assert lag(np.roll(curve, 2), curve) == pytest.approx(2, abs=0.1)
    assert np.isnan(lag(rng.normal(size=400), curve)) and np.isnan(lag(curve[:5], curve[:5]))


def test_real_clip(footage):
    """A talking person: the fit keeps to the detection, does not lag, trembles less, shuts lips and lids as far."""
    from data_prep.tracking.landmarks import detect_landmarks
    from geneface import media

    frames = media.read_frames(footage / "identities" / "speaker_e_8s.mp4", 25)
    detections = detect_landmarks(itertools.islice(frames, 125), 25)
    assert detections.valid.all()
    camera, face, quality = fit_track(detections, 512, 512, 25.0)
    fitted = predicted_landmarks(camera, face, quality.person)
    assert quality.reprojection_px < 2.0
    assert quality.noise_ratio > 3.0 and abs(quality.lag_frames) < 0.1
    assert closed_lips_gap(face.landmarks, fitted) < 1.0
    assert 0.9 < blink_depth(face.landmarks, fitted) < 1.1
    canonical = lm.mouth_opening(tracked_motion(face).landmarks)
    assert correlation(canonical, lm.mouth_opening(detections.landmarks)) > 0.95


def test_synthetic_person_is_tracked_near_the_truth(tmp_path):
    """Drawn, seen by MediaPipe and fitted: a short piece of what `tools/track_study.py` measures."""
    from data_prep.tracking.landmarks import detect_landmarks
    from data_prep.synthetic import make_synthetic
    from data_prep.synthetic.compare import compare
    from data_prep.synthetic.truth import SyntheticTruth
    from geneface import media

    clip = make_synthetic(tmp_path, 0.8, 256, 3, identity_seed=7, motion=2.0)
    truth = SyntheticTruth.load(clip.truth)
    camera, face, _ = fit_track(detect_landmarks(media.read_frames(clip.video, FPS), FPS), 256, 256, FPS)
    figures = compare(truth, camera, face)
    assert figures["landmarks_px"] < min(2.0, figures["detected_px"])
    assert figures["rotation"] < 4.0 and 0.8 < figures["pitch"] < 1.2
    assert figures["lips_open"] > 0.9 and figures["jaw"] > 0.85
