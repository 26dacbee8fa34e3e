"""Evaluation with a renderer and a detector whose answers are known: what is compared, and how it is reported."""
import json

import numpy as np
import pytest
from PIL import Image

from geneface.config import EvaluateConfig
from geneface.errors import UserError
from geneface.face import landmarks as sets
from geneface.face.detector import Detection
from geneface.media import read_frames
from geneface.metrics import evaluate as evaluation
from geneface.metrics import judge as judging
from geneface.metrics.film import LABEL
from geneface.types import Avatar, CameraTrack, FaceTrack, MotionSequence, PreparedPerson, SpeechFeatures

FRAMES, TRAIN, SIZE = 66, 44, 64
LATE = 2  # frames by which the predicted mouth comes after the true one


def opening(index):
    """Mouth opening of a frame [px of the prepared frame], written into the picture's corner."""
    return int(round(20 + 8 * np.sin(0.9 * index) + 6 * np.sin(0.37 * index + 1)))


def picture(index, mouth):
    """[64,64,3]: a grey head, a dark torso, and a corner block whose brightness tells the mouth's opening."""
    out = np.full((SIZE, SIZE, 3), 90 + index % 3, np.uint8)
    out[10:44, 16:48] = 170
    out[44:] = 40
    out[:8, :8] = 4 * mouth
    return out


def detect(frame):
    """Landmarks of such a picture at 512 scale: a square face, lips open by what the corner says."""
    points = np.tile([[256.0, 200.0]], (478, 1)) + np.random.default_rng(0).normal(scale=30, size=(478, 2))
    gap = float(frame[20:40, 20:40].mean()) / 4
    points[sets.LIPS] = [256, 290]
    points[61], points[291] = (226, 290), (286, 290)
    points[sets.LIPS_INNER_LOWER[1:-1]] = [256, 290 + gap]
    return points.astype(np.float32)


class FakeDetector:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def detect(self, frame):
        assert frame.shape == (512, 512, 3)
        if frame[-10:, -10:].mean() > 200:  # a frame marked as having no face
            return None
        return Detection(detect(frame), {}, 1)


class FakeRenderer:
    """Draws what the driving landmarks carry: frame number and opening in their first coordinates."""

    def __init__(self, avatar):
        self.avatar = avatar

    def frame(self, landmarks, head_to_camera):
        index, mouth, bare = landmarks[0]
        # The pose given must be that of the frame.
        assert head_to_camera[0, 3] == pytest.approx(index / 1000)
        out = picture(int(index), int(mouth))
        if self.avatar.info.get("dark"):
            out[10:44, 16:48] -= 40
        if bare:
            out[-2:, -2:] = 255
        if head_to_camera[1, 3]:  # was aligned
            out[10:44, 16:48] -= 4
        return out


class FakeAligner:
    """Marks the pose it is given for the picture of the same frame."""

    def __init__(self, renderer):
        assert isinstance(renderer, FakeRenderer)

    def pose(self, picture, mask, driving, head_to_camera):
        index = driving[0, 0]
        assert head_to_camera[0, 3] == pytest.approx(index / 1000) and mask[20, 20, 0] == 255
        assert np.abs(picture.astype(int) - globals()["picture"](int(index), opening(int(index)))).mean() < 3
        moved = head_to_camera.copy()
        moved[1, 3] = 1
        return moved


