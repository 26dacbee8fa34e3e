"""Full frames, other backgrounds and alpha."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from geneface.assets import file_hash
from geneface.config import RenderConfig
from geneface.errors import UserError
from geneface.frame.backdrop import BeforeBackdrop, backdrop, cover
from geneface.frame.choice import check_framing
from geneface.frame.colour import ColourMatch
from geneface.frame.paste import PastedBack, blend_weight, paste
from geneface.frame.person import PersonAlone
from geneface.frame.spill import without_spill
from geneface.media import Crop, VideoWriter, probe, read_frames
from geneface.nerf.render import AvatarRenderer, Layers
from geneface.nerf.views import View
from geneface.origin import Origin
from geneface.render import render
from geneface.types import Avatar, CameraTrack, MotionSequence
from tests.test_render import avatar, motion  # noqa: F401  fixture

SIDE, WIDTH, HEIGHT = 64, 160, 96


class Puppet:
    """Renders a disc, red over a grey plate, where the pose says; half transparent in its outer ring."""

    def __init__(self, size: int = SIDE, plate: float = 0.5) -> None:
        self.size, self._plate = (size, size), plate
        self.background = np.full((size, size, 3), plate, np.float32)

    def layers(self, landmarks, head_to_camera, view=View()) -> Layers:
        size = self.size[0]
        rows, columns = np.mgrid[:size, :size] + 0.5
        distance = np.hypot(rows - size / 2, columns - size / 2 - head_to_camera[0, 3])
        alpha = torch.from_numpy(np.where(distance < 12, 1.0, np.where(distance < 15, 0.5, 0.0))).float()
        colour = torch.tensor([0.8, 0.2, 0.2])
        head = colour * alpha[..., None]
        nothing = torch.zeros(size, size)
        rgb = head + (1 - alpha)[..., None] * self._plate
        return Layers(rgb, head, alpha, nothing, torch.zeros(size, size, 3), nothing)


def pose(x: float = 0.0) -> np.ndarray:
    value = np.eye(4, dtype=np.float32)
    value[0, 3] = x
    return value


def scene(level: int = 128) -> np.ndarray:
    """[H,W,3] grey, with a texture that tells where pixels come from."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    grey = level + 6 * np.sin(rows / 5) + 6 * np.cos(columns / 7)
    return grey[..., None].repeat(3, 2).clip(0, 255).astype(np.uint8)


# Pasting ------------------------------------------------------------------------------------------------

CROP = Crop(40, 16, SIDE, WIDTH, HEIGHT)


def test_source_pixels_outside_the_crop_and_far_from_the_person_are_kept():
    whole = scene()
    picture = PastedBack(Puppet(), CROP, iter([(0, pose(), whole)])).frame(None, pose())
    changed = (picture != whole).any(-1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows + 0.5 - 48, columns + 0.5 - 72)
    assert not changed[distance > 15 + 0.08 * SIDE].any()  # the person, and a narrow ring around
    assert picture[48, 72].tolist() == pytest.approx([204, 51, 51], abs=12)
    assert np.array_equal(whole, scene())


def test_no_edge_is_seen_where_portrait_and_scene_differ_in_brightness():
    """The avatar was lit 15 grey levels darker than this frame: its background ring must not be seen."""
    whole = np.full((HEIGHT, WIDTH, 3), 143, np.uint8)
    made = PastedBack(Puppet(), CROP, iter([(0, pose(), whole)])).frame(None, pose())
    around = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([47.5, 71.5])[:, None, None])) > 16
    assert np.abs(made[around].astype(int) - 143).max() <= 2
    assert made[48, 72].tolist() == pytest.approx([228, 57, 57], abs=3)  # the person is lit as the frame is


def test_what_differs_in_content_does_not_bend_colours():
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.3, 0.6, (128, 128, 3)).astype(np.float32)
    target = 1.2 * picture
    target[:, :24] = rng.uniform(0, 1, 3)  # somebody walks by
    weight = np.full((128, 128), 0.5, np.float32)
    assert ColourMatch().apply(picture, target, weight)[:, 40:] == pytest.approx(1.2 * picture[:, 40:], abs=0.015)


