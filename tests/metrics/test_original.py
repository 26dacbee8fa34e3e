import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from geneface.media import VideoWriter, read_frames
from geneface.metrics.original import PREPARED_FRAMES, SCALE, SOURCE_VIDEO, original_frames
from geneface.types import PreparedPerson

START, COUNT = 7, 12
CROP = {"x": 20, "y": 10, "side": 96, "source_width": 160, "source_height": 120}


@pytest.fixture
def person(tmp_path):
    """A person of 12 frames at 64 px, cut from frames 7 to 18 of a video whose brightness tells the frame."""
    video = tmp_path / "talk.mp4"
    with VideoWriter(video, 160, 120, 25.0, quality=8) as writer:
        for number in range(30):
            frame = np.full((120, 160, 3), 8 * number, np.uint8)
            frame[:, :20] = 255  # outside the crop
            writer.write(frame)
    folder = tmp_path / "person"
    (folder / "frames").mkdir(parents=True)
    for index in range(COUNT):
        picture = np.full((64, 64, 3), 8 * (START + index) + 3, np.uint8)
        Image.fromarray(picture).save(folder / "frames" / f"{index:06d}.jpg", quality=100, subsampling=0)
    sha256 = hashlib.sha256(video.read_bytes()).hexdigest()
    manifest = {
        "schema_version": 1, "finished": True, "frames": COUNT, "fps": 25.0, "width": 64, "height": 64,
        "train_frames": 8, "crop": CROP,
        "source": {"name": video.name, "sha256": sha256, "start_frame": START, "stop_frame": START + COUNT},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return PreparedPerson.open(folder)


def test_frames_come_from_the_source_video(person):
    reference, frames = original_frames(person, person.held_out_frames)
    pictures = list(frames)
    assert reference == SOURCE_VIDEO and len(pictures) == 4
    for index, picture in zip(person.held_out_frames, pictures):
        assert picture.shape == (SCALE, SCALE, 3)
        # Within coding noise of the frame's own brightness, and nothing of the white strip left of the crop.
        assert np.abs(picture.astype(int) - 8 * (START + index)).max() <= 3


def test_spread_frames_are_the_right_ones(person):
    _, frames = original_frames(person, range(1, COUNT, 5))
    assert [round(float(f.mean()) / 8) for f in frames] == [START + 1, START + 6, START + 11]


def test_crop_is_cut_where_the_manifest_says(person):
    video = person.path.parent / "talk.mp4"
    whole = next(read_frames(video, 25.0, START, START + 1))
    _, frames = original_frames(person, range(0, 1))
    expected = Image.fromarray(whole[10:106, 20:116]).resize((SCALE, SCALE), Image.Resampling.LANCZOS)
    assert np.array_equal(next(frames), np.asarray(expected))


@pytest.mark.parametrize("harm", ["changed", "gone", "no record"])
def test_otherwise_the_prepared_frames_are_taken_and_it_is_said(person, harm):
    video = person.path.parent / "talk.mp4"
    if harm == "changed":
        video.write_bytes(video.read_bytes() + b"\0")
    elif harm == "gone":
        video.unlink()
    else:
        person.manifest["source"] = "talk.mp4"
    reference, frames = original_frames(person, person.held_out_frames)
    assert reference == PREPARED_FRAMES
    pictures = list(frames)
    assert len(pictures) == 4 and pictures[0].shape == (SCALE, SCALE, 3)
    assert abs(float(pictures[0].mean()) - (8 * (START + 8) + 3)) < 2


def test_a_named_video_is_taken_wherever_it_is(person, tmp_path):
    moved = tmp_path / "elsewhere" / "renamed.mp4"
    moved.parent.mkdir()
    (tmp_path / "talk.mp4").rename(moved)
    assert original_frames(person, range(0, 1))[0] == PREPARED_FRAMES
    assert original_frames(person, range(0, 1), moved)[0] == SOURCE_VIDEO