@pytest.fixture
def scene(tmp_path, monkeypatch):
    folder = tmp_path / "mary"
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((SIZE, SIZE, 3), np.uint8)
    mask[..., 2] = 255
    mask[10:44, 16:48] = [255, 0, 0]
    mask[44:] = [0, 255, 0]
    for index in range(FRAMES):
        file = folder / "frames" / f"{index:06d}.jpg"
        Image.fromarray(picture(index, opening(index))).save(file, quality=100, subsampling=0)
        Image.fromarray(mask).save(folder / "masks" / f"{index:06d}.png")
    poses = np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1))
    poses[:, 0, 3] = np.arange(FRAMES) / 1000
    intrinsics = np.array([[100, 0, 32], [0, 100, 32], [0, 0, 1]], np.float32)
    camera = CameraTrack(intrinsics, poses, SIZE, SIZE, 25.0)
    camera.save(folder / "camera.npz")
    zeros = np.zeros
    FaceTrack(zeros((FRAMES, 478, 2), np.float32), np.ones(FRAMES, bool), zeros(3, np.float32),
              zeros((FRAMES, 52), np.float32), np.ones((FRAMES, 2), np.float32), zeros((FRAMES, 2), np.float32),
              25.0).save(folder / "face.npz")
    count = np.arange(2 * FRAMES, dtype=np.float32)  # each feature frame tells its number
    silent = zeros(2 * FRAMES, np.float32)
    SpeechFeatures(count[:, None] * np.ones(4, np.float32), silent, silent, silent, silent, 50.0).save(folder / "speech.npz")
    (folder / "manifest.json").write_text(json.dumps({
        "schema_version": 1, "finished": True, "frames": FRAMES, "fps": 25.0, "width": SIZE, "height": SIZE,
        "train_frames": TRAIN, "source": {"name": "gone.mp4", "sha256": "0" * 64},
    }), "utf-8")
    person = PreparedPerson.open(folder)
    avatar = Avatar(
        {}, {}, zeros(3, np.float32), zeros((1, 68, 3), np.float32), zeros((1, 52), np.float32),
        CameraTrack(intrinsics, poses[:TRAIN], SIZE, SIZE, 25.0), zeros((SIZE, SIZE, 3), np.uint8), {}, {},
    )

    def motion(indices, mouths, bare=()):
        points = zeros((len(indices), 68, 3), np.float32)
        points[:, 0] = [(i, m, i in bare) for i, m in zip(indices, mouths)]
        count = len(indices)
        return MotionSequence(points, zeros((count, 52), np.float32), zeros(count, np.float32),
                              zeros((count, 2), np.float32), 25.0, "test")

    def tracked(face, camera, frames, source):
        return motion(range(FRAMES), [opening(i) for i in range(FRAMES)])

    def predicted(features, avatar, config):
        # It must be given the sound of the held-out frames and no other: two feature frames to a video frame.
        first = int(features.content[0, 0]) // 2
        assert first == TRAIN and features.content[0, 0] == 2 * first
        count = len(features) // 2
        return motion(range(first, first + count), [opening(first + i - LATE) for i in range(count)], bare=(50, 51))

    monkeypatch.setattr(evaluation, "AvatarRenderer", FakeRenderer)
    monkeypatch.setattr(evaluation, "PoseAligner", FakeAligner)
    monkeypatch.setattr(evaluation, "FaceDetector", FakeDetector)
    monkeypatch.setattr(evaluation, "tracked_motion", tracked)
    monkeypatch.setattr(evaluation, "predict", predicted)
    monkeypatch.setattr(judging.identity, "available", lambda: False)
    return person, avatar


def test_evaluate(scene, tmp_path):
    person, avatar = scene
    result = evaluation.evaluate(avatar, person, tmp_path / "report", EvaluateConfig(picture_frames=5, strips=3))
    tracked, predicted = result["tracked"], result["predicted"]
    assert result["aligned"]["psnr_head"] < tracked["psnr_head"] - 1
    assert result["aligned"]["lip_distance_px"] == tracked["lip_distance_px"]
    assert result["frames"] == 22 and result["picture_frames"] == 5
    assert result["reference"] == "prepared frames"
    # JPEG at quality 100 is all that separates truth from the tracked render.
    assert tracked["psnr_head"] > 45 and tracked["lpips_full"] < 5e-3 and tracked["ssim_full"] > 0.99
    assert tracked["psnr_mouth"] > 40 and tracked["ssim_head"] > 0.99 and tracked["lpips_head"] < 5e-3
    assert tracked["sharpness"] == pytest.approx(1, abs=0.1)
    assert tracked["seam_ratio"] == pytest.approx(1, abs=0.05) and result["truth"]["seam_jump"] > 100
    assert tracked["mouth_open_correlation"] > 0.99 and tracked["faces_missing"] == 0
    assert tracked["sync_offset_frames"] == pytest.approx(0, abs=0.1)
    assert predicted["sync_offset_frames"] == pytest.approx(LATE, abs=0.3)
    assert predicted["mouth_open_correlation"] < tracked["mouth_open_correlation"]
    assert predicted["faces_missing"] == 2
    assert tracked["csim"] is None
    assert result["truth"]["faces_missing"] == 0
    page = (tmp_path / "report" / "evaluation.html").read_text("utf-8")
    assert result["report"] == str(tmp_path / "report" / "evaluation.html")
    assert page.count("data:image/") >= 3 + 2 and "psnr_head" in page
    assert set(result["worst_frames"]) == {"lip_distance_px", "psnr_head"}
    assert all(frame in person.held_out_frames for frame in result["worst_frames"]["psnr_head"])
    assert len(list(read_frames(result["video"], 25.0))) == 22
    saved = json.loads((tmp_path / "report" / "evaluation.json").read_text("utf-8"))
    assert saved["tracked"]["psnr_head"] == pytest.approx(tracked["psnr_head"])


def test_without_model_files_the_other_measures_are_taken(scene, monkeypatch, capsys):
    person, avatar = scene

    def unavailable():
        raise UserError("model file lpips-alexnet could not be fetched; go online")

    monkeypatch.setattr(judging, "Lpips", unavailable)
    figures = evaluation.held_out(avatar, person, count=3)
    assert figures["lpips_full"] is None and figures["psnr_head"] > 45
    assert "LPIPS is not measured: model file lpips-alexnet" in capsys.readouterr().err


def test_frames_are_limited_from_the_first(scene):
    person, avatar = scene
    result = evaluation.evaluate(avatar, person, None, EvaluateConfig(frames=14, picture_frames=1))
    assert result["frames"] == 14 and result["picture_frames"] == 1 and result["report"] is None and result["video"] is None


def test_held_out_figures_of_a_fit(scene):
    person, avatar = scene
    figures = evaluation.held_out(avatar, person, count=4)
    assert set(figures) == {"psnr_head", "lpips_full", "lip_distance_px"}
    assert figures["psnr_head"] > 45 and figures["lip_distance_px"] < 1