def test_exposure_of_a_coloured_wall_leaves_skin_its_colour():
    """The wall that the two are compared on has no red in it: that says nothing about skin, and exposure does."""
    weight = np.zeros((128, 128), np.float32)
    weight[:, :40] = 0.5
    weight[:, 40:] = 1
    picture = np.full((128, 128, 3), (0.0, 0.5, 0.6), np.float32)
    picture[:, 48:] = (0.7, 0.5, 0.4)
    made = ColourMatch().apply(picture, 0.8 * picture, weight)
    assert made[:, :40] == pytest.approx(0.8 * picture[:, :40], abs=0.004)
    assert made[64, 100] == pytest.approx(0.8 * picture[64, 100], abs=0.01)


def test_colours_follow_without_flicker():
    match, weight = ColourMatch(), np.full((64, 64), 0.5, np.float32)
    picture = np.full((64, 64, 3), 0.5, np.float32)
    match.apply(picture, picture, weight)
    means = [float(match.apply(picture, picture + 0.1, weight).mean()) for _ in range(12)]
    assert means[0] == pytest.approx(0.55, abs=2e-3) and means[-1] == pytest.approx(0.6, abs=1e-3)
    assert np.all(np.diff(means) > 0)
    # Nothing to compare: as it was.
    assert float(match.apply(picture, picture, np.ones_like(weight)).mean()) == pytest.approx(means[-1], abs=1e-3)


def test_portrait_fades_at_edges_inside_the_picture_only():
    covered = np.ones((100, 100), np.float32)
    inside = blend_weight(covered, Crop(40, 16, 64, WIDTH, HEIGHT), 0)
    assert max(inside[0].max(), inside[-1].max(), inside[:, 0].max(), inside[:, -1].max()) < 0.03
    assert inside[10:-10, 10:-10].min() == 1
    below = blend_weight(covered, Crop(40, 32, 64, WIDTH, HEIGHT), 0)  # ends where the picture ends
    assert below[-1, 50] == 1 and below[0].max() < 0.03
    assert not blend_weight(np.zeros((100, 100), np.float32), CROP, 0).any()


@pytest.mark.parametrize("size", [31, 64, 150])
def test_portrait_follows_a_moving_crop(size):
    """At places between pixels, at any size of the portrait."""
    crop = Crop(20, 10, SIDE, WIDTH, HEIGHT, ((20.0, 10.0), (31.5, 12.25), (90.75, 30.0)))
    whole = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ys, xs = (np.mgrid[:size, :size] + 0.5) / size
    covered = (np.hypot(xs - 0.5, ys - 0.5) < 0.2).astype(np.float32)
    portrait = np.repeat(covered[..., None], 3, 2)
    for number, (x, y) in enumerate(crop.path):
        made = paste(whole, portrait, covered, crop, number, ColourMatch()).astype(float)[..., 0]
        middle = (made[..., None] * (np.mgrid[:HEIGHT, :WIDTH].transpose(1, 2, 0) + 0.5)).sum((0, 1)) / made.sum()
        assert middle == pytest.approx([y + SIDE / 2, x + SIDE / 2], abs=0.15)


def test_original_head_in_another_pose_is_covered():
    """The video's head is 16 px to the left of where the motion has it: neither it nor a double is seen."""
    whole = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    whole[36:60, 44:68] = (204, 51, 51)
    made = PastedBack(Puppet(), CROP, iter([(0, pose(-16), whole)])).frame(None, pose(12))
    assert made[48, 84].tolist() == pytest.approx([204, 51, 51], abs=6)
    assert np.abs(made[36:60, 50:64].astype(int) - 128).max() <= 6


# Backgrounds and alpha ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["#00ff00", "lime", "rgb(0, 255, 0)"])
def test_background_of_a_colour(text):
    made = BeforeBackdrop(Puppet(), backdrop(text, SIDE, SIDE, 25.0)).frame(None, pose())
    assert made[0, 0].tolist() == [0, 255, 0]
    assert made[32, 32].tolist() == [204, 51, 51]
    assert made[32, 32 + 13].tolist() == pytest.approx([102, 153, 26], abs=1)  # half of each


