"""The synthetic person: speech, mouth shapes, movement, and a small clip rendered twice."""
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from data_prep.synthetic import SyntheticTruth, demo_audio, demo_speech, make_synthetic
from data_prep.synthetic.movement import drift, make_movement
from data_prep.synthetic.speech import SAMPLE_RATE, fitted
from data_prep.synthetic.visemes import mouth_curves
from geneface.face.arkit import ARKIT_NAMES, index
from geneface.face.basis import load_basis
from geneface.face.landmarks import FACE_OVAL, mouth_opening
from geneface.media import probe, read_audio, read_frames

SECONDS, SIZE = 0.4, 96


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_synthetic(tmp_path_factory.mktemp("mara"), seconds=SECONDS, size=SIZE, seed=3)


@pytest.mark.parametrize("name, seconds", [("training", 45.35), ("driving", 11.25)])
def test_demo_speech_is_speech_with_phones_in_order(name, seconds):
    speech = demo_speech(name)
    assert speech.seconds == pytest.approx(seconds, abs=0.05)
    starts, ends = (np.array([p[k] for p in speech.phones]) for k in (1, 2))
    assert (ends > starts).all() and starts[0] == 0 and np.allclose(starts[1:], ends[:-1], atol=2e-4)
    level = np.sqrt(np.convolve(speech.audio**2, np.ones(240) / 240, "same"))
    times = np.arange(len(speech.audio)) / SAMPLE_RATE
    silent = np.zeros(len(times), bool)
    for phone, start, end in speech.phones:
        if not phone:
            silent |= (times > start + 0.05) & (times < end - 0.05)
    assert level[~silent].mean() > 20 * level[silent].mean()
    assert demo_audio(name).stat().st_size < 300_000


def test_unknown_speech_names_what_there_is():
    with pytest.raises(ValueError, match="training, driving"):
        demo_speech("singing")


@pytest.mark.parametrize("seconds", [0.2, 5.0, 40.0, 60.0])
def test_fitted_speech_has_the_asked_length_and_ends_in_silence(seconds):
    speech = fitted(demo_speech("training"), seconds)
    assert len(speech.audio) == round(seconds * SAMPLE_RATE)
    assert speech.phones[-1][2] == pytest.approx(seconds, abs=0.05) or seconds > demo_speech("training").seconds
    if seconds >= 5:
        assert np.abs(speech.audio[-240:]).max() < 0.02


def test_mouth_shapes_follow_phones():
    symbols, ends = ["", "ɑ", "m", "ɑ", "u", "i", ""], [0, 0.5, 0.7, 0.8, 1.0, 1.3, 1.5, 2.5]
    phones = list(zip(symbols, ends[:-1], ends[1:]))
    times = np.arange(0, 2.5, 0.01)
    curves = mouth_curves(phones, times)
    assert curves.shape == (250, 52) and curves.min() >= 0 and curves.max() <= 1

    def at(name, time):
        return curves[int(round(time * 100)), index(name)]

    assert at("jawOpen", 0.6) > 0.25 > 0.08 > at("jawOpen", 0.75)
    assert at("mouthPucker", 1.15) > 0.4 > at("mouthPucker", 0.6)
    assert at("mouthSmileLeft", 1.42) == at("mouthSmileRight", 1.42) > 0.08
    assert curves[times > 2.2].max() < 0.02  # at rest in silence
    assert at("mouthPucker", 0.97) > at("mouthPucker", 0.9)  # rounds ahead of the u
    assert np.abs(np.diff(curves, axis=0)).max() < 0.12  # no jumps within 10 ms


def test_lips_meet_on_closures():
    basis = load_basis()
    for phone in "pbm":
        curves = mouth_curves([("ɑ", 0, 0.15), (phone, 0.15, 0.23), ("ɑ", 0.23, 0.4)], np.array([0.05, 0.19]))
        open_mouth, closed = mouth_opening(basis.landmarks478(None, curves.astype(np.float32)))
        assert closed < 0.0015 < 0.006 < open_mouth


def test_unknown_phone_is_named():
    with pytest.raises(ValueError, match="'X'"):
        mouth_curves([("X", 0, 1)], np.array([0.5]))