def test_an_avatar_of_somebody_else_is_refused(scene):
    person, avatar = scene
    other = CameraTrack(avatar.camera.intrinsics * [[1.2], [1.2], [1]], avatar.camera.head_to_camera, SIZE, SIZE, 25.0)
    with pytest.raises(UserError, match="not the prepared person"):
        evaluation.evaluate(Avatar(**{**vars(avatar), "camera": other}), person)
    with pytest.raises(UserError, match="not the prepared person"):
        evaluation.evaluate(Avatar(**{**vars(avatar), "identity": avatar.identity + 0.5}), person)


def test_nothing_held_out(scene):
    person, avatar = scene
    person.manifest["train_frames"] = FRAMES
    with pytest.raises(UserError, match="no held-out frames"):
        evaluation.evaluate(avatar, person)


def test_excerpt_of_speech():
    speech = SpeechFeatures(np.arange(40.0)[:, None], np.arange(40.0), *np.zeros((3, 40)), 50.0)
    part = evaluation.excerpt(speech, range(5, 9), 25.0)
    assert part.content[:, 0].tolist() == list(range(10, 18)) and part.log_f0.tolist() == list(range(10, 18))
    assert len(evaluation.excerpt(speech, range(18, 30), 25.0)) == 4
    with pytest.raises(ValueError, match="consecutive"):
        evaluation.excerpt(speech, range(0, 9, 2), 25.0)


def test_what_hides_the_person_is_not_held_against_a_render(scene):
    person, avatar = scene
    spoilt = np.array(Image.open(person.path / "masks" / "000060.png"))
    spoilt[20:30, 20:40] = 0  # a hand before the face
    for index in person.held_out_frames:
        frame = picture(index, opening(index))
        frame[20:30, 20:40] = 255
        Image.fromarray(frame).save(person.path / "frames" / f"{index:06d}.jpg", quality=100, subsampling=0)
    blamed = evaluation.held_out(avatar, person, count=3)
    for index in person.held_out_frames:
        Image.fromarray(spoilt).save(person.path / "masks" / f"{index:06d}.png")
    left_out = evaluation.held_out(avatar, person, count=3)
    assert blamed["psnr_head"] < 20 and left_out["psnr_head"] > 35
    assert left_out["lpips_full"] < 0.5 * blamed["lpips_full"]


def test_compare(scene, tmp_path):
    """Two avatars on the same frames: one as before, one that draws a darker head."""
    person, avatar = scene
    dark = Avatar(**{**vars(avatar), "info": {"dark": True, "minutes": 7.0}})
    result = evaluation.compare({"dark": dark, "good": avatar}, person, tmp_path / "report",
                                EvaluateConfig(frames=8, picture_frames=2, strips=2))
    good, bad = result["avatars"]["good"], result["avatars"]["dark"]
    assert list(result["avatars"]) == ["dark", "good"] and result["frames"] == 8
    for motion in ("tracked", "predicted"):
        assert good[motion]["psnr_head"] > 45 > 25 > bad[motion]["psnr_head"]
    assert good["tracked"] == pytest.approx(
        evaluation.evaluate(avatar, person, None, EvaluateConfig(frames=8, picture_frames=2))["tracked"], nan_ok=True)
    page = (tmp_path / "report" / "evaluation.html").read_text("utf-8")
    # Of both motions: the good one's head PSNR is set off.
    assert page.count(f'<td class="number best">{good["tracked"]["psnr_head"]:.2f}</td>') >= 1
    assert "From above: truth, dark, good" in page.replace("from above", "From above")
    frames = list(read_frames(tmp_path / "report" / "comparison.mp4", 25.0))
    assert len(frames) == 8 and frames[0].shape[1] == 3 * 512 and frames[0].shape[0] == 3 * (512 + LABEL)
    saved = json.loads((tmp_path / "report" / "evaluation.json").read_text("utf-8"))
    assert saved["avatars"]["dark"]["tracked"]["psnr_head"] == pytest.approx(bad["tracked"]["psnr_head"])


def test_compare_names_the_avatar_that_does_not_fit(scene, tmp_path):
    person, avatar = scene
    other = Avatar(**{**vars(avatar), "identity": avatar.identity + 0.5})
    with pytest.raises(UserError, match="not the prepared person B was fitted on"):
        evaluation.compare({"A": avatar, "B": other}, person, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_compare_names_the_avatar_that_cannot_be_rendered(scene, tmp_path, monkeypatch):
    person, avatar = scene
    old = Avatar(**{**vars(avatar), "info": {"dark": True}})

    class Renderer(FakeRenderer):
        def __init__(self, avatar):
            super().__init__(avatar)
            if avatar.info.get("dark"):
                raise UserError("was fitted by an older version; fit it again")

    monkeypatch.setattr(evaluation, "AvatarRenderer", Renderer)
    with pytest.raises(UserError, match="^B: was fitted by an older version"):
        evaluation.compare({"A": avatar, "B": old}, person, tmp_path / "report")
    assert not (tmp_path / "report").exists()