def test_picture_behind_covers_the_frame(tmp_path):
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, 40:80] = (10, 20, 200)  # the middle square; what is beside it is cut off
    Image.fromarray(picture).save(tmp_path / "wide.png")
    pictures = backdrop(str(tmp_path / "wide.png"), 80, 80, 25.0)
    first, second = next(pictures), next(pictures)
    assert first.shape == (80, 80, 3) and np.array_equal(first, second)
    assert np.abs(first[:, 3:-3].astype(int) - (10, 20, 200)).max() <= 2
    assert cover(picture, 33, 50).shape == (50, 33, 3)


def test_video_behind_runs_on_the_clock_and_begins_again(tmp_path):
    with VideoWriter(tmp_path / "b.mp4", 32, 32, 50.0, quality=4) as writer:
        for index in range(8):
            writer.write(np.full((32, 32, 3), 20 + 25 * index, np.uint8))
    pictures = backdrop(str(tmp_path / "b.mp4"), 16, 16, 25.0)
    levels = [float(next(pictures).mean()) for _ in range(9)]
    assert levels == pytest.approx([45, 95, 145, 195] * 2 + [45], abs=3)


@pytest.mark.parametrize("size", [-5, 1, 1_000_000])
def test_sizes_that_no_picture_has_are_refused(size):
    with pytest.raises(UserError, match=f"--size {size}: must be 16 to 8192 px"):
        check_framing(None, RenderConfig(size=size), "out.mp4")


def test_video_of_less_than_a_frame_stays(tmp_path):
    with VideoWriter(tmp_path / "b.mp4", 32, 32, 60.0, quality=4) as writer:
        writer.write(np.full((32, 32, 3), 120, np.uint8))
    pictures = backdrop(str(tmp_path / "b.mp4"), 16, 16, 25.0)
    assert [float(next(pictures).mean()) for _ in range(3)] == pytest.approx([120] * 3, abs=3)


def test_alpha_is_straight():
    made = PersonAlone(Puppet()).frame(None, pose())
    assert made[32, 32].tolist() == [204, 51, 51, 255]
    assert made[32, 45].tolist() == pytest.approx([204, 51, 51, 128], abs=1)
    assert made[0, 0].tolist() == [0, 0, 0, 0]


def test_background_colour_is_taken_out_of_the_edge_and_nothing_else():
    rows, columns = np.mgrid[:128, :128]
    distance = np.hypot(rows - 63.5, columns - 63.5)
    alpha = np.clip((45 - distance) / 2, 0, 1).astype(np.float32)
    true = np.full((128, 128, 3), (0.5, 0.3, 0.2), np.float32)
    true[rows % 4 == 0] += (0.1, -0.02, -0.0433)  # strands, across the direction to the background
    green = np.full((128, 128, 3), (0.1, 0.9, 0.2), np.float32)
    share = 0.4 * np.clip(1 - (45 - distance) / 3, 0, 1)[..., None].astype(np.float32)
    clean = without_spill(((1 - share) * true + share * green) * alpha[..., None], alpha, green)
    edge = (distance > 42) & (alpha > 0.2)
    before = np.abs(share * (green - true))[edge].mean()
    assert np.abs(clean / np.maximum(alpha, 1e-3)[..., None] - true)[edge].mean() < 0.3 * before
    assert np.allclose(clean[distance < 40], true[distance < 40], atol=1e-6)


# Files --------------------------------------------------------------------------------------------------


def test_a_translucent_gap_within_the_person_keeps_its_colour():
    """Skin seen through a gap in hair is no edge, though the field lets some light through there."""
    rgb, alpha = np.full((96, 96, 3), [0.3, 0.2, 0.15], np.float32), np.zeros((96, 96), np.float32)
    alpha[16:80, 16:80] = 1
    rgb[40:46, 46:50] = [0.2, 0.5, 0.3]  # towards the background's colour
    alpha[40:46, 46:50] = 0.8
    green = np.broadcast_to(np.array([0, 1, 0], np.float32), rgb.shape)
    clean = without_spill(rgb * alpha[..., None], alpha, green)
    assert np.allclose(clean[40:46, 46:50], rgb[40:46, 46:50] * 0.8, atol=1e-6)