def test_movement_stays_within_a_natural_range_and_is_smooth():
    times = (np.arange(1000) + 0.5) / 25
    movement = make_movement(times, demo_speech("training").phones, seed=0)
    angles = np.degrees(Rotation.from_matrix(movement.head_to_body[:, :3, :3]).as_euler("yxz"))
    assert (np.abs(angles).max(0) <= [15, 8, 4]).all() and (np.abs(angles).max(0) > [8, 4, 2]).all()
    assert np.abs(np.diff(angles, axis=0)).max() < 3.0
    blink = movement.expression[:, index("eyeBlinkLeft")]
    assert 6 <= ((blink[1:] > 0.5) & (blink[:-1] <= 0.5)).sum() <= 25
    still = make_movement(times, demo_speech("training").phones, seed=0, motion=0.0)
    assert np.abs(still.head_to_body[:, :3, :3] - np.eye(3)).max() < 1e-12


def test_drift_does_not_depend_on_the_frame_rate():
    slow, fast = (drift(np.random.default_rng(5), np.arange(0, 4, step), 2.0) for step in (0.04, 0.02))
    assert np.allclose(slow, fast[::2], atol=1e-6) and slow.std() > 0.3


def test_clip_is_complete(clip):
    info = probe(clip.video)
    assert (info.width, info.height) == (SIZE, SIZE) and info.has_audio
    frames = list(read_frames(clip.video))
    truth = SyntheticTruth.load(clip.truth)
    assert len(frames) == len(truth) == len(list(clip.masks.glob("*.png"))) == 10
    assert truth.camera.fps == 25 and truth.expression.shape == (10, len(ARKIT_NAMES))
    assert np.abs(truth.identity).max() > 0.2
    assert len(read_audio(clip.video)) == pytest.approx(SECONDS * 16000, abs=1100)


def test_masks_agree_with_the_projected_face(clip):
    truth = SyntheticTruth.load(clip.truth)
    for t in (0, 9):
        mask = np.asarray(Image.open(clip.masks / f"{t:06d}.png"), dtype=np.int64)
        assert (mask.sum(-1) == 255).all()
        x, y = truth.landmarks[t].T
        inside = np.median(truth.landmarks[t, FACE_OVAL], axis=0)
        assert mask[int(inside[1]), int(inside[0]), 0] == 255
        assert (mask[y.astype(int), x.astype(int), 0] > 127).mean() > 0.97
        assert mask[-1, SIZE // 2, 1] == 255 and mask[0, 0, 2] == 255


def test_frames_show_skin_hair_and_background(clip):
    frame = next(read_frames(clip.video)).astype(float)
    truth = SyntheticTruth.load(clip.truth)
    x, y = truth.landmarks[0, 50]  # on the cheek
    red, green, blue = frame[int(y), int(x)]
    assert red > green > blue and red > 120
    assert frame.std() > 20


def test_finished_clip_is_kept_and_another_seed_differs(clip, tmp_path):
    before = clip.video.stat().st_mtime_ns
    again = make_synthetic(clip.folder, seconds=SECONDS, size=SIZE, seed=3)
    assert again.video.stat().st_mtime_ns == before
    same = make_synthetic(tmp_path / "same", seconds=0.08, size=SIZE, seed=3)
    other = make_synthetic(tmp_path / "other", seconds=0.08, size=SIZE, seed=3, identity_seed=1, focal=4.0)
    first, second = SyntheticTruth.load(clip.truth), SyntheticTruth.load(same.truth)
    assert np.array_equal(first.identity, second.identity)
    a, b = (next(read_frames(c.video)).astype(int) for c in (same, other))
    assert np.abs(a - b).mean() > 1
    ratio = SyntheticTruth.load(other.truth).intrinsics[0, 0] / second.intrinsics[0, 0]
    assert ratio == pytest.approx(4.0 / 2.7)


@pytest.mark.parametrize("name, value", [("seconds", 0.0), ("size", 8), ("focal", 0.1)])
def test_bad_options_are_named(name, value, tmp_path):
    with pytest.raises(ValueError, match=name):
        make_synthetic(tmp_path, **{name: value})
    assert not list(tmp_path.iterdir())