def sound(seconds: float = 0.2) -> np.ndarray:
    return 0.1 * np.sin(np.arange(round(16000 * seconds)) * 0.2).astype(np.float32)


def test_alpha_video(avatar, tmp_path):  # noqa: F811
    result = render(avatar, motion(5), tmp_path / "a.mov", RenderConfig(frame="alpha"), audio=sound())
    info = probe(tmp_path / "a.mov")
    assert result.frames == 5 and (info.width, info.height, info.fps) == (33, 26, 25)
    assert (info.video_codec, info.audio_codec, info.audio_rate) == ("prores", "pcm_s16le", 16000)
    with av.open(str(tmp_path / "a.mov")) as container:
        assert "Synthetic media" in container.metadata["comment"]
        frames = [frame.reformat(format="rgba").to_ndarray() for frame in container.decode(video=0)]
    expected = PersonAlone(AvatarRenderer(avatar)).frame(motion(5).landmarks[3], avatar.camera.head_to_camera[3])
    assert len(frames) == 5 and np.abs(frames[3].astype(int) - expected)[..., 3].max() <= 1
    assert np.abs(frames[3].astype(int) - expected).mean() < 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mov"]


def test_opaque_stays_opaque_and_clear_clear(tmp_path):
    frame = np.full((32, 48, 4), (200, 40, 90, 255), np.uint8)
    frame[:, :16] = 0
    with VideoWriter(tmp_path / "a.mov", 48, 32, alpha=True) as writer:
        writer.write(frame)
    with av.open(str(tmp_path / "a.mov")) as container:
        back = next(container.decode(video=0)).reformat(format="rgba").to_ndarray()
    assert np.array_equal(back[..., 3], frame[..., 3])
    assert np.abs(back[:, 20:].astype(int) - frame[:, 20:]).max() <= 3
    with pytest.raises(UserError, match="alpha is written as .mov"):
        VideoWriter(tmp_path / "a.mp4", 48, 32, alpha=True)


def test_alpha_pictures(avatar, tmp_path):  # noqa: F811
    import soundfile

    out = tmp_path / "shots"
    for frames in (6, 5):  # the second run replaces the first
        render(avatar, motion(frames), out, RenderConfig(frame="alpha"), audio=sound())
    assert sorted(p.name for p in out.iterdir()) == [f"00000{i}.png" for i in range(5)] + ["sound.wav"]
    picture = Image.open(out / "000004.png")
    assert picture.size == (33, 26) and picture.mode == "RGBA" and "Synthetic media" in picture.text["Comment"]
    with soundfile.SoundFile(out / "sound.wav") as file:
        assert (file.samplerate, file.frames) == (16000, 3200) and "Synthetic media" in file.comment
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="other things"):
        render(avatar, motion(2), out, RenderConfig(frame="alpha"))
    assert (out / "mine.txt").read_text() == "keep" and [p.name for p in tmp_path.iterdir()] == ["shots"]


def test_interrupted_pictures_leave_nothing(avatar, tmp_path, monkeypatch):  # noqa: F811
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(PersonAlone, "frame", stop)
    with pytest.raises(KeyboardInterrupt):
        render(avatar, motion(3), tmp_path / "shots", RenderConfig(frame="alpha"), audio=sound())
    assert list(tmp_path.iterdir()) == []


# The original video -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> tuple[Path, Origin]:
    """A video of 30 frames per second whose grey level is the time: 4 levels a 25th of a second, from 40 on."""
    path = tmp_path_factory.mktemp("filmed") / "talk.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 30.0, quality=4) as writer:
        for index in range(36):
            writer.write(np.full((HEIGHT, WIDTH, 3), round(40 + 4 * (index + 0.5) * 25 / 30), np.uint8))
    corners = tuple((40.0 + i, 16.0) for i in range(5))
    return path, Origin("talk.mp4", str(path), file_hash(path), 10, 25.0, None, replace(CROP, path=corners))


@pytest.fixture
def square(avatar, filmed) -> Avatar:  # noqa: F811
    """The avatar of the 5 frames from the video's tenth on (at 25 per second), with a square picture."""
    intrinsics = np.array([[80, 0, SIDE / 2], [0, 80, SIDE / 2], [0, 0, 1]], np.float32)
    camera = CameraTrack(intrinsics, avatar.camera.head_to_camera, SIDE, SIDE, 25.0)
    plate = np.full((SIDE, SIDE, 3), 90, np.uint8)
    return replace(avatar, camera=camera, background=plate, info={"origin": filmed[1].to_json()})


def test_full_frames_are_the_originals_by_time_back_and_forth(square, tmp_path):
    made = MotionSequence.load(_saved(motion(12), tmp_path))
    result = render(square, made, tmp_path / "full.mp4", RenderConfig(frame="full", start=1, quality=4), audio=sound())
    info = probe(tmp_path / "full.mp4")
    assert (info.width, info.height, info.fps, result.frames) == (WIDTH, HEIGHT, 25, 12) and info.has_audio
    levels = [float(frame[:, :30].mean()) for frame in read_frames(tmp_path / "full.mp4", None)]
    numbers = [1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert levels == pytest.approx([40 + 4 * (10 + n + 0.5) for n in numbers], abs=3)


def _saved(value: MotionSequence, folder: Path) -> Path:
    value.save(folder / "motion.npz")
    return folder / "motion.npz"


def test_original_is_found_by_its_bytes(filmed, tmp_path, monkeypatch):
    path, origin = filmed
    assert origin.find() == path and Origin(**{**vars(origin), "path": ""}).find(path) == path
    moved = tmp_path / "talk.mp4"
    moved.write_bytes(path.read_bytes())
    gone = replace(origin, path=str(tmp_path / "gone" / "talk.mp4"))
    with pytest.raises(UserError, match="--original"):
        gone.find()
    monkeypatch.chdir(tmp_path)
    assert gone.find() == Path("talk.mp4")
    moved.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UserError, match="--original"):
        gone.find()
    with pytest.raises(UserError, match="not the video"):
        gone.find(moved)
    with pytest.raises(UserError, match="no such file"):
        gone.find(tmp_path / "other.mp4")


def test_origin_of_a_stretch_of_the_second_clip():
    path = [[float(i), 2.0] for i in range(50)]
    crop = {"x": 0, "y": 2, "side": 64, "source_width": 160, "source_height": 96, "path": path}
    clips = [{"source": {}, "crop": crop, "first_frame": 0, "frames": 30},
             {"source": {"name": "b.mp4", "path": "/v/b.mp4", "sha256": "ab", "start_frame": 7, "interlaced": True},
              "crop": crop, "first_frame": 30, "frames": 50}]
    person = SimpleNamespace(clips=clips, fps=25.0)
    origin = Origin.of(person, range(40, 45))
    assert (origin.name, origin.first, origin.interlaced) == ("b.mp4", 17, True)
    assert [corner[0] for corner in origin.crop.path] == [10, 11, 12, 13, 14]
    assert Origin.of(person, range(3, 20)) is None
    again = json.loads(json.dumps(origin.to_json()))
    assert Origin(**{**again, "crop": Crop.from_json(again["crop"])}) == origin


@pytest.mark.parametrize("options, out, said", [
    (dict(frame="ful"), "a.mp4", "did you mean full"),
    (dict(frame="wide"), "a.mp4", "crop, full, alpha"),
    (dict(frame="alpha"), "a.mp4", "ProRes 4444"),
    (dict(frame="alpha", background="red"), "a.mov", "--frame crop"),
    (dict(frame="full"), "a.mp4", "fit it again"),
    (dict(frame="full", yaw=5.0), "a.mp4", "leave --yaw"),
    (dict(original="talk.mp4"), "a.mp4", "--frame full"),
    (dict(background="grene"), "a.mp4", "neither a colour nor a file"),
    (dict(background=__file__), "a.mp4", "not a readable"),
])
def test_options_that_cannot_be_used_are_one_line(avatar, tmp_path, options, out, said):  # noqa: F811
    config = RenderConfig(**options)
    with pytest.raises(UserError, match=said) as caught:
        check_framing(avatar, config, tmp_path / out)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=said):
        render(avatar, motion(2), tmp_path / out, config)
    assert list(tmp_path.iterdir()) == []
